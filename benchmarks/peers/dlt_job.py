"""`dlt_job.py JOB INPUT TARGET`: a resource, a mapping function, and a destination that writes or posts."""

import csv
import json
import os
import sys
import tempfile

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"

import dlt
import requests
from person import person


@dlt.resource(name="people", table_name="people", max_table_nesting=0)
def people(path):
    with open(path, encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def main(job, source, target):
    session = requests.Session()

    def post(users):
        answer = session.post(f"{target}/users/bulkUpdate", json={"users": users}, headers={"Api-Key": "bench"})
        answer.raise_for_status()

    def write(rows):
        with open(target, "a", encoding="utf-8") as out:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)

    @dlt.destination(batch_size=1000, name="bench", loader_file_format="typed-jsonl", max_parallel_load_jobs=1)
    def sink(items, table):
        (post if job == "j3" else write)(items)

    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("bench", pipelines_dir=folder, destination=sink)
        pipeline.run(people(source).add_map(person)).raise_on_failed_jobs()


if __name__ == "__main__":
    main(*sys.argv[1:])
