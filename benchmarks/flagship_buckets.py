"""Flagship: decisions a second beside the real SDK's, what a lookup costs in a pipeline, hits a second.

`python -m benchmarks.flagship_buckets [--short]`. The SDK runs in its own environment (`make clients`); the two take
turns, and the medians are shown. One core each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import ROOT, in_turn, vendor
from engine.vendors.buckets import compile_file, visitor_context
from tests.clients import flagship_cases as cases

SDK = ROOT / ".clients" / "flagship" / "bin" / "python"
COMMAND = [sys.executable, "-m", "engine", "run", "--no-progress"]

DECIDING = """
version: 1
name: deciding
sources: {people: {type: file, path: people.csv, key: id}}
%s
sinks: {out: {type: discard}}
mappings: {rows: {from: people, to: out, fields: {id: "{{ record.id }}", given: "%s"}}}
"""
LOOKUP = """
lookups:
  flags:
    type: flagship.decide
    env_id: env
    mode: bucketing
    bucketing_url: %s
    with:
      visitor_id: "{{ record.id }}"
      context: {country: "{{ record.country }}", orders: "{{ record.orders | int }}"}
"""
HITS = """
version: 1
name: hits
sources: {people: {type: file, path: people.csv, key: id}}
sinks: {fs: {type: flagship, env_id: env, collect_url: "%s/", batch_url: "%s/", concurrency: %s%s}}
mappings:
  seen:
    from: people
    to: fs.event
    fields: {visitor_id: "{{ record.id }}", category: ACTION_TRACKING, action: seen, label: "{{ record.country }}"}
"""


def ten_campaigns() -> dict[str, Any]:
    """10 campaigns with 2 rules each that most visitors pass, so that most groups hash."""
    rules = [
        {"operator": "NOT_EQUALS", "key": "country", "value": "XX"},
        {"operator": "GREATER_THAN", "key": "orders", "value": 1},
    ]
    campaigns = [
        {
            "id": f"c{n}",
            "type": "ab",
            "bucketRanges": [{"r": [0, 100]}],
            "variationGroups": [
                {
                    "id": f"g{n}",
                    "targeting": {"targetingGroups": [{"targetings": rules}]},
                    "variations": [
                        {"id": f"v{n}{k}", "allocation": 50, "modifications": {"type": "JSON", "value": {f"f{n}": k}}}
                        for k in (0, 1)
                    ],
                }
            ],
        }
        for n in range(10)
    ]
    return {"campaigns": campaigns}


def visitors(count: int) -> Iterator[dict[str, Any]]:
    for n in range(count):
        yield {"v": f"customer-{n}", "x": {"country": ("FR", "DE", "US")[n % 3], "orders": n % 10}}


def our_rate(document: Any, given: list[Any]) -> float:
    """Visitors a second, from what a caller gives to the answer: presets laid under, decided, merged."""
    decide = compile_file(document).decide
    began = time.perf_counter()
    for one in given:
        decision = decide(one["v"], visitor_context(one["x"]).values)
        _ = decision.values
    return len(given) / (time.perf_counter() - began)


def bare_rate(document: Any, given: list[Any]) -> float:
    """The decision alone, contexts made before."""
    decide = compile_file(document).decide
    ready = [(one["v"], visitor_context(one["x"]).values) for one in given]
    began = time.perf_counter()
    for name, context in ready:
        decide(name, context)
    return len(given) / (time.perf_counter() - began)


def sdk_rate(folder: Path, document: Any, count: int) -> float:
    (folder / "file.json").write_text(json.dumps(document), "utf-8")
    cases.written(folder / "visitors.jsonl", visitors(count))
    script = ROOT / "tests" / "clients" / "flagship_sdk.py"
    done = subprocess.run(
        [SDK, script, "rate", folder / "file.json", folder / "visitors.jsonl"],
        capture_output=True, text=True, check=True, cwd=folder,
    )  # fmt: skip
    return float(done.stdout)


def decisions(short: bool) -> Iterator[str]:
    document, rounds, count = ten_campaigns(), 1 if short else 5, 2_000 if short else 100_000
    given = list(visitors(count))
    ours, bare, theirs = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            bare.append(bare_rate(document, given))
            ours.append(our_rate(document, given))
            if SDK.exists():
                theirs.append(sdk_rate(Path(folder), document, 300 if short else 5_000))
    yield f"decisions, 10 campaigns of 2 rules: {median(bare):,.0f} a second"
    yield f"  contexts made and flags merged as well: {median(ours):,.0f}"
    if theirs:
        yield f"  the SDK 2.1.5: {median(theirs):,.0f} a second; {median(ours) / median(theirs):.0f} times its rate"
    else:
        yield "  the SDK 2.1.5 is not installed: make clients"


def lookups(short: bool) -> Iterator[str]:
    """CPU of whole runs with and without the lookup, starting included; the difference is the lookup's."""
    count = 1_000 if short else 100_000
    rows = "".join(f"customer-{n},{('FR', 'DE', 'US')[n % 3]},{n % 10}\n" for n in range(count))
    with tempfile.TemporaryDirectory() as name, file_server(ten_campaigns()) as address:
        folder = Path(name)
        (folder / "people.csv").write_text("id,country,orders\n" + rows)
        texts = {"with": DECIDING % (LOOKUP % address, "{{ flags.values.f3 }}"), "without": DECIDING % ("", "1")}
        for which, text in texts.items():
            (folder / f"{which}.yaml").write_text(text.replace("flags.values.f3", "flags.values.f3 | default(0)"))
        jobs = [((*COMMAND, "--fresh", f"{which}.yaml"), folder, {}) for which in texts]
        costs = in_turn(1 if short else 3, *jobs)
    cost = (costs[0].cpu - costs[1].cpu) / count * 1e6
    yield f"a pipeline with a bucketing lookup, {count:,} rows: {count / costs[0].wall:,.0f} records a second"
    yield f"  without it: {count / costs[1].wall:,.0f}; the lookup costs {cost:.1f} µs of CPU a record"


def hits(short: bool) -> Iterator[str]:
    count = 500 if short else 20_000
    rows = "".join(f"customer-{n},FR,1\n" for n in range(count))
    jobs = {name: {"ENGINE_TRANSPORT": name} for name in ("requests", "curl")}
    if not find_spec("pycurl"):
        yield "hits over curl: left out, pycurl is not installed (pip install 'engine[fast]')"
        del jobs["curl"]
    for label, latency, concurrency, more in (
        ("one a request", 0, 16, ""),
        ("one a request, 20 ms away", 0.02, 64, ""),
        ("batches of 100", 0, 4, ", batch: true"),
    ):
        with tempfile.TemporaryDirectory() as name, vendor(latency) as address:
            folder = Path(name)
            (folder / "people.csv").write_text("id,country,orders\n" + rows)
            root = "http://" + address.split("//")[1].split("/")[0]
            (folder / "hits.yaml").write_text(HITS % (root, root, concurrency, more))
            command = (*COMMAND, "--fresh", "hits.yaml")
            costs = in_turn(1 if short else 3, *((command, folder, environ) for environ in jobs.values()))
        for transport, cost in zip(jobs, costs, strict=True):
            yield f"hits, {label}, {concurrency} in flight, over {transport}: {count / cost.wall:,.0f} a second"
            yield f"  {cost.cpu / count * 1e6:.0f} µs of CPU each"


def file_server(document: Any) -> Any:
    """The environment's file on a port of loopback."""
    from contextlib import contextmanager

    from engine.registry import pretend_server, pretend_world
    from engine.runtime.clock import SystemClock

    @contextmanager
    def serving() -> Iterator[str]:
        world = pretend_world(SystemClock(), [])
        world.vendors["flagship"].publish("env", document, "Mon, 01 Jan 2024 00:00:00 GMT")
        with pretend_server(world, 0) as server:
            yield server.urls["flagship_bucketing"]

    return serving()


def bench(short: bool) -> Iterator[str]:
    yield from decisions(short)
    yield from lookups(short)
    yield from hits(short)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="small sizes, one round: does it run")
    for line in bench(parser.parse_args().short):
        print(line, flush=True)
