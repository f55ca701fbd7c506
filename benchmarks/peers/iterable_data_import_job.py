"""The same jobs done with `iterable-data-import` 0.1.0, run by the interpreter of its own environment."""

import os
import sys
from pathlib import Path

import person as bench_person
from iterable_data_import import (
    CommerceItem,
    FileFormat,
    IterableDataImport,
    NoOpMapErrorRecorder,
    Purchase,
    SyncApiClient,
    SyncApiImporter,
    TrackPurchase,
    UpdateUserProfile,
    UserProfile,
)
from iterable_data_import.data_sources.file_system import FileSystem
from iterable_data_import.error_recorders.api_error_recorder import NoOpApiErrorRecorder


def user(record):
    fields = {
        "firstName": record["first_name"],
        "lastName": record["last_name"],
        "plan": record["plan"],
        "ltv": float(record["ltv"]),
        "orders": int(record["orders"]),
        "vip": record["vip"] == "true",
        "city": record["city"],
        "signupDate": record["signed_up"],
    }
    return UpdateUserProfile(UserProfile(record["email"].lower(), record["id"], fields))


def purchase(record):
    item = CommerceItem(record["id"], "Thing", 1.5, 1)
    return TrackPurchase(Purchase(UserProfile(record["email"].lower(), record["id"]), [item], 1.5))


def person(record):
    """J3's mapping."""
    fields = bench_person.person(record)
    return UpdateUserProfile(UserProfile(fields["email"], None, fields["dataFields"]))


job, path = sys.argv[1:3]
client = SyncApiClient("bench-key", os.environ.get("ITERABLE_URL") or sys.argv[3])
importer = SyncApiImporter(client, NoOpApiErrorRecorder())
source = FileSystem(Path(path), FileFormat.CSV)
IterableDataImport(source, importer, NoOpMapErrorRecorder()).run(
    {"users": user, "purchases": purchase, "j3": person}[job]
)
