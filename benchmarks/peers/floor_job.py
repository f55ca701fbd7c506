"""The floor: what a programmer would write by hand for this one job, with nothing that keeps a run safe.

`floor_job.py JOB INPUT OUTPUT` in an environment of its own; OUTPUT is a file or, for j3 and j4, an address.
"""

import csv
import sys
from datetime import date
from http.client import HTTPConnection
from itertools import chain, islice
from urllib.parse import urlsplit

from orjson import dumps, loads
from person import purchase

EPOCH = date(1970, 1, 1).toordinal()
BATCH = 200


def people(path):
    """Lists of payloads; one comprehension for each."""
    parsed = date.fromisoformat
    with open(path, encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        while some := list(islice(rows, BATCH)):
            yield [
                {
                    "email": email.lower(),
                    "dataFields": {
                        "firstName": first.title(),
                        "country": country.upper(),
                        "fullName": f"{first} {last}",
                        "city": city or "unknown",
                        "ltv": (value := float(ltv)),
                        "orders": (count := int(orders)),
                        "frequent": count > 10,
                        "tags": tags.split(";"),
                        "signedUpAt": (parsed(signed_up).toordinal() - EPOCH) * 86_400_000,
                        "tier": "gold" if value >= 500 else "silver" if value >= 100 else "bronze",
                    },
                }
                for _, email, first, last, country, city, ltv, orders, tags, signed_up in some
            ]


def orders(path):
    with open(path, "rb") as file:
        while some := list(islice(file, BATCH)):
            yield [order(record) for record in map(loads, some) if record["status"] != "cancelled"]


def order(record):
    customer, items = record["customer"], record["items"]
    return {
        "orderId": record["order_id"],
        "email": customer["email"].lower(),
        "country": customer["country"].upper(),
        "total": round(sum(i["price"] * i["qty"] for i in items), 2),
        "units": sum(i["qty"] for i in items),
        "lines": [{"id": i["sku"], "name": i["title"], "price": i["price"], "quantity": i["qty"]} for i in items],
    }


def write(batches, path):
    with open(path, "wb") as file:
        for some in batches:
            file.write(b"\n".join([dumps(one) for one in some]) + b"\n")


def send(bodies, address):
    """One request after the other over one connection: nothing is dearer by waiting, as CPU is what counts."""
    url = urlsplit(address)
    connection = HTTPConnection(url.hostname, url.port)
    for path, body in bodies:
        connection.request("POST", url.path + path, body, {"Content-Type": "application/json", "Api-Key": "bench"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200


def bulk(path):
    payloads = chain.from_iterable(people(path))
    while some := list(islice(payloads, 1000)):
        yield "/users/bulkUpdate", dumps({"users": some})


def single(path):
    for body in purchases(path):
        yield "/commerce/trackPurchase", body


def purchases(path):
    """J4's bodies, about 300 bytes each."""
    with open(path, encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield dumps(purchase(row))


if __name__ == "__main__":
    job, source, target = sys.argv[1:]
    if job == "j3":
        send(bulk(source), target)
    elif job == "j4":
        send(single(source), target)
    else:
        write({"j1": people, "j2": orders}[job](source), target)
