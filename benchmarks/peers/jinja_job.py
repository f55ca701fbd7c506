"""`jinja_job.py j1 INPUT OUTPUT`: one `compile_expression` per output, called for every row."""

import csv
import sys
from datetime import datetime, timezone

from jinja2 import Environment
from orjson import dumps

EXPRESSIONS = {
    "firstName": "first_name | title",
    "country": "country | upper",
    "fullName": "first_name ~ ' ' ~ last_name",
    "city": "city | default('unknown', true)",
    "ltv": "ltv | float",
    "orders": "orders | int",
    "frequent": "orders | int > 10",
    "tags": "tags.split(';')",
    "signedUpAt": "signed_up | epoch_ms",
    "tier": "'gold' if ltv | float >= 500 else 'silver' if ltv | float >= 100 else 'bronze'",
}


def epoch_ms(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) * 1000


def main(source, target):
    environment = Environment()
    environment.filters["epoch_ms"] = epoch_ms
    email = environment.compile_expression("email | lower")
    fields = {name: environment.compile_expression(text) for name, text in EXPRESSIONS.items()}
    with open(source, encoding="utf-8", newline="") as rows, open(target, "wb") as out:
        for row in csv.DictReader(rows):
            data = {name: expression(row) for name, expression in fields.items()}
            out.write(dumps({"email": email(row), "dataFields": data}) + b"\n")


if __name__ == "__main__":
    main(*sys.argv[2:])
