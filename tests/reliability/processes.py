"""F5, F23, F24, F27: signals, twins, a state that cannot be used, streams that are gone. Real processes."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random
from typing import Any

from engine.runtime.clock import SystemClock
from engine.sandbox.server import serve
from tests.crash.data import KEY, Data, pipeline
from tests.crash.deadly import Deadly
from tests.crash.hatchery import ROOT, Hatchery
from tests.crash.judging import finished
from tests.crash.stories import RUN, Stage, Step, stage
from tests.reliability.row import Row, Size, places, timed

WITHIN = 10.0  # seconds that a signal may take
ROWS = 600
# when: what the vendor does, and what must have happened before the signal
PHASES: dict[str, tuple[tuple[dict[str, Any], ...], int, float]] = {
    "while it starts": ((), 0, 0.2),
    "while it reads and sends": (({"delay": 0.02},), 6, 0.05),
    "with requests in flight": (({"delay": 0.8},), 4, 0.2),
    "in a Retry-After of two minutes": (({"nth": [5], "status": 429, "retry_after": 120},), 5, 0.3),
    "while nobody answers": (({"nth": [5, 6, 7, 8], "delay": 60},), 8, 0.3),
}


def signals(folder: Path, size: Size) -> Iterator[Row]:
    """F5: in every phase of a run; then once more while it waits for what is in flight."""
    chance, homes = Random(size.seed), places(folder)
    with Hatchery() as hatchery:
        for name, (faults, requests, within) in PHASES.items():
            row = Row("F5", f"SIGTERM, SIGINT {name}")
            worst = 0.0
            with timed(row):
                for number in (signal.SIGTERM, signal.SIGINT) * size.times:
                    with stage(next(homes) / "home", hatchery, faults) as stages:
                        plan = requests, chance.random() * within
                        worst = max(worst, _signal(row, stages, hatchery, number, *plan))
            row.note = f"ended within {worst:.1f} s"
            row.check(worst <= WITHIN + 1, f"took {worst:.1f} s")
            yield row
        row = Row("F5", "a second signal while nobody answers")
        worst = 0.0
        with timed(row):
            for number in (signal.SIGTERM, signal.SIGINT):
                with stage(next(homes) / "home", hatchery, ({"nth": [5, 6, 7, 8], "delay": 60},)) as stages:
                    worst = max(worst, _signal(row, stages, hatchery, number, 8, 0.1, twice=True))
        row.note = f"ended within {worst:.1f} s"
        row.check(worst < 5, f"took {worst:.1f} s: it waited")
        yield row


def _signal(
    row: Row, stages: Stage, hatchery: Hatchery, number: int, requests: int, after: float, *, twice: bool = False
) -> float:
    """One run that is interrupted and resumed; how many seconds it took to end."""
    data = Data.make(ROWS)
    files = {"crash.yaml": pipeline(), "customers.jsonl": data.text}
    for name, text in files.items():
        (stages.home / name).write_text(text)
    pid = hatchery.start(stages.home, *RUN, env=stages.env)
    end = time.monotonic() + 30
    while len(stages.world.log) < requests and time.monotonic() < end:
        time.sleep(0.002)
    time.sleep(after)
    began = time.monotonic()
    _send(pid, number)
    if twice:
        time.sleep(0.3)
        _send(pid, number)
    ended = hatchery.wait()
    took = time.monotonic() - began
    stages.ends.append(len(stages.world.log))
    row.trials += 1
    over = finished(stages.home) is not None
    early = not stages.world.log and ended.code == -number  # the signal's own end, before there was a run
    row.check(ended.code == 130 or early or over, f"exit {ended.code}: {ended.err[-200:]}")
    for trouble in stages.world.faults:
        trouble.says = {**trouble.says, "nth": [1 << 60]}  # it has passed
    if not over:
        stages.live(Step(RUN))
    _judge(row, stages, data, in_flight="nobody" in row.fault)
    return took


def _send(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):  # a run may be over before its signal comes
        os.kill(pid, number)


def _judge(row: Row, stages: Stage, data: Data, *, in_flight: bool) -> None:
    vendor = stages.world.vendors["iterable"].state()  # type: ignore[attr-defined]
    row.lost += len(data.users - {one["email"] for one in vendor["users"]})
    row.lost += max(0, data.visits.total() - len(vendor["events"])) + max(
        0, data.orders.total() - len(vendor["purchases"])
    )
    row.misfiled += max(0, len(vendor["events"]) - data.visits.total())
    repeated = stages.repeated()
    row.allowed += repeated if in_flight else 0
    row.unexcused += 0 if in_flight else repeated


def twins(folder: Path, size: Size) -> Iterator[Row]:
    """F23: several starts of one pipeline at the same moment."""
    row, latest, refused = Row("F23", "five starts of one pipeline at once"), 0.0, 0
    with timed(row):
        for home in _some(folder, size.times):
            world = Deadly(SystemClock(), [{"delay": 0.3}], {"iterable": {"rates": False}})
            data = Data.make(200)
            _write(home, {"crash.yaml": pipeline(), "customers.jsonl": data.text})
            with serve(world, port=0) as server:
                running = [_engine(home, server.urls["iterable"]) for _ in range(5)]
                ended = [(one.communicate(timeout=120)[1], one.returncode) for one in running]
            row.trials += 1
            ran = [code for _, code in ended if code in (0, 1)]
            row.check(len(ran) == 1, f"{len(ran)} ran: {[code for _, code in ended]}")
            for said, code in ended:
                if code == 4:
                    refused += 1
                    row.check(re.search(r"pid \d+", said), f"the holder is not named: {said}")
            names = [name for sent in world.log for name in sent.names]
            row.unexcused += len(names) - len(set(names))
            have = {one["email"] for one in world.vendors["iterable"].state()["users"]}
            row.lost += len(data.users - have)
    row.note = f"{refused} refused with exit 4, which name the holder; latest {latest:.1f} s" if latest else (
        f"one ran, {refused} were refused with exit 4 and named the holder"
    )  # fmt: skip
    yield row


def unusable(folder: Path, size: Size) -> Iterator[Row]:
    """F24: a state that somebody holds, that is read-only, or where a file is in the way. Nothing may be sent."""
    row, homes = Row("F24", "state locked, read-only, or a file in its way"), places(folder)
    with timed(row), Hatchery() as hatchery:
        for how in ("locked", "read-only", "file in the way"):
            with stage(next(homes) / "home", hatchery) as stages:
                _write(stages.home, {"crash.yaml": pipeline(), "customers.jsonl": Data.make(50).text})
                with Spoiling(stages, how) as possible:
                    if not possible:
                        continue
                    ended = stages.live(Step(RUN))
                row.trials += 1
                row.check(ended.code == 3, f"{how}: exit {ended.code}: {ended.err[-200:]}")
                row.check(".engine" in ended.err, f"{how}: no path: {ended.err[-200:]}")
                row.check(not stages.world.log, f"{how}: {len(stages.world.log)} requests")
    row.note = "exit 3, path named, 0 requests"
    yield row


class Spoiling:
    def __init__(self, stages: Stage, how: str) -> None:
        self.stages, self.how, self.folder = stages, how, stages.home / ".engine"

    def __enter__(self) -> bool:
        if self.how == "file in the way":
            self.folder.write_text("not a folder")
            return True
        (self.stages.home / "first.yaml").write_text(
            pipeline().replace("customers.jsonl", "none.jsonl").replace("name: crash", "name: first")
        )
        (self.stages.home / "none.jsonl").write_text("")
        self.stages.live(Step(("run", "first.yaml", "--no-progress")))
        if self.how == "locked":
            self.db = sqlite3.connect(self.folder / "state.db", isolation_level=None)
            self.db.execute("BEGIN EXCLUSIVE")
            return True
        if os.geteuid() == 0:  # root writes to what is read-only; a mount it does not
            command = ["mount", "--bind", str(self.folder), str(self.folder)]
            if subprocess.run(command, capture_output=True).returncode:
                return False
            subprocess.run(["mount", "-o", "remount,ro,bind", str(self.folder)], check=True)
        else:
            self.folder.chmod(0o500)
        return True

    def __exit__(self, *_: object) -> None:
        if self.how == "locked":
            self.db.close()
        elif self.how == "read-only" and os.geteuid() == 0:
            subprocess.run(["umount", "-l", str(self.folder)], capture_output=True)
        elif self.how == "read-only":
            self.folder.chmod(0o700)


STREAMS = [
    ">&-",
    "2>&-",
    "<&- >&- 2>&-",
    "--json >/dev/full",
    "2>/dev/full",
    "--json | true",
    "2>&1 >/dev/null | true",
]


def streams(folder: Path, size: Size) -> Iterator[Row]:
    """F27: stdout and stderr closed, full, or a pipe that nobody reads."""
    row = Row("F27", "stdout or stderr closed, full, or a pipe without a reader")
    with timed(row):
        for home, how in zip(places(folder), STREAMS, strict=False):
            if "full" in how and not Path("/dev/full").exists():
                continue
            world, data = Deadly(SystemClock(), [], {"iterable": {"rates": False}}), Data.make(200)
            _write(home, {"crash.yaml": pipeline(), "customers.jsonl": data.text})
            with serve(world, port=0) as server:
                line = f"{sys.executable} -m engine run crash.yaml {how}; exit ${{PIPESTATUS[0]}}"
                done = subprocess.run(
                    ["bash", "-c", line], cwd=home, env=_environment(server.urls["iterable"]), capture_output=True,
                    text=True, timeout=120,
                )  # fmt: skip
            row.trials += 1
            row.check(done.returncode == 1, f"{how}: exit {done.returncode}: {done.stderr[-200:]}")
            row.check("Traceback" not in done.stderr, f"{how}: a traceback")
            row.lost += len(data.users - {one["email"] for one in world.vendors["iterable"].state()["users"]})
            row.check(finished(home) is not None, f"{how}: the run is not in the history")
    row.note = "the run goes on and keeps its exit code"
    yield row


def damaged(folder: Path, size: Size) -> Iterator[Row]:
    """F6: a checkpoint that is torn, garbled, empty, of another layout or of nobody."""
    row, homes = Row("F6", "state empty, torn, garbled, of another layout, no database"), places(folder)
    chance = Random(size.seed)
    kept = 0
    with timed(row), Hatchery() as hatchery:
        for how in DAMAGES * size.times:
            with stage(next(homes) / "home", hatchery) as stages:
                _write(stages.home, {"crash.yaml": pipeline(), "customers.jsonl": Data.make(300).text})
                assert stages.live(Step((*RUN, "--limit", "150"))).code in (0, 1)
                before, path = len(stages.world.log), stages.home / ".engine/state.db"
                _damage(path, how, chance)
                ended = stages.live(Step(RUN))
                row.trials += 1
                sent = [name for one in stages.world.log[before:] for name in one.names]
                known = {name for one in stages.world.log[:before] for name in one.names}
                again = len(known & set(sent))
                if ended.code in (0, 1):  # the damage touched nothing that counts: then the position must hold
                    kept += 1
                    row.unexcused += again
                else:
                    row.check(ended.code in (3, 4), f"{how}: exit {ended.code}: {ended.err[-200:]}")
                    row.check("state.db" in ended.err, f"{how}: no path: {ended.err[-200:]}")
                    row.check(not sent, f"{how}: {len(sent)} payloads were sent")
    row.note = f"refused by name, nothing sent; {kept} harmless ones went on from their position"
    yield row


DAMAGES = ["empty", "torn", "garbled head", "garbled", "layout", "text"]


def _damage(path: Path, how: str, chance: Random) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if how == "layout":
            db.execute("UPDATE meta SET version = 99")
            db.commit()
    data = bytearray(path.read_bytes())
    if how == "empty":
        data.clear()
    elif how == "torn":
        del data[chance.randrange(1, len(data)) :]
    elif how == "garbled head":
        data[:64] = chance.randbytes(64)
    elif how == "garbled":
        at = chance.randrange(100, len(data) - 600)
        data[at : at + 512] = chance.randbytes(512)
    elif how == "text":
        data[:] = b"this is no database\n" * 300
    path.write_bytes(data)
    for kind in ("-wal", "-shm"):
        path.with_name(path.name + kind).unlink(missing_ok=True)


def _some(folder: Path, count: int) -> Iterator[Path]:
    for _, home in zip(range(count), places(folder), strict=False):
        yield home


def _write(home: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (home / name).write_text(text)


def _environment(url: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    return {**os.environ, "PYTHONPATH": path, "ITERABLE_API_KEY": KEY, "ITERABLE_URL": url}


def _engine(home: Path, url: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "engine", "run", "crash.yaml", "--no-progress"], cwd=home, env=_environment(url),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
