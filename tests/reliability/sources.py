"""F18 to F22, F25, F26: sources that change, end early or hold what no reader should choke on; clocks that jump."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from engine.errors import InvalidPipeline, Refused
from engine.runners.local import Outcome
from engine.runtime.clock import FakeClock, SystemClock
from engine.runtime.deadletters import read_letters
from engine.sandbox.server import serve
from engine.sandbox.world import World as PretendWorld
from tests.crash.hatchery import ROOT
from tests.reliability.row import Row, Size, places, timed
from tests.runtime.runs import USERS, World, customers

ROWS, READ = 400, 200
Change = Callable[[bytes], bytes]


def _flip(at: Callable[[int], int]) -> Change:
    """Another letter or digit at one place, which leaves the rows readable."""

    def change(data: bytes) -> bytes:
        place = at(len(data))
        while not chr(data[place]).isdigit():
            place += 1
        return data[:place] + bytes([ord("0") + (data[place] - ord("0") + 1) % 10]) + data[place + 1 :]

    return change


OTHER = customers(ROWS).replace("user", "nobody").encode()
POSITION = len(customers(READ))  # where a run with `--limit 200` stands
CHANGES: dict[str, tuple[Change, bool]] = {  # and whether going on is right
    "cut before the position": (lambda data: data[: len(data) // 4], False),
    "emptied": (lambda data: b"", False),
    "a byte at its head edited": (_flip(lambda size: 20), False),
    "a byte in the middle of what was read edited": (_flip(lambda size: POSITION // 2), False),
    "a byte just before the position edited": (_flip(lambda size: POSITION - 6), False),
    "replaced by another of its size": (lambda data: OTHER[: len(data)], False),
    "its lines sorted the other way round": (
        lambda data: b"".join([*data.splitlines(True)[:1], *reversed(data.splitlines(True)[1:])]), False),
    "appended to": (lambda data: data + b"9999,late@shop.test,30\n", True),
    "the same under another inode": (lambda data: data, True),
}  # fmt: skip


def changed(folder: Path, size: Size) -> Iterator[Row]:
    """F18: the file changes between two starts of a run, in every way, plain and packed."""
    homes = places(folder)
    for packed in (False, True):
        row, refused = Row("F18", f"source changed between two starts; {'gzip' if packed else 'plain'}"), 0
        with timed(row):
            for name, (change, may) in CHANGES.items():
                world = _packed(World(next(homes)), packed)
                data = customers(ROWS).encode()
                file = world.write(_name(packed), _pack(data, packed))
                assert world.run(limit=READ).exit == 0
                before = len(world.requests)
                file.unlink()
                file.write_bytes(_pack(change(data), packed, level=1))
                outcome, error = _tried(world)
                row.trials += 1
                code = outcome.exit if outcome is not None else 4
                row.check(code == (0 if may else 4), f"{name}: exit {code}: {error}")
                refused += code == 4
                if not may:
                    row.misfiled += len(world.requests) - before
                else:
                    row.lost += ROWS - sum(p.email.startswith("user") for p in world.vendor.people.everybody)
        row.note = f"{refused} refused with exit 4, nothing sent; growth and a copy go on"
        yield row
    yield _renamed(next(homes))


def _renamed(home: Path) -> Row:
    row = Row("F18", "source renamed between two starts")
    with timed(row):
        world = World(home)
        world.write("customers.csv", customers(ROWS))
        world.run(limit=READ)
        (home / "customers.csv").rename(home / "moved.csv")
        outcome, _ = _tried(world)
        row.trials += 1
        row.check(outcome is None or outcome.exit in (2, 4), "a file that is gone was not noticed")
        (home / "moved.csv").rename(home / "customers.csv")
        row.check(world.run().exit == 0, "it does not go on with its file back")
        row.lost += ROWS - len(world.vendor.people.everybody)
    row.note = "refused; goes on when the file is back"
    return row


def damaged(folder: Path, size: Size) -> Iterator[Row]:
    """F19: gzip cut short at any place, with a flipped bit, something behind its end, or of no bytes."""
    row, homes, chance = (
        Row("F19", "gzip cut short, bits flipped, bytes behind its end"),
        places(folder),
        Random(size.seed),
    )
    unseen = 0
    with timed(row):
        whole = gzip.compress(customers(ROWS).encode(), mtime=0)
        damages = [("cut", whole[: chance.randrange(1, len(whole))]) for _ in range(10 * size.times)]
        damages += [("flipped", _bit(whole, chance)) for _ in range(10 * size.times)]
        damages += [("behind", whole + b"garbage")]
        for name, data in damages:
            world = _packed(World(next(homes)), True)
            file = world.write(_name(True), data)
            outcome, error = _tried(world)
            row.trials += 1
            code = outcome.exit if outcome is not None else 4
            if code == 0:  # a bit that holds nothing: the header's time, its flags
                unseen += 1
                row.lost += ROWS - len(world.vendor.people.everybody)
                continue
            row.check(code in (2, 3, 4), f"{name}: exit {code}: {error}")
            file.write_bytes(whole)
            again, error = _tried(world)
            row.check(again is not None and again.exit == 0, f"{name}: with the whole file: {error}")
            row.lost += ROWS - len(world.vendor.people.everybody)
    row.note = f"exit 4, goes on with the whole file; {unseen} flipped bits change nothing that is read"
    yield row
    row = Row("F19", "a .gz of no bytes")
    with timed(row):
        world = _packed(World(next(homes)), True)
        world.write(_name(True), b"")
        outcome, _ = _tried(world)
        row.trials += 1
        row.check(outcome is not None and outcome.report["warnings"], "nothing warns of it")
    row.note = "no rows, and a warning"
    yield row


def bad_rows(folder: Path, size: Size) -> Iterator[Row]:
    """F21: rows that cannot be read among rows that can."""
    good = [json.dumps({"id": str(n), "email": f"user{n}@shop.test", "age": n % 80}).encode() for n in range(ROWS)]
    kinds = {
        "broken JSON": b'{"id": "x", ', "not UTF-8": b'{"id": "\xff\xfe"}', "NaN": b'{"id": "x", "age": NaN}',
        "a list": b"[1, 2]", "too deep": b"[" * 5000 + b"]" * 5000, "a key twice": b'{"id": "1", "id": "2"}',
        "NUL": b'{"id": "a\x00b"}', "huge number": b'{"id": ' + b"9" * 6000 + b"}", "no identifier": b'{"age": 3}',
    }  # fmt: skip
    row, homes = Row("F21", "bad rows of every kind among good ones"), places(folder)
    with timed(row):
        for name, bad in kinds.items():
            world = World(next(homes), USERS.replace("customers.csv", "customers.jsonl, duplicate_keys: refuse"))
            at = set(range(7, ROWS, 40))
            world.write("customers.jsonl", b"\n".join(bad if n in at else one for n, one in enumerate(good)) + b"\n")
            outcome = world.run()
            row.trials += len(at)
            lines = {letter["origin"]["line"] for letter in world.letters}
            row.misfiled += len(lines ^ {n + 1 for n in at})
            row.lost += ROWS - len(at) - len(world.vendor.people.everybody)
            row.check(outcome.exit == 1, f"{name}: exit {outcome.exit}")
    row.note = f"{len(kinds)} kinds; each with its line in the dead letters"
    yield row


def jumping(folder: Path, size: Size) -> Iterator[Row]:
    """F22: the wall clock jumps two days forward and back while a run waits and retries."""
    row, homes = Row("F22", "wall clock jumps by two days, back and forth"), places(folder)
    faults = [{"ratio": 0.2, "seed": 1, "status": 429, "retry_after": 5}, {"ratio": 0.2, "seed": 2, "status": 503}]
    with timed(row):
        for seed in range(size.times * 3):
            took = []
            for clock in (FakeClock(), Jumping(seed)):
                world = World(next(homes), faults=faults, seed=seed)
                world.clock = clock
                world.write("customers.csv", customers(ROWS))
                outcome = world.run()
                row.check(outcome.exit == 0, f"exit {outcome.exit}: {outcome.error}")
                row.lost += ROWS - len(world.vendor.people.everybody)
                took.append(outcome.report["seconds"])
            row.trials += 1
            row.check(took[0] == took[1], f"it took {took[1]} s instead of {took[0]} s")
    row.note = "waits as long as with a steady clock"
    yield row


class Jumping(FakeClock):
    """Each look at the wall finds it two days earlier or later."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._chance = Random(seed)

    def time(self) -> float:
        return super().time() + self._chance.choice([-172_800.0, 0.0, 172_800.0])


def again(folder: Path, size: Size) -> Iterator[Row]:
    """F26: a rerun after success."""
    homes = places(folder)
    row = Row("F26", "rerun after success; append")
    with timed(row):
        world = World(next(homes), USERS.replace("path: customers.csv", "path: customers.csv, mode: append"))
        world.write("customers.csv", customers(ROWS))
        assert world.run().exit == 0
        before = len(world.requests)
        outcome = world.run()
        row.trials, row.unexcused = 1, len(world.requests) - before
        row.check(outcome.exit == 0, f"exit {outcome.exit}")
    row.note = "0 requests"
    yield row
    row = Row("F26", "rerun after success; full")
    with timed(row):
        text = USERS.replace("crm.update_user", "crm.track_event").replace(
            "userId:", "eventName: seen\n      userId:"
        )
        world = World(next(homes), text)
        world.write("customers.csv", customers(ROWS))
        for _ in range(2):
            assert world.run().exit == 0
        row.trials, row.allowed = 1, ROWS
        row.misfiled = abs(len(world.vendor.events) - ROWS)
    row.note = "everything again, with the same ids: nothing doubled"
    yield row


# --- memory --------------------------------------------------------------------------------------------------------


def memory(folder: Path, size: Size) -> Iterator[Row]:
    """F25: peak memory of the command as the system counts it."""
    homes = places(folder)
    rows = 300_000 if size.large else 20_000
    row = Row("F25", f"{rows:,} rows")
    home = next(homes)
    with timed(row):
        with (home / "customers.csv").open("w") as file:
            file.write("id,email,age\n")
            file.writelines(f"{n},user{n}@shop.test,{n % 80}\n" for n in range(rows))
        peak, report = _peak(home, "customers.csv")
        row.trials = rows
        row.lost = rows - report["mappings"]["profiles"]["delivered"]
        row.check(peak <= 150 or not size.large, f"{peak} MB")
    row.note = f"peak {peak} MB"
    yield row
    giant = (400 if size.large else 40) * 1024 * 1024
    for name, end in (("customers.jsonl", "\n"), ("customers.csv", ",1\n")):
        row = Row("F25", f"a line of {giant >> 20} MB among the rows of a {Path(name).suffix[1:]} file")
        home = next(homes)
        with timed(row):
            _with_giant(home / name, giant, end)
            peak, report = _peak(home, name)
            row.trials = 1
            letters = list(read_letters(home / ".engine/dead/shop.jsonl"))
            row.misfiled = abs(len(letters) - 1) + sum(len(json.dumps(one)) > 100_000 for one in letters)
            row.lost = 2 - report["mappings"]["profiles"]["delivered"]
            row.check(peak <= (150 if "jsonl" in name else 200), f"{peak} MB")
            (home / name).unlink()
        row.note = f"a dead letter, the row after it delivered; peak {peak} MB"
        yield row


MEASURING = "import os, sys; pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ); print(os.wait4(pid, 0)[2].ru_maxrss)"


def _with_giant(path: Path, size: int, end: str) -> None:
    rows = [json.dumps({"id": str(n), "email": f"user{n}@shop.test", "age": 3}) for n in (1, 2)]
    if path.suffix == ".csv":
        rows = [f"{n},user{n}@shop.test,3" for n in (1, 2)]
    with path.open("w") as file:
        file.write("id,email,age\n" if path.suffix == ".csv" else "")
        file.write(rows[0] + "\n")
        file.write('{"id": "' if path.suffix == ".jsonl" else "9,")
        for _ in range(size >> 20):
            file.write("x" * (1 << 20))
        file.write(end + rows[1] + "\n")


def _peak(home: Path, name: str) -> tuple[int, dict[str, Any]]:
    """Runs the command to its end, over a vendor in another process; its peak memory in MB, and the report."""
    sink = '{type: iterable, base_url: "${ITERABLE_URL}", rate_limit: {requests: 0},'
    (home / "shop.yaml").write_text(USERS.replace("customers.csv", name).replace("{type: iterable,", sink))
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    command = [sys.executable, "-P", "-m", "engine", "run", str(home / "shop.yaml"), "--no-progress",
               "--report", str(home / "report.json")]  # fmt: skip
    with serve(PretendWorld(SystemClock(), settings={"iterable": {"rates": False}})) as server:
        more = {
            "PYTHONPATH": path,
            "ITERABLE_API_KEY": "memory-test-key-0123",
            "ITERABLE_URL": server.urls["iterable"],
        }
        # A process begins with the peak of the one that started it: a small one must do that.
        done = subprocess.run(
            [sys.executable, "-c", MEASURING, *command], env={**os.environ, **more}, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
    used = int(done.stdout.split()[-1])
    report: dict[str, Any] = json.loads((home / "report.json").read_text())
    return used // (1024 if sys.platform == "linux" else 1024 * 1024), report


def _tried(world: World) -> tuple[Outcome | None, Any]:
    """What came of a run; None where it was refused before it began."""
    try:
        outcome = world.run()
    except (InvalidPipeline, Refused) as error:
        return None, error
    return outcome, outcome.error


def _packed(world: World, packed: bool) -> World:
    world.text = USERS.replace("customers.csv", _name(packed))
    return world


def _name(packed: bool) -> str:
    return "customers.csv.gz" if packed else "customers.csv"


def _pack(data: bytes, packed: bool, level: int = 9) -> bytes:
    return gzip.compress(data, level, mtime=0) if packed else data


def _bit(data: bytes, chance: Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
