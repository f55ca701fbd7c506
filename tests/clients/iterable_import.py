"""Runs `iterable-data-import` unchanged over one of the golden inputs. Started in that package's own environment.

python iterable_import.py BASE_URL CASE_FOLDER ERROR_FILE
"""

import json
import pathlib
import sys

from iterable_data_import import (
    CommerceItem,
    CustomEvent,
    FileFormat,
    FileSystem,
    FileSystemApiErrorRecorder,
    IterableDataImport,
    NoOpMapErrorRecorder,
    Purchase,
    SyncApiClient,
    SyncApiImporter,
    TrackCustomEvent,
    TrackPurchase,
    UpdateUserProfile,
    UserProfile,
)


def user(*args, **more):
    return UpdateUserProfile(UserProfile(*args, **more))


def readme(r):
    return user(r["email"], r["id"], {"ltv": r["lifetime_value"]})


def typed(r):
    fields = {
        "firstName": r["first_name"],
        "lastName": r["last_name"],
        "plan": r["plan"],
        "ltv": float(r["ltv"]),
        "orderCount": int(r["orders"]),
        "isVip": r["vip"] == "true",
        "signupDate": r["signed_up"],
    }
    if r["city"]:
        fields["city"] = r["city"]
    return user(r["email"], r["id"], fields, merge_nested_objects=True)


def nested(r):
    fields = {name: r[name] for name in ("prefs", "score", "age", "nickname")}
    if r.get("home_geo_location"):
        fields["home_geo_location"] = r["home_geo_location"]
    account = r["account"]
    return user(account["email"], account["id"], fields, prefer_user_id=True, merge_nested_objects=bool(r["prefs"]))


def by_user_id(r):
    return user(user_id=r["customer"], data_fields={"tier": r["tier"]} if r["tier"] else {}, prefer_user_id=True)


def event(r):
    return TrackCustomEvent(
        CustomEvent(r["event"], r.get("email"), r.get("user_id"), r["props"], r.get("event_id"), r.get("template"),
                    r.get("campaign"), r["ts"])
    )  # fmt: skip


def order_line(r):
    item = CommerceItem(r["sku"], r["item"], float(r["price"]), int(r["qty"]), sku=r["sku"])
    buyer = UserProfile(r["email"])
    return TrackPurchase(Purchase(buyer, [item], float(r["total"]), int(r["at"]), purchase_id=r["order"]))


def order(r):
    items = [
        CommerceItem(line["pid"], line["title"], line["unit"], line["n"], line.get("sku"), line.get("desc"),
                     line.get("cat"), line.get("img"), line.get("url"), line.get("extra"))
        for line in r["lines"]
    ]  # fmt: skip
    buyer = UserProfile(r["buyer"].get("email"), r["buyer"].get("id"), r["buyer"].get("attrs"), prefer_user_id=True)
    return TrackPurchase(
        Purchase(buyer, items, r["total"], r.get("placed"), r.get("meta"), r.get("id"), r.get("camp"), r.get("tmpl"))
    )


def three(r):
    actions = [
        user(r["email"], data_fields={"plan": r["plan"]}),
        TrackCustomEvent(CustomEvent("Imported", r["email"], data_fields={"n": r["n"]}, event_id=f"imp-{r['n']}")),
    ]
    if r["bought"]:
        item = CommerceItem("sku", "Thing", r["n"], 1)
        actions.append(TrackPurchase(Purchase(UserProfile(r["email"]), [item], r["n"], purchase_id=f"o-{r['n']}")))
    return actions


def by_type(r):
    if r["type"] == "user":
        return user(r["email"], data_fields={"name": r["name"]})
    if r["type"] == "event":
        return TrackCustomEvent(CustomEvent(r["name"], r["email"], created_at=r["at"]))
    if r["type"] == "order":
        item = CommerceItem("line", "Line", r["total"], 1)
        return TrackPurchase(Purchase(UserProfile(r["email"]), [item], r["total"], purchase_id=r["id"]))
    return None


MAPS = {
    "u01_readme": readme,
    "u02_users_typed_csv": typed,
    "u03_users_2350_csv": lambda r: user(r["email"], data_fields={"n": int(r["n"])}),
    "u04_users_nested_jsonl": nested,
    "u05_user_id_only_csv": by_user_id,
    "u06_same_user_twice": lambda r: user(r["email"], data_fields={"step": r["step"]}),
    "u07_numeric_user_id": lambda r: user(r["email"], r["id"]),
    "e01_events_jsonl": event,
    "e02_events_2000_exact": lambda r: TrackCustomEvent(
        CustomEvent(r["what"], None, r["who"], created_at=int(r["at"]))
    ),
    "e03_event_no_fields": lambda r: TrackCustomEvent(CustomEvent(r["n"], None, r["u"], r.get("x"))),
    "p01_purchases_csv": order_line,
    "p02_purchases_nested_jsonl": order,
    "m01_three_actions_small_batches": three,
    "m03_split_files_by_type": by_type,
}


def main(base_url, folder, errors):
    case = json.loads((folder / "case.json").read_text("utf-8"))
    options = case.get("options", {})
    importer = SyncApiImporter(
        SyncApiClient("it-key-000000000000000000000000000001", base_url),
        FileSystemApiErrorRecorder(errors),
        options.get("users_per_batch", 1000),
        options.get("events_per_batch", 1000),
    )
    source = FileSystem(folder / case["input"], FileFormat(case["input_format"]))
    done = IterableDataImport(source, importer, NoOpMapErrorRecorder()).run(MAPS[case["case"]])
    refused = errors.read_text("utf-8").splitlines() if errors.exists() else []
    print(json.dumps({"finished": done, "refused": [json.loads(line) for line in refused]}))


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
