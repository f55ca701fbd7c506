"""J1's and J4's mappings as functions of a row, for peers that take functions: what each adds is what is measured."""

from datetime import date

EPOCH = date(1970, 1, 1).toordinal()


def person(row):
    ltv, orders = float(row["ltv"]), int(row["orders"])
    return {
        "email": row["email"].lower(),
        "dataFields": {
            "firstName": row["first_name"].title(),
            "country": row["country"].upper(),
            "fullName": f"{row['first_name']} {row['last_name']}",
            "city": row["city"] or "unknown",
            "ltv": ltv,
            "orders": orders,
            "frequent": orders > 10,
            "tags": row["tags"].split(";"),
            "signedUpAt": (date.fromisoformat(row["signed_up"]).toordinal() - EPOCH) * 86_400_000,
            "tier": "gold" if ltv >= 500 else "silver" if ltv >= 100 else "bronze",
        },
    }


def purchase(row):
    """About 300 bytes."""
    ltv = float(row["ltv"])
    return {
        "id": "p-" + row["id"],
        "user": {"email": row["email"].lower(), "userId": row["id"]},
        "items": [{"id": "K-1", "name": "Thing", "price": ltv, "quantity": 1, "categories": row["tags"].split(";")}],
        "total": ltv,
        "dataFields": {
            "country": row["country"].upper(),
            "city": row["city"] or "unknown",
            "firstName": row["first_name"],
            "lastName": row["last_name"],
            "channel": "web",
        },
    }
