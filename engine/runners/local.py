"""Runs a checked pipeline in this process: lock, checkpoint, plan, loop, report."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import msgspec

from engine.config.pipeline import Pipeline
from engine.errors import EngineError, Halt, InvalidPipeline, Refused
from engine.model import Problem
from engine.registry import Registry
from engine.runners.namesakes import namesake
from engine.runtime.clock import Clock, SystemClock, iso
from engine.runtime.disk import room_left
from engine.runtime.events import Observer, Silent
from engine.runtime.ledger import SavedTrack
from engine.runtime.masks import Masker
from engine.runtime.network import over_the_network
from engine.runtime.plan import Plan, build
from engine.runtime.run import Run
from engine.runtime.sinks import VendorSink
from engine.runtime.state import Head, State, moved_aside
from engine.runtime.transport import Transport
from engine.runtime.work import Work, fits

EXIT = {"succeeded": 0, "partial": 1, "halted": 3, "interrupted": 130}


@dataclass
class Options:
    """How to run. `transport` makes one for so many requests in flight; None: over the network."""

    limit: int | None = None
    fresh: bool = False
    dry: bool = False
    secrets: tuple[str, ...] = ()
    transport: Callable[[int, Clock], Transport] | None = None
    clock: Clock = field(default_factory=SystemClock)
    chance: Random = field(default_factory=Random)
    observer: Observer = field(default_factory=Silent)
    signals: bool = False  # SIGINT and SIGTERM interrupt the run
    own_process: bool = True  # nothing else lives in it: the garbage collector may be told to look less often
    prepare: Callable[[Work], None] | None = None  # is shown the run's parts before it begins
    share_pace: bool | None = None  # with other processes, by account; None: where requests leave the process
    began: float | None = None  # when a new run began, in epoch seconds; None: now
    adapt: Callable[[Plan], None] | None = None  # may change the plan before anything is made of it
    aside: str = ""  # a run beside the pipeline's own, with a checkpoint under the pipeline's name and this


@dataclass(frozen=True)
class Outcome:
    """The report and the exit code; `error` says why, where the run did not reach its end by itself."""

    report: dict[str, Any]
    exit: int
    error: EngineError | None = None
    examples: tuple[str, ...] = ()  # the first dead letters, in short


class PlanFailed(InvalidPipeline):
    """The file is wrong after all; `problems` are findings to place in it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def run_pipeline(pipeline: Pipeline, registry: Registry, options: Options) -> Outcome:
    """One run, from the lock to the report.

    Raises `PlanFailed`, and `Refused` or `Halt` where it could not begin.
    """
    state = State(pipeline.state, pipeline.name + options.aside)
    clock = options.clock
    run_id = f"{options.chance.getrandbits(64):016x}"
    try:
        if options.dry:
            return _run(pipeline, registry, options, state, run_id, None, [])
        with state.lock({"run": run_id, "since": iso(clock.time())}):
            if options.fresh and (moved := state.reset(clock.time())) is not None:
                options = _telling(options, moved_aside(moved))
            state.try_writing()
            head, saved = state.load()
            if (shared := namesake(state, pipeline, unfinished=head is not None)) is not None:
                options = _telling(options, shared)
            expect_workers(pipeline.name, head, 1)
            return _run(pipeline, registry, options, state, head.run_id if head else run_id, head, saved)
    finally:
        state.close()


def expect_workers(name: str, head: Head | None, workers: int) -> None:
    """Raises `Refused` where a run that was cut off has other shares than so many processes would take up."""
    if head is not None and head.workers != workers:
        told = f"with --workers {head.workers}" if head.workers > 1 else "without --workers"
        raise Refused(
            f"{name} was cut off in a run {told}, and the positions are those of so many processes; start it "
            "so again to resume, or anew with --fresh (which sends everything again)"
        )


def _run(
    pipeline: Pipeline, registry: Registry, options: Options, state: State, run_id: str,
    head: Head | None, saved: list[SavedTrack],
) -> Outcome:  # fmt: skip
    run, work = prepared(pipeline, registry, options, state, run_id, head, saved)
    try:
        with _interrupting(run, options.signals):
            run.run()
        return _outcome(run, work, Masker(options.secrets))
    finally:
        work.close()  # what finished files were made of goes when the state has forgotten it, not before


def prepared(
    pipeline: Pipeline, registry: Registry, options: Options, state: State, run_id: str,
    head: Head | None, saved: list[SavedTrack],
) -> tuple[Run, Work]:  # fmt: skip
    """A run that may begin, and its parts, which are to be closed. Raises as `run_pipeline` does."""
    started = head.started_at if head else options.clock.time() if options.began is None else options.began
    plan = planned(pipeline, registry, {"id": run_id, "started_at": iso(started)})
    if head is not None:
        fits(head, plan)
    if options.adapt is not None:
        options.adapt(plan)
    transport = _transport(plan, options)
    work = Work(
        plan, state, transport, options.clock, options.chance, Masker(options.secrets),
        run_id=run_id, head=head, saved=saved, limit=options.limit, dry=options.dry,
        share_pace=options.transport is None if options.share_pace is None else options.share_pace,
    )  # fmt: skip
    if options.prepare is not None:
        options.prepare(work)
    run = Run(work, options.observer)
    if options.own_process:
        _spare_the_collector()
    return run, work


def _telling(options: Options, text: str) -> Options:
    """Says it at once, and has the report's warnings say it too."""
    options.observer.say(text)
    before = options.prepare

    def prepare(work: Work) -> None:
        work.counts.notes[text] = 1
        if before is not None:
            before(work)

    return replace(options, prepare=prepare)


def planned(pipeline: Pipeline, registry: Registry, run: dict[str, Any]) -> Plan:
    plan, problems = build(pipeline, registry, run)
    if plan is None:
        raise PlanFailed(problems)
    return plan


def _transport(plan: Plan, options: Options) -> Transport:
    """For all that may be in flight at once: a payload in each lane, and the questions of each lookup."""
    lanes = sum(len(s.lanes.lanes) for s in plan.sinks.values() if isinstance(s, VendorSink))
    questions = sum(lookup.concurrency for lookup in plan.lookups.values())
    make = options.transport or over_the_network
    return make(max(1, lanes + questions), options.clock)


def _spare_the_collector() -> None:
    """What was loaded lives as long as the process, and rows make hardly any cycles: it need not look often.

    Worth about a twentieth of a run's CPU; memory stays flat, since what rows are made of is freed by counting.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@contextmanager
def _interrupting(run: Run, wanted: bool) -> Iterator[None]:
    """SIGINT and SIGTERM interrupt the run while it lasts."""
    if not wanted:
        yield
        return

    def interrupt(*_: Any) -> None:
        run.interrupt()
        run.break_off()

    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


# --- the end ------------------------------------------------------------------------------------------


def _outcome(run: Run, work: Work, mask: Masker) -> Outcome:
    outcome = ended(run, work, run.halted or work.feed.error)
    if not run.complete:
        work.keep_parts()
    if work.dry:
        return outcome
    try:
        _enter(run, work, mask.value(outcome.report))
    except (Halt, Refused) as error:
        work.keep_parts()
        # What was sent was sent: whoever runs it is told so, though the history is not. The first error is the cause.
        return outcome if outcome.error is not None else ended(run, work, error)
    return outcome


def ended(run: Run, work: Work, error: EngineError | None) -> Outcome:
    """What came of a run that `error` ended, or nothing but its own end."""
    status, code = judged(error, interrupted=run.interrupted, letters=work.counts.dead_letters)
    return Outcome(make_report(work, status, error), code, error, tuple(work.letters.examples))


def judged(error: EngineError | None, *, interrupted: bool, letters: int) -> tuple[str, int]:
    """The status and the exit code."""
    if isinstance(error, Refused):
        return "failed", 4
    if isinstance(error, InvalidPipeline):
        return "failed", 2
    status = "interrupted" if interrupted else "partial" if letters else "succeeded"
    status = "halted" if isinstance(error, Halt) else status
    return status, EXIT[status]


def _enter(run: Run, work: Work, report: dict[str, Any]) -> None:
    """Enters the run into the history; a finished one gives its checkpoint up."""
    keep = _kept_sources(work) if run.complete else None
    work.state.finish(work.head.run_id, report["started_at"], report["status"], report, keep=keep)


def _kept_sources(work: Work) -> list[str]:
    return [name for name, plan in work.plan.sources.items() if plan.spec.mode == "append"]


def make_report(work: Work, status: str, error: EngineError | None) -> dict[str, Any]:
    """The run report of `schemas/report.json`."""
    path = None if work.dry else str(work.letters.path)
    report = report_of(work.plan.pipeline.name, work.head, status, error, work.seconds, path, resumed=work.resumed)
    return {**report, "dry_run": True} if work.dry else report


def report_of(
    pipeline: str, head: Head, status: str, error: EngineError | None, seconds: float, letters: str | None,
    *, resumed: bool,
) -> dict[str, Any]:  # fmt: skip
    """The same of any run. `letters` is the path of the dead letters."""
    counts = head.counts
    report: dict[str, Any] = {
        "pipeline": pipeline,
        "run_id": head.run_id,
        "status": status,
        "resumed": resumed,
        "started_at": iso(head.started_at),
        "seconds": round(seconds, 3),
        "sources": msgspec.to_builtins(counts.sources),
        "mappings": msgspec.to_builtins(counts.mappings),
        "sinks": {n: {**msgspec.to_builtins(s), "throttled_seconds": round(s.throttled_seconds, 3)}
                  for n, s in counts.sinks.items()},
        "dead_letters": {"path": letters, "count": counts.dead_letters},
        "warnings": dict(counts.notes),
    }  # fmt: skip
    if head.abandoned:
        report["abandoned"] = head.abandoned
    if error is not None:
        report["error"] = {"reason": f"{error}{_room(error)}", **_placed(error)}
    return report


def _room(error: EngineError) -> str:
    return room_left(error, error.where) if isinstance(error, Halt) and error.where else ""


def _placed(error: EngineError) -> dict[str, str]:
    return {"code": error.code, "where": error.where} if isinstance(error, Halt) else {}
