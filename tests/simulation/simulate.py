"""Runs a schedule: the engine's own runner in a world of memory, started again until it is done."""

from __future__ import annotations

import gc
import gzip
import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import engine.model
import engine.runners.local as local
import engine.runtime.deadletters as deadletters
import engine.runtime.plan as plan_module
import engine.runtime.spool as spool
import engine.runtime.state as state_module
import engine.sinks.file as file_sink
import engine.sinks.part as part
from engine.errors import EngineError
from engine.model import Response, WireRequest
from engine.runtime.run import Run
from engine.runtime.work import Work
from tests.simulation import disk as disks
from tests.simulation.disk import HOME, Disk, Locks, Place, virtual_os
from tests.simulation.network import Clock, Network, Stuck
from tests.simulation.points import Crash, Points
from tests.simulation.schedule import Life, Schedule, name_of
from tests.simulation.shop import REGISTRY, Data, Row, source_of, variant
from tests.simulation.vendors import Vendors, made
from tests.simulation.witness import Finding, Witness

MOST_LIVES = 60
MOST_TURNS = 20_000  # of the loop, in one life
MOST_SECONDS = 6 * 3600.0  # of virtual time, in all lives
LETTERS = f"{HOME}/.engine/dead/shop.jsonl"


@dataclass
class Result:
    """What came of a schedule. `fired` counts faults by kind, `seconds` are virtual."""

    findings: list[Finding] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    planned: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    requests: int = 0
    repeated: int = 0
    seconds: float = 0.0


class Simulation:
    """One schedule, from its first start to the judgement."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.chance = Random(f"{schedule.chance}")
        self.clock, self.disk = Clock(), Disk(self.chance)
        self.data = Data(schedule.shape)
        self._fill(schedule.rows)
        self.witness = Witness(self.data, self.clock, schedule.order, schedule.lanes * max(schedule.batch, 1))
        self.faults = [made(says) for says in schedule.faults]
        self.vendors = Vendors(self.clock, self.witness.effect, self.faults, rates=schedule.paced)
        self.result = Result()
        self.life = Life()
        self._processed = 0
        self._done = 0  # runs that came to their end

    def _fill(self, rows: tuple[Row, ...]) -> None:
        parts = self.schedule.parts
        share = -(-len(rows) // parts)
        for number in range(parts):
            self.data.add(f"customers-{number}.jsonl", list(rows[number * share : (number + 1) * share]))

    # --- the whole ------------------------------------------------------------------------------------------------

    def run(self) -> Result:
        self._until_done(range(len(self.data.rows)))
        if self.schedule.later is not None and not self.witness.findings:
            before = len(self.data.rows)
            self.data.add(f"customers-{self.schedule.parts - 1}.jsonl", list(self.schedule.later))
            self._until_done(range(before, len(self.data.rows)))
            self._again_with_nothing_new()
        self._sum_up()
        return self.result

    def _until_done(self, numbers: range) -> None:
        lives: Iterator[Life] = iter(self.schedule.lives if self.result.lives == 0 else ())
        for _ in range(MOST_LIVES):
            report = self._live(next(lives, Life()))
            if self.witness.findings or self.clock.moment > MOST_SECONDS:
                break
            if report is not None and report["status"] in ("succeeded", "partial"):
                self._done += 1
                self.witness.judge_report(report, numbers)
                self.witness.judge(range(len(self.data.rows)), self._content(LETTERS), self._lines())
                return
        else:
            self.witness.find("stuck", f"not done after {MOST_LIVES} starts")
        if self.clock.moment > MOST_SECONDS:
            self.witness.find("stuck", f"not done after {self.clock.moment:.0f} s")

    def _again_with_nothing_new(self) -> None:
        """What was read to its end is not sent again."""
        if self.witness.findings:
            return
        before = self.witness.requests
        self._live(Life())
        if self.witness.requests > before:
            self.witness.find("resent", "a run with nothing new sent something")

    def _sum_up(self) -> None:
        result, witness = self.result, self.witness
        result.findings = witness.findings
        result.requests, result.repeated, result.seconds = witness.requests, witness.repeated, self.clock.moment
        for one in self.faults:
            name = name_of(dict(one.says))
            result.planned[name] += 1
            if one.fired:
                result.fired[name] += one.fired

    def _content(self, name: str) -> bytes:
        return self.disk.read(name) if name in self.disk.files else b""

    def _lines(self) -> list[int] | None:
        name = f"{HOME}/out.jsonl"
        if name + ".gz" in self.disk.files:
            content = gzip.decompress(self._content(name + ".gz"))
        elif name in self.disk.files:
            content = self._content(name)
        else:
            return None
        return [json.loads(line)["n"] for line in content.splitlines()]

    # --- one life ------------------------------------------------------------------------------------------------

    def _live(self, life: Life) -> dict[str, Any] | None:
        """One start of the engine. Its report, if it lived to write one."""
        self.life, self._processed = life, 0
        self.result.lives += 1
        points = Points(life.death, life.refusal)
        disk, witness = self.disk, self.witness
        virtual_os.disk = disk
        disk.begin(points)
        disk.on_sync = lambda name, content: witness.synced(content) if name == LETTERS else None
        disk.on_commit = lambda: witness.committed(disk.commits)
        witness.life_begins()
        report = self._start(points)
        survived = disk.end()
        if survived is not None:
            witness.synced(disk.files[LETTERS].synced if LETTERS in disk.files else b"")
        refused = life.refusal is not None and points.fired[life.refusal.kind] > 0
        witness.life_is_over(excused=points.dead or refused, survived=survived)
        self._note_fired(life, points)
        return self._report_left() if points.dead else report

    def _report_left(self) -> dict[str, Any] | None:
        """The report of a run that was over when its process died."""
        reports = self.disk.db.execute("SELECT report FROM runs WHERE status IN ('succeeded', 'partial')").fetchall()
        if len(reports) <= self._done:
            return None
        return json.loads(reports[-1][0])

    def _start(self, points: Points) -> dict[str, Any] | None:
        schedule = self.schedule
        pipeline = variant(schedule.shape, schedule.lanes, schedule.batch, schedule.order, schedule.paced)
        mode = "full" if schedule.later is None else "append"
        try:
            outcome = local.run_pipeline(
                source_of(pipeline, self.data, self._next_size, mode), REGISTRY,
                local.Options(clock=self.clock, chance=self.chance, prepare=self._watch,
                              transport=lambda size, clock: self._network(points)),
            )  # fmt: skip
        except Crash:
            self.witness.died()
        except Stuck:
            self.witness.find("stuck", f"more than {MOST_TURNS} turns in one life")
        except EngineError as error:
            self._refused_to_start(error, points)
        except Exception as error:
            self.witness.find("broken", f"{type(error).__name__}: {error}")
        else:
            self._look_at(outcome)
            return outcome.report
        return None

    def _next_size(self) -> int:
        """Rows of the next micro-batch; reading it takes its time."""
        self.clock.sleep(self.chance.random() * 0.06)
        return self.chance.randint(1, self.schedule.block)

    def _refused_to_start(self, error: EngineError, points: Points) -> None:
        """Only a disk that refuses may keep a run from beginning."""
        if not (self.life.refusal and points.fired[self.life.refusal.kind]):
            self.witness.find("broken", f"{type(error).__name__}: {error}")

    def _look_at(self, outcome: local.Outcome) -> None:
        report = outcome.report
        if outcome.exit not in (0, 1, 3, 130):
            self.witness.find("broken", f"exit {outcome.exit}: {outcome.error}")
        for name, m in report["mappings"].items():
            if m["payloads"] != m["delivered"] + m["dropped"] + m["rejected"] + m["unknown"]:
                self.witness.find("sums", f"{name}: {m}")
        bad = sum(m["failed"] + m["rejected"] + m["unknown"] for m in report["mappings"].values())
        if report["dead_letters"]["count"] != bad + report["sources"]["customers"]["malformed"]:
            self.witness.find("sums", f"dead_letters: {report['dead_letters']}")

    def _network(self, points: Points) -> Network:
        return Network(self._ask, self.clock, self.chance, points, self.witness, MOST_TURNS)

    def _watch(self, work: Work) -> None:
        """The witness sees commits, and what the engine takes for settled."""
        delivered, commit, witness = work.books.delivered, work.state.commit, self.witness

        def settled(items: Any) -> None:
            delivered(items)
            witness.settled(items)

        def committing(head: Any, tracks: Any) -> None:
            known = list(tracks)
            witness.committing((head, known))
            try:
                commit(head, known)
            finally:
                witness.committing(None)

        work.books.delivered = settled  # type: ignore[method-assign]
        work.state.commit = committing  # type: ignore[method-assign]

    # --- what the network asks ---------------------------------------------------------------------------

    def _ask(self, request: WireRequest) -> tuple[Response, bool]:
        self._processed += 1
        life = self.life
        if life.jump is not None and self._processed == life.jump[0]:
            self.clock.skew += life.jump[1]
            self.result.fired["clock jump"] += 1
        if life.interrupt is not None and self._processed == life.interrupt:
            self.result.fired["interrupt"] += 1
            Watched.newest.interrupt()
        return self.vendors.answer(request)

    def _note_fired(self, life: Life, points: Points) -> None:
        result = self.result
        result.fired.update(points.fired)
        if life.death:
            result.planned[f"crash {life.death.moment}"] += 1
            result.planned["power cut"] += life.death.power
        if life.refusal:
            result.planned[life.refusal.kind] += 1
        result.planned["interrupt"] += life.interrupt is not None
        result.planned["clock jump"] += life.jump is not None


class Watched(Run):
    """The engine's run, which a simulation can interrupt."""

    newest: Run

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        Watched.newest = self


def _once(function: Callable[..., Any], key: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which is the same for the same arguments: called once for each key."""
    known: dict[Any, Any] = {}

    def remembering(*args: Any, **more: Any) -> Any:
        name = key(*args, **more)
        if name not in known:
            known[name] = (function(*args, **more), args)  # the arguments too: their ids are in the key
        return known[name][0]

    return remembering


_compile = _once(plan_module.compile_mapping, lambda spec, context, columns: (id(spec), context.source_key, columns))
_value = _once(plan_module.compile_value, lambda tree, path, context, columns: (repr(tree), path, columns))
_signature = _once(inspect.signature, lambda plugin: plugin)
_shape = _once(plan_module.payload_schema, lambda schema, action: (id(schema), action))
_check = _once(plan_module.Check, lambda schema: id(schema))


@contextmanager
def virtual_world() -> Iterator[None]:
    """Within it the engine's files, database and locks are in memory, and what is compiled is compiled once."""
    with ExitStack() as stack:
        for module in (deadletters, spool, state_module, part):
            stack.enter_context(patch.object(module, "os", virtual_os))
        for module in (state_module, part):
            stack.enter_context(patch.object(module, "fcntl", Locks()))
        for target, name, instead in (
            (state_module, "connect", disks.connect), (file_sink, "Path", Place), (local, "Run", Watched),
            (local, "_spare_the_collector", lambda: None), (plan_module, "compile_mapping", _compile),
            (plan_module, "compile_value", _value), (plan_module, "payload_schema", _shape),
            (plan_module, "Check", _check), (plan_module, "inspect", SimpleNamespace(signature=_signature)),
        ):  # fmt: skip
            stack.enter_context(patch.object(target, name, instead))
        stack.enter_context(patch.object(engine.model, "open", disks.open_to_read, create=True))
        stack.enter_context(_seldom_collected())
        yield


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """What was loaded lives on: the collector need not look at it, nor often at what a schedule leaves."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def simulate(schedule: Schedule) -> Result:
    """Runs a schedule; within `virtual_world`."""
    return Simulation(schedule).run()
