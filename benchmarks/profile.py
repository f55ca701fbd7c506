"""Where each microsecond of a record goes: a run whose real functions are timed, a micro-batch at a time.

`python -m benchmarks.profile PIPELINE ROWS` prints JSON: CPU µs a record by stage. A stage is what the engine's own
functions take, less what other stages within them take; two clock reads a micro-batch cost next to nothing. What is
left over is the loop itself. `schema` and `encode` are measured again over the run's payloads, one by one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.measure import ROOT, vendor

ENTRY = "benchmarks.profile"


class Stages:
    """CPU seconds by stage; a stage within another one counts for itself only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._within: list[float] = []

    def timed(self, stage: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def timing(*args: Any, **named: Any) -> Any:
            self._within.append(0.0)
            began = process_time()
            try:
                return call(*args, **named)
            finally:
                spent = process_time() - began
                self.seconds[stage] += spent - self._within.pop()
                if self._within:
                    self._within[-1] += spent

        return timing

    def watch(self, owner: Any, name: str, stage: str) -> None:
        setattr(owner, name, self.timed(stage, getattr(owner, name)))


class Timed:
    """An iterator whose steps are timed."""

    def __init__(self, within: Iterator[Any], stages: Stages, stage: str) -> None:
        self._step = stages.timed(stage, within.__next__)

    def __iter__(self) -> Timed:
        return self

    def __next__(self) -> Any:
        return self._step()


def put_in(stages: Stages, work: Any) -> None:
    """Times the parts of a run that is about to begin."""
    feed = work.feed
    feed._batches = Timed(feed._batches, stages, "read: lines, records, positions")
    stages.watch(feed, "_map", "map: the generated function")
    stages.watch(feed._packer, "items", "pack: check, encode, key, item")
    stages.watch(work.ledger, "open", "ledger and books")
    stages.watch(work.books, "read", "ledger and books")
    stages.watch(work.books, "delivered", "ledger and books")
    stages.watch(work.books, "failed", "dead letters")
    stages.watch(work, "commit", "commit: heads of the ledger")
    stages.watch(work.state, "commit", "commit: checkpoint into the state")
    stages.watch(work.letters, "add", "dead letters")
    stages.watch(work.letters, "flush", "dead letters")
    for sink in work.plan.sinks.values():
        if hasattr(sink, "writer"):
            stages.watch(sink.writer, "write", "write: the file")
            stages.watch(sink.writer, "sync", "write: on disk, at commits")
        elif hasattr(sink, "lanes"):
            stages.watch(sink.lanes, "add", "lanes")
            stages.watch(sink.lanes, "ready", "lanes")
    stages.watch(work.courier, "begin", "converse: vendor, bodies, answers")
    stages.watch(work.courier, "take", "converse: vendor, bodies, answers")
    stages.watch(work.transport, "start", "transport, its threads included")
    stages.watch(work.transport, "wait", "transport, its threads included")


def profile(pipeline: Path, rows: int) -> dict[str, float]:
    """CPU µs a record by stage, of one run."""
    began = process_time()
    from engine.commands.files import load_all
    from engine.registry import Registry
    from engine.runners.local import Options, run_pipeline

    registry, stages = Registry.installed(), Stages()
    loaded = load_all([pipeline], registry, (), None, sandbox=False, sending=True)
    assert loaded is not None, "the pipeline is wrong"
    ready: list[float] = []

    def prepare(work: Any) -> None:
        put_in(stages, work)
        ready.append(process_time())

    options = Options(fresh=True, secrets=loaded[0][1], prepare=prepare)
    outcome = run_pipeline(loaded[0][0], registry, options)
    assert outcome.exit in (0, 1), outcome
    ended = process_time()
    found = {"start: imports, check, plan": ready[0] - began, **stages.seconds}
    found["the loop and the end"] = ended - ready[0] - sum(stages.seconds.values())
    return {stage: seconds / rows * 1e6 for stage, seconds in found.items()}


def of_payloads(path: Path) -> dict[str, float]:
    """What checking and encoding one of J1's payloads takes, in µs, with the schema of Iterable's `update_user`."""
    import msgspec

    from engine.registry import Registry
    from engine.runtime.payloads import Check, encode

    with path.open("rb") as file:
        payloads = [msgspec.json.decode(line) for line, _ in zip(file, range(20_000), strict=False)]
    check = Check(Registry.installed().schema("sinks", "iterable")["$defs"]["update_user"])
    found = {}
    for name, call in (("schema check of a payload", check.accepts), ("encoding of a payload", encode)):
        began = process_time()
        for payload in payloads:
            call(payload)
        found[name] = (process_time() - began) / len(payloads) * 1e6
    return found


def in_a_process(job: str, source: Path, rows: int, transport: str = "requests") -> dict[str, float]:
    """The profile of a job, taken in a process of its own."""
    with tempfile.TemporaryDirectory() as place, vendor(0.0) as address:
        environ = {
            **os.environ, "INPUT": str(source), "OUTPUT": f"{place}/out.jsonl", "ITERABLE_URL": address,
            "IN_FLIGHT": "64" if job == "j4" else "4", "ITERABLE_API_KEY": "bench-key-0123", "PYTHONPATH": str(ROOT),
            "ENGINE_TRANSPORT": transport,
        }  # fmt: skip
        file = Path(place) / f"{job}.yaml"
        file.write_text((ROOT / "benchmarks" / "pipelines" / f"{job}.yaml").read_text("utf-8"), "utf-8")
        done = subprocess.run(
            [sys.executable, "-m", ENTRY, str(file), str(rows)],
            env=environ,
            stdout=subprocess.PIPE,
            check=True,
            cwd=place,
        )
        found: dict[str, float] = json.loads(done.stdout)
        return found


if __name__ == "__main__":
    given, count = Path(sys.argv[1]), int(sys.argv[2])
    told = profile(given, count)
    written = Path(os.environ["OUTPUT"])
    print(json.dumps(told | (of_payloads(written) if written.exists() and given.stem == "j1" else {})))
