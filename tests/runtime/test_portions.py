"""Rows of very many elements are mapped a portion at a time: memory stays flat, and nothing else changes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.runtime import run
from tests.runtime.runs import World

ROOT = Path(__file__).parents[2]
EVENTS = """
version: 1
name: shop
sources:
  customers: {type: file, path: customers.jsonl, key: id}
sinks:
  crm: {type: iterable, api_key: "${ITERABLE_API_KEY}", rate_limit: {requests: 0}%s}
mappings:
  seen:
    from: customers
    to: crm.track_event
    each: "{{ record.seen }}"
    fields: {email: "{{ record.id }}@shop.test", eventName: "{{ item }}", dataFields: {note: "{{ record.note }}"}}
  people:
    from: customers
    to: crm.update_user
    fields: {email: "{{ record.id }}@shop.test"}
"""


def rows(count, elements, note=""):
    return "".join(
        json.dumps({"id": f"c{n}", "note": note, "seen": [f"p{m}" for m in range(elements(n))]}) + "\n"
        for n in range(count)
    )


def world(folder, more=""):
    made = World(folder, EVENTS % more)
    made.write("customers.jsonl", rows(300, lambda n: (0, 1, 7, 400)[n % 4]))
    return made


def stored(made):
    return sorted((event["email"], event["eventName"]) for event in made.vendor.events.values())


WANTED = sorted((f"c{n}@shop.test", f"p{m}") for n in range(300) for m in range((0, 1, 7, 400)[n % 4]))


@pytest.mark.parametrize("more", ["", ", order: strict", ", batch: {max_records: 3}"])
def test_every_element_is_sent_once_and_counted(tmp_path, more):
    made = world(tmp_path, more)
    if "max_records" in more:
        made.write("customers.jsonl", rows(60, lambda n: (0, 1, 7, 40)[n % 4]))
        wanted = sorted((f"c{n}@shop.test", f"p{m}") for n in range(60) for m in range((0, 1, 7, 40)[n % 4]))
    else:
        wanted = WANTED
    outcome = made.run()
    assert outcome.exit == 0
    assert stored(made) == wanted
    assert outcome.report["mappings"]["seen"]["delivered"] == len(wanted)


def test_a_micro_batch_of_more_rows_than_there_is_room_for_is_mapped_to_its_end(tmp_path, monkeypatch):
    """A source of one's own may yield as many as it likes; no other would make room for the rest of its rows."""
    monkeypatch.setattr(run, "ROWS_OPEN", (2, 100))
    made = world(tmp_path, ", batch: {max_records: 3}")
    made.write("customers.jsonl", rows(60, lambda n: (0, 1, 7, 40)[n % 4]))
    now, left = made.clock.now, iter(range(100_000))

    def counted():
        assert next(left, None) is not None, "it goes round and round"
        return now()

    made.clock.now = counted
    outcome = made.run()
    assert outcome.exit == 0
    assert outcome.report["mappings"]["seen"]["delivered"] == 15 * 48


def test_portions_do_not_grow_beyond_what_is_wanted_at_once(tmp_path):
    sizes = []

    def look(work):
        def watch(plan, rows, result, items, values):
            if plan.spec.name == "seen":
                sizes.append((len(set(result.sources)), len(items)))

        work.feed.watch = watch

    made = world(tmp_path)
    made.write("customers.jsonl", rows(300, lambda n: 400))
    assert made.run(prepare=look).exit == 0
    assert sum(records for records, _ in sizes) == 300
    assert max(items for _, items in sizes[1:]) <= 1000, "the first portion is a guess"


def test_heavy_payloads_make_small_portions(tmp_path):
    sizes = []

    def look(work):
        def watch(plan, rows, result, items, values):
            if plan.spec.name == "seen":
                sizes.append(sum(len(item.body) for item in items))

        work.feed.watch = watch

    made = world(tmp_path)
    made.write("customers.jsonl", rows(60, lambda n: 40, "x" * 25_000))
    assert made.run(prepare=look).exit == 0
    assert max(sizes[1:]) <= 1000 * 4096 + 40 * 26_000


def test_a_row_of_one_element_takes_few_portions(tmp_path):
    calls = []

    def look(work):
        work.feed.watch = lambda plan, rows, result, items, values: calls.append(len(rows.records))

    made = world(tmp_path)
    made.write("customers.jsonl", rows(300, lambda n: 1))
    assert made.run(prepare=look).exit == 0
    assert len(calls) <= 2 * 7 * (300 // min(calls) + 1)


@pytest.mark.parametrize("at", [3, 9, 20])
def test_a_kill_between_portions_repeats_only_what_was_in_flight(tmp_path, at):
    """A run that is stopped with half a micro-batch mapped goes on with the other half."""

    class Killed(BaseException):
        pass

    made = world(tmp_path, ", concurrency: 1")

    def handle(request):
        if len(made.requests) == at:
            raise Killed
        return made.world.handle(request)

    with pytest.raises(Killed):
        made.run(handle=handle)
    before = len(made.requests)
    outcome = made.run()
    assert outcome.exit == 0 and outcome.report["resumed"]
    assert stored(made) == WANTED
    total = outcome.report["mappings"]["seen"]
    assert total["delivered"] == len(WANTED)
    assert before == at


def test_failures_of_one_record_are_shared_by_all_its_mappings_in_any_portion(tmp_path):
    text = (EVENTS % "").replace(
        'eventName: "{{ item }}"', 'eventName: "{{ item }}", createdAt: "{{ record.at | int }}"'
    )
    made = World(tmp_path, text + "errors: {scope: record}\n")
    lines = [{"id": f"c{n}", "note": "", "at": "x" if n % 10 == 3 else "5", "seen": ["a"] * 60} for n in range(100)]
    made.write("customers.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    outcome = made.run()
    assert outcome.exit == 1
    assert outcome.report["mappings"]["people"]["failed"] == 10
    assert outcome.report["mappings"]["people"]["delivered"] == 90


LIMIT_MB = 180  # of which an idle engine takes about 60, and payloads that wait 64
MEASURED = """
import resource, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from random import Random
from engine.config.load import parse
from engine.model import Response
from engine.registry import Registry
from engine.runners.local import Options, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.transport import Pretend
import msgspec
path = Path("shop.yaml")
loaded = parse(path.read_text(), str(path), Registry.builtin(), environ={{"ITERABLE_API_KEY": "test-key-0123456789"}}, path=path)
sent = 0
def handle(request):
    global sent
    rows = next(iter(msgspec.json.decode(request.body).values()))
    sent += len(rows) if request.url.endswith("trackBulk") else 0
    return Response(200, {{}}, b'{{"successCount": %d, "failCount": 0}}' % len(rows), delay=0.05)
clock = FakeClock()
outcome = run_pipeline(loaded.pipeline, Registry.builtin(), Options(
    clock=clock, chance=Random(1), transport=lambda _, clock: Pretend(handle, clock)))
status = Path("/proc/self/status")  # where there is none, the peak may be that of the process that began this one
if status.exists():
    peak = int(status.read_text().partition("VmHWM:")[2].split()[0]) // 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1048576
print(outcome.exit, sent, peak)
"""


def test_memory_stays_flat_where_a_row_makes_thousands(tmp_path):
    """200 rows of 2,000 elements of 600 bytes: 240 MB of payloads, all of one micro-batch."""
    (tmp_path / "customers.jsonl").write_text(rows(200, lambda n: 2000, "x" * 500))
    (tmp_path / "shop.yaml").write_text((EVENTS % ", concurrency: 4").partition("  people:")[0])
    done = subprocess.run(
        [sys.executable, "-c", MEASURED.format(root=str(ROOT))], cwd=tmp_path, capture_output=True, text=True,
        timeout=500, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code, sent, peak = map(int, done.stdout.split())
    assert (code, sent) == (0, 400_000)
    assert peak <= LIMIT_MB
