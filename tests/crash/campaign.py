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
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from engine.runtime.clock import SystemClock
from engine.sandbox.server import serve
from tests.crash.data import KEY, Data, pipeline
from tests.crash.deadly import Deadly, kill
from tests.crash.judging import End, Outcome, finished, judge


@dataclass(frozen=True)
class Kind:
    """What a campaign goes through: faults on about a third of its requests, payloads with ids or without."""

    name: str
    faults: tuple[dict[str, Any], ...] = ()
    ids: bool = True


KINDS = [
    Kind("503 on a third", ({"ratio": 0.33, "seed": 1, "status": 503},)),
    Kind(
        "resets before and after processing, answers cut short",
        ({"ratio": 0.12, "seed": 2, "reset": "before"}, {"ratio": 0.12, "seed": 3, "reset": "after"},
         {"ratio": 0.12, "seed": 4, "cut": 5}),
    ),
    Kind(
        "429, 500 after processing, HTML and broken JSON with 200",
        ({"ratio": 0.1, "seed": 5, "status": 429, "retry_after": 0}, {"ratio": 0.1, "seed": 6, "status": 500, "after": True},
         {"ratio": 0.1, "seed": 7, "html": True}, {"ratio": 0.06, "seed": 8, "invalid_json": True}),
    ),
    Kind(
        "503 and resets after processing, events and purchases without ids",
        ({"ratio": 0.18, "seed": 9, "status": 503}, {"ratio": 0.18, "seed": 10, "reset": "after"}),
        ids=False,
    ),
    Kind("no faults"),
]  # fmt: skip


class Campaign:
    """Kills runs over one folder until `kills` is reached; each finished run is judged and the next one begins."""

    def __init__(self, folder: Path, seed: int, rows: int, kind: Kind) -> None:
        self.folder, self.chance, self.kind = folder, Random(seed), kind
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
        home.mkdir(parents=True)
        (home / "crash.yaml").write_text(pipeline(ids=self.kind.ids))
        (home / "customers.jsonl").write_text(self.data.text)
        world = Deadly(SystemClock(), self.kind.faults, {"iterable": {"rates": False}})
        ends: list[End] = []
        with serve(world, port=0) as server:
            report = None
            while report is None:
                deadly = self.outcome.kills < kills
                report = self._one_life(home, world, server.urls["iterable"], deadly)
                ends.append(End(len(world.log), time.monotonic()))
        self.outcome.faults += sum(fault.fired for fault in world.faults)
        vendor = world.vendors["iterable"].state()
        judge(self.outcome, self.data, home, vendor, report, world.log, ends, ids=self.kind.ids)

    def _one_life(self, home: Path, world: Deadly, url: str, deadly: bool) -> dict[str, Any] | None:
        """Starts the command; kills it at a moment of its life. The report, if it came so far."""
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
            return finished(home)
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
            kill(process.pid)


def campaigns(folder: Path, kills: int, seed: int, rows: int) -> Iterator[tuple[str, Outcome]]:
    """One campaign per kind of faults, the kills shared among them."""
    for number, kind in enumerate(KINDS):
        share = kills // len(KINDS) + (number < kills % len(KINDS))
        yield kind.name, Campaign(folder / f"kind{number}", seed + number, rows, kind).run(share)
