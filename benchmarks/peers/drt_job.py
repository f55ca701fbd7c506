"""`drt_job.py JOB INPUT ADDRESS`: drt sends the rows of an SQLite table, as bulk bodies (j3) or singly (j4).

It reads databases, not files: the table is made beside the CSV by the first run, which is not timed. Its templates
know no dates, so those are reckoned in its query.
"""

import csv
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

BULK = """\
  body_mode: batch
  max_records_per_request: 1000
  batch_template: |
    {"users": [{% for row in rows %}{% set ltv = row.ltv | float %}{"email": {{ row.email | lower | tojson_safe }},
    "dataFields": {"firstName": {{ row.first_name | title | tojson_safe }},
    "country": {{ row.country | upper | tojson_safe }},
    "fullName": {{ (row.first_name ~ " " ~ row.last_name) | tojson_safe }},
    "city": {{ row.city | default("unknown", true) | tojson_safe }},
    "ltv": {{ ltv }}, "orders": {{ row.orders | int }},
    "frequent": {{ ((row.orders | int) > 10) | tojson_safe }}, "tags": {{ row.tags.split(";") | tojson_safe }},
    "signedUpAt": {{ row.signed_up_at }},
    "tier": "{{ "gold" if ltv >= 500 else "silver" if ltv >= 100 else "bronze" }}"}}{{ "," if not loop.last }}
    {% endfor %}]}
"""
SINGLE = """\
  body_template: |
    {% set ltv = row.ltv | float %}{"id": "p-{{ row.id }}",
    "user": {"email": {{ row.email | lower | tojson_safe }}, "userId": "{{ row.id }}"},
    "items": [{"id": "K-1", "name": "Thing", "price": {{ ltv }}, "quantity": 1,
    "categories": {{ row.tags.split(";") | tojson_safe }}}], "total": {{ ltv }},
    "dataFields": {"country": "{{ row.country | upper }}", "channel": "web",
    "city": {{ row.city | default("unknown", true) | tojson_safe }},
    "firstName": {{ row.first_name | tojson_safe }}, "lastName": {{ row.last_name | tojson_safe }}}}
"""
SYNC = """\
name: people
model: "select *, cast(strftime('%%s', signed_up) as integer) * 1000 as signed_up_at from people order by id"
destination:
  type: rest_api
  url: %s
  method: POST
  headers: {Content-Type: application/json, Api-Key: bench}
%s
sync: {mode: full, batch_size: 1000, rate_limit: {requests_per_second: 1000000}, on_error: fail}
"""
PATHS = {"j3": ("/users/bulkUpdate", BULK), "j4": ("/commerce/trackPurchase", SINGLE)}


def table(source):
    path = Path(source).with_suffix(".sqlite")
    if not path.exists():
        with open(source, encoding="utf-8", newline="") as file:
            head, *rows = csv.reader(file)
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        base = sqlite3.connect(part)
        base.execute(f"create table people ({', '.join(head)})")
        base.executemany(f"insert into people values ({', '.join('?' * len(head))})", rows)
        base.commit()
        base.close()
        part.replace(path)
    return path


def main(job, source, target):
    place = Path("project")
    (place / "syncs").mkdir(parents=True, exist_ok=True)
    (place / ".drt").mkdir(exist_ok=True)
    path, body = PATHS[job]
    (place / "drt_project.yml").write_text("name: bench\nprofile: bench\n")
    (place / ".drt" / "profiles.yml").write_text(f"bench:\n  type: sqlite\n  database: {table(source)}\n")
    (place / "syncs" / "people.yml").write_text(SYNC % (target + path, body))
    (place / ".drt" / "profiles.yml").chmod(0o600)
    command = str(Path(sys.executable).parent / "drt")
    home = {**os.environ, "HOME": str(place.resolve())}
    sys.exit(subprocess.run([command, "run"], cwd=place, env=home).returncode)


if __name__ == "__main__":
    main(*sys.argv[1:])
