"""One of several processes that share a run: takes its share from the one that started it, and tells how it goes.

It lives no longer than that one: when the pipe between them closes, it sends nothing more, keeps its position, ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from random import Random
from typing import Any

from engine.config.pipeline import Errors, Pipeline
from engine.errors import EngineError
from engine.registry import Registry
from engine.runners.local import Options, prepared
from engine.runners.relay import Address, relayed
from engine.runners.shares import Share, take
from engine.runtime.claims import Claims
from engine.runtime.counts import Counts
from engine.runtime.events import Progress
from engine.runtime.plan import Plan
from engine.runtime.run import DRAIN, Run
from engine.runtime.state import State, share_name
from engine.runtime.work import Work

STOP = b"stop"
NUDGE = signal.SIGUSR1  # from the thread that listens to the one that works


@dataclass(frozen=True)
class Job:
    """What a worker is given. `number` counts from 0."""

    pipeline: Pipeline
    plugins: Mapping[str, Mapping[str, Any]]
    run_id: str
    started_at: float
    number: int
    of: int
    share: Share
    secrets: tuple[str, ...]
    seed: int
    vendors: Address | None  # where pretend vendors are; None: over the network


@dataclass
class Ended:
    """What came of it."""

    counts: Counts
    complete: bool = False
    interrupted: bool = False
    error: EngineError | None = None
    writers: dict[str, Any] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    abandoned: int = 0


@dataclass(frozen=True)
class Defect:
    """A defect of ours, without a word of the data."""

    what: str


class Telling:
    """Observes a run for the process that started it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def progress(self, progress: Progress) -> None:
        self._send(progress)

    def say(self, text: str) -> None:
        self._send(text)

    def _send(self, said: Progress | str) -> None:
        with suppress(OSError):  # nobody listens any more: the run is being interrupted
            self._connection.send(said)


class Ears:
    """Listens to the process that started this one. `run` is what is to be interrupted, once there is one."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._worker = connection, threading.main_thread().ident
        self._run: Run | None = None
        self._stops = 0
        signal.signal(NUDGE, self._nudged)
        threading.Thread(target=self._listen, daemon=True).start()

    def hear_for(self, run: Run) -> None:
        self._run = run
        for _ in range(self._stops):
            run.interrupt()

    def _nudged(self, *_: Any) -> None:
        self._stops += 1
        if self._run is not None:
            self._run.interrupt()

    def _listen(self) -> None:
        with suppress(EOFError, OSError):
            while self._connection.recv_bytes() == STOP:
                self._nudge()
        self._nudge()  # nobody is there any more
        time.sleep(DRAIN + 2)
        os._exit(3)

    def _nudge(self) -> None:
        assert self._worker is not None
        signal.pthread_kill(self._worker, NUDGE)


def main(handle: int) -> None:
    """The whole life of a worker; `handle` is its end of the pipe."""
    connection = Connection(handle)
    try:
        job: Job = connection.recv()
        ears = Ears(connection)
        connection.send(carry_out(job, connection, ears))
    except (EOFError, BrokenPipeError):
        sys.exit(3)
    except Exception as error:
        if os.environ.get("ENGINE_DEBUG"):
            raise
        with suppress(OSError):
            connection.send(Defect(_defect(error)))


def carry_out(job: Job, connection: Connection, ears: Ears) -> Ended:
    """The share, from its checkpoint to its end."""
    pipeline = replace(job.pipeline, errors=Errors(scope=job.pipeline.errors.scope))  # they are judged over the sum
    state = State(pipeline.state, share_name(pipeline.name, job.number + 1, job.of))
    try:
        head, saved = state.load()
        run, work = prepared(
            pipeline, Registry(job.plugins), _options(job, connection), state, job.run_id, head, saved
        )
        try:
            ears.hear_for(run)
            run.run()
        finally:
            work.close()
        return Ended(
            work.counts, run.complete, run.interrupted, run.halted or work.feed.error, work.head.writers,
            tuple(work.letters.examples), work.head.abandoned,
        )  # fmt: skip
    except EngineError as error:
        return Ended(Counts(), error=error)
    finally:
        state.close()


def _options(job: Job, connection: Connection) -> Options:
    def adapt(plan: Plan) -> None:
        take(plan, job.share)
        for sink in plan.sinks.values():
            part = getattr(getattr(sink, "writer", None), "part", None)
            if part is not None:
                part(job.number + 1, job.of)

    def prepare(work: Work) -> None:
        work.head.started_at = job.started_at
        work.letters.shared = True
        work.feed.claims = Claims(work.plan, job.share.keyed, job.number, job.of) if job.share.keyed else None

    vendors = job.vendors
    return Options(
        secrets=job.secrets, chance=Random(job.seed),  # noqa: S311 - for waits
        observer=Telling(connection), adapt=adapt, prepare=prepare, share_pace=True, began=job.started_at,
        transport=None if vendors is None else lambda size, clock: relayed(vendors, size, clock),
    )  # fmt: skip


def _defect(error: Exception) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    place = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else "?"
    return f"{type(error).__name__} at {place}"
