"""One run shared by several processes: one lock, one ledger, one report, one file of dead letters, one pace.

This process holds the lock, decides who reads what, adds up what the others tell, and joins the files that they
wrote. It sends nothing itself.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import msgspec

from engine.config.pipeline import Pipeline
from engine.errors import EngineError, Halt, Refused
from engine.registry import Registry
from engine.runners.crew import Crew, DefectInWorker
from engine.runners.local import Options, Outcome, expect_workers, judged, planned, report_of
from engine.runners.namesakes import namesake
from engine.runners.relay import Handle, served
from engine.runners.shares import Share, refuse, resumed, shares_of
from engine.runners.worker import Job
from engine.runtime.clock import iso
from engine.runtime.counts import Counts, total
from engine.runtime.deadletters import EXAMPLES
from engine.runtime.events import Progress
from engine.runtime.limits import too_many
from engine.runtime.masks import Masker
from engine.runtime.plan import DEFAULT_CONCURRENCY, Plan
from engine.runtime.sinks import WriterSink
from engine.runtime.state import Head, State, moved_aside
from engine.runtime.work import fits, new_head

LISTEN = 0.2  # seconds between two looks at the sum of what the workers tell


def run_workers(
    pipeline: Pipeline, registry: Registry, options: Options, of: int, vendors: Handle | None = None
) -> Outcome:
    """`run_pipeline` by `of` processes. `vendors` answers in place of the network, for all of them.

    Raises `InvalidPipeline` where the run cannot be shared, and what `run_pipeline` raises.
    """
    state = State(pipeline.state, pipeline.name)
    run_id, clock = f"{options.chance.getrandbits(64):016x}", options.clock
    try:
        with state.lock({"run": run_id, "since": iso(clock.time())}) as lock:
            moved = state.reset(clock.time()) if options.fresh else None
            state.try_writing()
            head, _ = state.load()
            expect_workers(pipeline.name, head, of)
            started = clock.time() if head is None else head.started_at
            run = {"id": run_id if head is None else head.run_id, "started_at": iso(started)}
            plan = planned(pipeline, registry, run)
            if head is not None:
                fits(head, plan)
            refuse(plan, options.limit)
            together = Together(plan, registry, options, state, lock, of, head)
            aside = None if moved is None else moved_aside(moved)
            for text in (aside, namesake(state, pipeline, unfinished=head is not None)):
                if text is not None:
                    together.tell(text)
            return together.run(run["id"], vendors)
    finally:
        state.close()


class Together:
    """A run of several processes. `head` is what an earlier start left, if there was one."""

    def __init__(
        self, plan: Plan, registry: Registry, options: Options, state: State, lock: int, of: int, head: Head | None
    ) -> None:
        self._plan, self._registry, self._options, self._state, self._of = plan, registry, options, state, of
        self._clock, self._began = options.clock, options.clock.now()
        self._resumed, self._before = head is not None, head.seconds if head else 0.0
        self._known = head
        self._lock = lock
        self._notes: dict[str, int] = {}
        self._interrupts = 0
        self._halt: Halt | None = None

    def run(self, run_id: str, vendors: Handle | None) -> Outcome:
        crew = Crew(self._of, self._lock, self._clock)  # first: they take their time to start
        try:
            self._head = self._begun(run_id)
            for worker, (share, _) in zip(crew.workers, self._state.shares(self._head), strict=True):
                worker.known = share.counts  # errors are judged over all, also of those that have not spoken yet
            shares = msgspec.convert(self._head.shares, list[Share])
            with self._interruptible(), served(vendors) if vendors else nullcontext() as address:
                for worker, job in zip(crew.workers, self._jobs(shares, address), strict=True):
                    worker.send(job)
                self._follow(crew)
        except DefectInWorker as error:
            self._options.observer.say(f"a worker met a defect of ours: {error}")
            raise
        finally:
            crew.close()
        return self._ended(crew)

    # --- the beginning -----------------------------------------------------------------------------------------

    def _begun(self, run_id: str) -> Head:
        if self._known is not None:
            shares = resumed(self._plan, self._known.shares, self._of)
            self._known.shares = msgspec.to_builtins(shares)
            return self._known
        shares = shares_of(self._plan, self._of, self.tell)
        head = new_head(self._plan, run_id, self._clock)
        head.workers, head.shares = self._of, msgspec.to_builtins(shares)
        self._state.begin_shares(head)
        return head

    def tell(self, text: str) -> None:
        """Says it at once, and has the report's warnings say it too."""
        self._options.observer.say(text)
        self._notes[text] = 1

    def _jobs(self, shares: list[Share], address: Any) -> Iterator[Job]:
        head, options = self._head, self._options
        for number, share in enumerate(shares):
            yield Job(
                divided(self._plan, number, self._of), self._registry.plugins, head.run_id, head.started_at, number,
                self._of, share, options.secrets, options.chance.getrandbits(64), address,
            )  # fmt: skip

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        if not self._options.signals:
            yield
            return
        signals = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(number, lambda *_: self.interrupt()) for number in signals]
        try:
            yield
        finally:
            for number, handler in zip(signals, before, strict=True):
                signal.signal(number, handler)

    def interrupt(self) -> None:
        """As `Run.interrupt` does, for all of them."""
        self._interrupts += 1

    # --- while it goes on --------------------------------------------------------------------------------------

    def _follow(self, crew: Crew) -> None:
        while crew.working:
            for text in crew.hear(LISTEN):
                self._options.observer.say(text)
            counts = self._total(worker.counts for worker in crew.workers)
            self._judge(counts)
            failed = self._halt is not None or any(worker.ended and worker.ended.error for worker in crew.workers)
            crew.stop(max(self._interrupts, int(failed)))
            said = [worker.progress for worker in crew.working if worker.progress]
            self._options.observer.progress(
                Progress(self._seconds, counts, sum(one.in_flight for one in said),
                         sum(one.open_rows for one in said), any(one.reading for one in said))
            )  # fmt: skip

    def _judge(self, counts: Counts) -> None:
        reason = too_many(counts, self._plan.pipeline.errors)
        if reason is not None and self._halt is None:
            self._halt = Halt(reason, code="too-many-errors")

    @property
    def _seconds(self) -> float:
        return self._clock.now() - self._began

    # --- the end -----------------------------------------------------------------------------------------------

    def _ended(self, crew: Crew) -> Outcome:
        ends = [worker.ended for worker in crew.workers if worker.ended is not None]
        head = self._head
        kept = [share.counts for share, _ in self._state.shares(head)]  # of those that could not tell
        head.counts = self._total(
            end.counts if end.counts.sources else old for end, old in zip(ends, kept, strict=True)
        )
        head.counts.notes |= self._notes
        head.seconds, head.abandoned = self._before + self._seconds, sum(end.abandoned for end in ends)
        self._judge(head.counts)
        error = worst([self._halt, *(end.error for end in ends)])
        examples = tuple(text for end in ends for text in end.examples)[:EXAMPLES]
        complete = error is None and all(end.complete for end in ends)
        writers = _Joined(self._plan, [end.writers for end in ends], self._of)
        try:
            if complete:
                writers.finish()
            outcome = self._outcome(error, not complete, examples)
            self._enter(Masker(self._options.secrets).value(outcome.report), complete)
        except (Halt, Refused) as late:
            writers.keep()
            return self._outcome(error or late, not complete, examples)
        finally:
            writers.close()
        return outcome

    def _total(self, counts: Iterable[Counts]) -> Counts:
        """The sum; what nobody has counted yet is zero."""
        return total([new_head(self._plan, "", self._clock).counts, *counts])

    def _outcome(self, error: EngineError | None, interrupted: bool, examples: tuple[str, ...]) -> Outcome:
        head, pipeline = self._head, self._plan.pipeline
        status, code = judged(error, interrupted=interrupted, letters=head.counts.dead_letters)
        report = report_of(
            pipeline.name, head, status, error, head.seconds, str(pipeline.dead_letters.path), resumed=self._resumed
        )
        return Outcome({**report, "workers": self._of}, code, error, examples)

    def _enter(self, report: dict[str, Any], complete: bool) -> None:
        if not complete:
            self._state.commit(self._head, [])
        keep: list[str] | None = [] if complete else None
        self._state.finish(self._head.run_id, report["started_at"], report["status"], report, keep=keep)


class _Joined:
    """The files that the workers wrote, one part each. `states` are those of their writers, by sink."""

    def __init__(self, plan: Plan, states: list[Mapping[str, Any]], of: int) -> None:
        self._writers: dict[str, Any] = {n: s.writer for n, s in plan.sinks.items() if isinstance(s, WriterSink)}
        self._states, self._of = states, of

    def finish(self) -> None:
        """Joins them, and puts them under their final names."""
        for name, writer in self._writers.items():
            writer.part(1, self._of)
            writer.open(self._states[0].get(name))
            writer.join([states.get(name) for states in self._states[1:]])
        for writer in self._writers.values():
            writer.finish()

    def keep(self) -> None:
        """The state still speaks of the parts."""
        for writer in self._writers.values():
            if hasattr(writer, "keep_parts"):
                writer.keep_parts()

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


def worst(errors: list[EngineError | None]) -> EngineError | None:
    """The one that decides the exit code: what is wrong for good, then what halted. The first of its kind."""
    there = [error for error in errors if error is not None]
    return min(there, key=lambda error: isinstance(error, Halt), default=None)


def divided(plan: Plan, number: int, of: int) -> Pipeline:
    """The pipeline with this process's part of what may be in flight; at least one request."""
    pipeline = plan.pipeline
    usual = pipeline.delivery.concurrency or DEFAULT_CONCURRENCY

    def part(concurrency: int) -> int:
        return max(1, concurrency // of + (number < concurrency % of))

    return replace(
        pipeline,
        sinks={n: replace(s, concurrency=part(s.concurrency or usual)) for n, s in pipeline.sinks.items()},
        lookups={n: replace(s, concurrency=part(s.concurrency or plan.lookups[n].lookup.concurrency))
                 for n, s in pipeline.lookups.items()},
    )  # fmt: skip
