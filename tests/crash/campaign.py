"""Real deaths: the command is killed with SIGKILL at seeded moments and started again until it is done.

The pretend Iterable runs in this process, on a port. Half of the kills are its own doing, at the moment when a request
arrives, when it is processed, or when it is answered; the others come at a random time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec

from engine.plugin import Response, WireRequest
from engine.runtime.clock import SystemClock
from engine.runtime.deadletters import read_letters
from engine.sandbox.server import serve
from engine.sandbox.world import World

LANES, BATCH = 4, 25
READ_WITHIN = 0.5  # seconds; a thread of a busy machine may be kept from an answer for a while
KEY = "crash-test-key-0123456789"

PIPELINE = """
version: 1
name: crash
sources:
  customers: {type: file, path: customers.jsonl, key: id}
sinks:
  crm:
    type: iterable
    api_key: "${ITERABLE_API_KEY}"
    base_url: "${ITERABLE_URL}"
    concurrency: 4
    rate_limit: {requests: 0}
    batch: {max_records: 25}
    retry: {initial: 5ms, max: 20ms}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    fields: {email: "{{ record.email }}", dataFields: {n: "{{ record.n | int }}"}}
  visits:
    from: customers
    to: crm.track_event
    each: "{{ record.visits }}"
    fields: {email: "{{ record.email }}", eventName: Visit, dataFields: {at: "{{ item }}"}}
  orders:
    from: customers
    to: crm.track_purchase
    when: "{{ record.orders }}"
    fields:
      user: {email: "{{ record.email }}"}
      items: [{id: "1", name: Thing, price: 1.5, quantity: 1}]
      total: 1.5
"""


@dataclass
class Data:
    """The customers, and what must become of them."""

    rows: int
    lines: list[str] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    visits: int = 0
    orders: int = 0
    refused: set[tuple[str, int]] = field(default_factory=set)  # mapping (or source) and line

    @classmethod
    def make(cls, rows: int) -> Data:
        data = cls(rows)
        for n in range(rows):
            data._add(n)
        return data

    def _add(self, n: int) -> None:
        line, kind = n + 1, n % 97
        if kind == 13:
            self.lines.append('{"id": broken')
            self.refused.add(("customers", line))
            return
        email = f"bad-{n}" if kind == 29 else f"u{n}@shop.test"
        number: Any = "old" if kind == 53 else n
        row = {"id": f"c{n}", "email": email, "n": number, "visits": list(range(n % 4)), "orders": n % 6 == 0}
        self.lines.append(json.dumps(row))
        if kind == 29:
            self.refused |= {("profiles", line)} | ({("visits", line)} if row["visits"] else set())
            self.refused |= {("orders", line)} if row["orders"] else set()
            return
        if kind == 53:
            self.refused.add(("profiles", line))
        if kind != 53 or row["visits"] or row["orders"]:  # an event or an order makes its person known
            self.users.add(email)
        self.visits += n % 4
        self.orders += n % 6 == 0


@dataclass
class Sent:
    """The payloads of one request, and when a success went back: what was not answered may always go again."""

    names: list[str]
    answered: float | None = None


class Deadly(World):
    """A world that may kill its client at one exact moment of its `at`-th exchange."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.exchanges = 0
        self.plan: tuple[int, str] | None = None  # which exchange, which moment
        self.victim: int | None = None
        self.log: list[Sent] = []  # each request that arrived, in order
        self._count = threading.Lock()

    def answer(self, request: WireRequest, place: str = "") -> Response:
        with self._count:
            self.exchanges += 1
            number = self.exchanges
            self.log.append(Sent(identities(request)))
            sent = self.log[-1]
        self._strike(number, "arrived")
        response = super().answer(request, place)
        sent.answered = time.monotonic() if response.status == 200 else None
        self._strike(number, "processed")
        if self.plan == (number, "answered") and self.victim:
            victim = self.victim
            threading.Timer(0.002, lambda: _kill(victim)).start()
        return response

    def _strike(self, number: int, moment: str) -> None:
        if self.plan == (number, moment) and self.victim:
            _kill(self.victim)


def identities(request: WireRequest) -> list[str]:
    """Names of the payloads in a request."""
    body = msgspec.json.decode(request.body)
    if "users" in body:
        return [f"user {user['email']}" for user in body["users"]]
    if "events" in body:
        return [f"event {event['id']}" for event in body["events"]]
    return [f"purchase {body['id']}"]


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class End(NamedTuple):
    """The end of a life: how many requests had arrived, and when it was."""

    requests: int
    moment: float


@dataclass
class Outcome:
    kills: int = 0
    lives: int = 0
    runs: int = 0
    lost: int = 0
    repeated: int = 0  # payloads that were sent in more than one life
    unexcused: int = 0  # of those: had been answered long before the kill
    worst_kill: int = 0  # most payloads that one kill made repeat
    doubled: int = 0  # events and purchases that the vendor has twice
    misfiled: int = 0  # dead letters that should not be, or are missing
    bad_sums: int = 0
    seconds: float = 0.0


class Campaign:
    """Kills runs over one folder until `kills` is reached; each finished run is judged and the next one begins."""

    def __init__(self, folder: Path, seed: int, rows: int, faults: list[Any]) -> None:
        self.folder, self.chance, self.faults = folder, Random(seed), faults
        self.data = Data.make(rows)
        self.outcome = Outcome()

    def run(self, kills: int) -> Outcome:
        began = time.monotonic()
        while self.outcome.kills < kills:
            self._one_run(kills)
            self.outcome.runs += 1
        self.outcome.seconds = time.monotonic() - began
        return self.outcome

    def _one_run(self, kills: int) -> None:
        home = self.folder / f"run{self.outcome.runs}"
        home.mkdir()
        (home / "crash.yaml").write_text(PIPELINE)
        (home / "customers.jsonl").write_text("\n".join(self.data.lines) + "\n")
        world = Deadly(SystemClock(), self.faults, {"iterable": {"rates": False}})
        ends: list[End] = []
        with serve(world, port=0) as server:
            report = None
            while report is None:
                deadly = self.outcome.kills < kills
                report = self._one_life(home, world, server.urls["iterable"], deadly)
                ends.append(End(len(world.log), time.monotonic()))
        self._judge(home, world, report, ends)

    def _one_life(self, home: Path, world: Deadly, url: str, deadly: bool) -> dict[str, Any] | None:
        """Starts the command; kills it at a moment of its life. The report, if it lived to write one."""
        self.outcome.lives += 1
        report = home / "report.json"
        world.victim = None
        process = subprocess.Popen(
            [sys.executable, "-m", "engine", "run", "crash.yaml", "--no-progress", "--report", str(report)],
            cwd=home, env={**os.environ, "ITERABLE_API_KEY": KEY, "ITERABLE_URL": url},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            if deadly:
                self._doom(process, world)
            _, errors = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        if process.returncode == -signal.SIGKILL:
            self.outcome.kills += 1
            return None
        assert process.returncode in (0, 1), errors.decode()
        found: dict[str, Any] = json.loads(report.read_text())
        return found

    def _doom(self, process: subprocess.Popen[bytes], world: Deadly) -> None:
        if self.chance.random() < 0.6:
            moment = self.chance.choice(["arrived", "processed", "answered"])
            world.plan = (world.exchanges + self.chance.randint(1, 30), moment)
            world.victim = process.pid
        else:
            before, wanted = world.exchanges, self.chance.randint(0, 20)
            while world.exchanges < before + wanted and process.poll() is None:
                time.sleep(0.001)
            time.sleep(self.chance.random() * (0.03 if wanted else 0.4))
            _kill(process.pid)

    # --- judging ------------------------------------------------------------------------------------------

    def _judge(self, home: Path, world: Deadly, report: dict[str, Any], ends: list[End]) -> None:
        state, outcome, data = world.vendors["iterable"].state(), self.outcome, self.data
        have = {person["email"] for person in state["users"]}
        outcome.lost += len(data.users - have)
        outcome.lost += max(0, data.visits - len(state["events"])) + max(0, data.orders - len(state["purchases"]))
        outcome.doubled += max(0, len(state["events"]) - data.visits)
        outcome.doubled += max(0, len(state["purchases"]) - data.orders)
        self._judge_letters(home)
        self._judge_sums(report)
        self._judge_repeats(world, ends)

    def _judge_letters(self, home: Path) -> None:
        letters = list(read_letters(home / ".engine" / "dead" / "crash.jsonl"))
        found = {(x["mapping"] or x["source"], x["origin"]["line"]) for x in letters}
        self.outcome.misfiled += len(found ^ self.data.refused)

    def _judge_sums(self, report: dict[str, Any]) -> None:
        source, bad = report["sources"]["customers"], 0
        bad += source["read"] != self.data.rows
        for m in report["mappings"].values():
            bad += m["payloads"] != m["delivered"] + m["dropped"] + m["rejected"] + m["unknown"]
            bad += source["read"] != m["records"] + source["malformed"]
        bad += report["mappings"]["visits"]["delivered"] != self.data.visits
        bad += report["mappings"]["orders"]["delivered"] != self.data.orders
        self.outcome.bad_sums += bad

    def _judge_repeats(self, world: Deadly, ends: list[End]) -> None:
        """A payload may be sent again only if the client cannot have read its answer before the kill."""
        last: dict[str, int] = {}
        per_kill: Counter[int] = Counter()
        for number, sent in enumerate(world.log):
            life = _life(number, ends)
            for name in sent.names:
                before = last.get(name)
                if before is not None and world.log[before].answered and _life(before, ends) != life:
                    self.outcome.repeated += 1
                    per_kill[_life(before, ends)] += 1
                    self.outcome.unexcused += _was_read(before, world, ends[_life(before, ends)])
                last[name] = number
        self.outcome.worst_kill = max([self.outcome.worst_kill, *per_kill.values()])


def _life(number: int, ends: list[End]) -> int:
    return next(life for life, end in enumerate(ends) if number < end.requests)


def _was_read(number: int, world: Deadly, end: End) -> bool:
    """Must the client have read the answer to this request? Then others followed it, and there was time enough."""
    answered = world.log[number].answered
    return number < end.requests - 2 * LANES and answered is not None and end.moment - answered > READ_WITHIN


FAULTS: list[list[Any]] = [
    [],
    [{"ratio": 0.33, "seed": 1, "status": 503}],
    [{"ratio": 0.15, "seed": 2, "reset": "after"}, {"ratio": 0.15, "seed": 3, "status": 429}],
]


def campaigns(folder: Path, kills: int, seed: int, rows: int) -> Iterator[tuple[str, Outcome]]:
    """One campaign per kind of faults, the kills shared among them."""
    for number, faults in enumerate(FAULTS):
        home = folder / f"faults{number}"
        home.mkdir(parents=True)
        name = json.dumps(faults) if faults else "no faults"
        yield name, Campaign(home, seed + number, rows, faults).run(kills // len(FAULTS) + (number == 0))
