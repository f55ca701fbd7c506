"""`airbyte_job.py j1 INPUT OUTPUT`: a source of the Airbyte CDK whose fields are added by its Jinja transformation.

Generous to the peer: its records come from a file, not over HTTP. Those in its messages are written to OUTPUT.
"""

import csv
import json
import sys
import tempfile
from pathlib import Path

from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.sources import AbstractSource
from airbyte_cdk.sources.declarative.transformations.add_fields import AddedFieldDefinition, AddFields
from airbyte_cdk.sources.streams import Stream

LTV = "record['ltv'] | float"
VALUES = {
    "firstName": ("{{ record['first_name'] | title }}", str),
    "country": ("{{ record['country'] | upper }}", str),
    "fullName": ("{{ record['first_name'] ~ ' ' ~ record['last_name'] }}", str),
    "city": ("{{ record['city'] or 'unknown' }}", str),
    "ltv": ("{{ %s }}" % LTV, float),
    "orders": ("{{ record['orders'] | int }}", int),
    "frequent": ("{{ (record['orders'] | int) > 10 }}", bool),
    "tags": ("{{ record['tags'].split(';') }}", list),
    "signedUpAt": ("{{ timestamp(record['signed_up']) | int * 1000 }}", int),
    "tier": ("{{ 'gold' if %s >= 500 else 'silver' if %s >= 100 else 'bronze' }}" % (LTV, LTV), str),
}


def fields():
    yield AddedFieldDefinition(["out", "email"], "{{ record['email'] | lower }}", str, {})
    for name, (text, kind) in VALUES.items():
        yield AddedFieldDefinition(["out", "dataFields", name], text, kind, {})


class People(Stream):
    name = "people"
    primary_key = "email"

    def __init__(self, path):
        super().__init__()
        self.path, self.added = path, AddFields(list(fields()), {})

    def get_json_schema(self):
        return {"type": "object", "properties": {}}

    def read_records(self, sync_mode, cursor_field=None, stream_slice=None, stream_state=None):
        with open(self.path, encoding="utf-8", newline="") as file:
            for record in csv.DictReader(file):
                self.added.transform(record)
                yield record["out"]


class SourcePeople(AbstractSource):
    def spec(self, *_):
        from airbyte_cdk.models import ConnectorSpecification

        return ConnectorSpecification(connectionSpecification={})

    def check_connection(self, logger, config):
        return True, None

    def streams(self, config):
        return [People(config["path"])]


CATALOG = {
    "streams": [
        {
            "stream": {"name": "people", "json_schema": {}, "supported_sync_modes": ["full_refresh"]},
            "sync_mode": "full_refresh",
            "destination_sync_mode": "overwrite",
        }
    ]
}


def main(job, source, target):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "config.json").write_text(json.dumps({"path": source}))
        (folder / "catalog.json").write_text(json.dumps(CATALOG))
        line = ["read", "--config", str(folder / "config.json"), "--catalog", str(folder / "catalog.json")]
        with open(target, "w", encoding="utf-8") as out:
            for message in AirbyteEntrypoint(SourcePeople()).run(AirbyteEntrypoint.parse_args(line)):
                said = json.loads(message)
                if said["type"] == "RECORD":
                    out.write(json.dumps(said["record"]["data"], ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
