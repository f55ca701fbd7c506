"""`singer_job.py JOB INPUT TARGET`: a tap and a target of the Singer SDK, joined by a pipe as its users join them."""

import csv
import json
import subprocess
import sys

import requests
from person import person
from singer_sdk import Stream, Tap, Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink

FIELDS = th.ObjectType(
    *(th.Property(name, th.StringType) for name in ("firstName", "country", "fullName", "city", "tier")),
    th.Property("ltv", th.NumberType),
    th.Property("orders", th.IntegerType),
    th.Property("frequent", th.BooleanType),
    th.Property("tags", th.ArrayType(th.StringType)),
    th.Property("signedUpAt", th.IntegerType),
)


class People(Stream):
    name = "people"
    schema = th.PropertiesList(th.Property("email", th.StringType), th.Property("dataFields", FIELDS)).to_dict()

    def get_records(self, context):
        with open(self.config["path"], encoding="utf-8", newline="") as file:
            yield from map(person, csv.DictReader(file))


class TapPeople(Tap):
    name = "tap-people"
    config_jsonschema = th.PropertiesList(th.Property("path", th.StringType)).to_dict()

    def discover_streams(self):
        return [People(self)]


class Sink(BatchSink):
    max_size = 1000

    def process_batch(self, context):
        users, target = context["records"], self.config["target"]
        if target.startswith("http"):
            headers = {"Api-Key": "bench"}
            requests.post(f"{target}/users/bulkUpdate", json={"users": users}, headers=headers).raise_for_status()
            return
        with open(target, "a", encoding="utf-8") as out:
            out.writelines(json.dumps(user, ensure_ascii=False, default=float) + "\n" for user in users)


class TargetPeople(Target):
    name = "target-people"
    default_sink_class = Sink
    config_jsonschema = th.PropertiesList(th.Property("target", th.StringType)).to_dict()


def main(job, source, target):
    if job == "tap":
        TapPeople(config={"path": source}).sync_all()
    elif job == "target":
        TargetPeople(config={"target": target}).listen()
    else:
        tap = subprocess.Popen([sys.executable, __file__, "tap", source, target], stdout=subprocess.PIPE)
        end = subprocess.run([sys.executable, __file__, "target", source, target], stdin=tap.stdout)
        tap.stdout.close()
        sys.exit(tap.wait() or end.returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
