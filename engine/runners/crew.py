"""Starts the processes that share a run, hears what they say, and sees to it that all of them end.

Each is a Python of its own, started anew and not forked: no thread, no handle and no lock of this process is in it
but its end of a pipe and the pipeline's lock, which therefore is held as long as any of them lives.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import wait
from typing import Any

from engine.errors import Halt
from engine.runners.worker import STOP, Defect, Ended, Job
from engine.runtime.clock import Clock
from engine.runtime.counts import Counts
from engine.runtime.events import Progress
from engine.runtime.run import DRAIN

BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from engine.runners.worker import main; main(int(sys.argv[1]))"
)
STDERR = 2  # standard output is for what this process says
PATIENCE = 5.0  # seconds that a worker has to end beyond those for what is in flight


class DefectInWorker(Exception):
    """A defect of ours that showed in a worker."""


class Worker:
    """One process. `progress` is what it said last; `ended` how it ended; `known` what it had counted before."""

    def __init__(self, number: int, lock: int) -> None:
        self.number = number
        self.connection, other = Pipe()
        self.progress: Progress | None = None
        self.ended: Ended | None = None
        self.known = Counts()
        try:
            self.process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-P", "-c", BOOT, str(other.fileno()), json.dumps(sys.path)],
                stdin=subprocess.DEVNULL, stdout=STDERR, pass_fds=(other.fileno(), lock),
            )  # fmt: skip
        finally:
            other.close()

    @property
    def counts(self) -> Counts:
        if self.ended is not None and self.ended.counts.sources:
            return self.ended.counts
        return self.progress.counts if self.progress is not None else self.known

    def send(self, word: Job | bytes) -> None:
        with suppress(OSError):  # it has ended, which is heard
            self.connection.send(word) if isinstance(word, Job) else self.connection.send_bytes(word)

    def hear(self) -> str | None:
        """One message; a text is for people. Raises `DefectInWorker`."""
        try:
            said: Any = self.connection.recv()
        except (EOFError, OSError):
            said = Ended(Counts(), error=self._death())
        if isinstance(said, str):
            return said
        if isinstance(said, Defect):
            raise DefectInWorker(said.what)
        if isinstance(said, Progress):
            self.progress = said
        else:
            self.ended = said
        return None

    def _death(self) -> Halt:
        code = self.process.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Halt(f"worker {self.number + 1} ended before its time ({how})", code="worker-lost")


class Crew:
    """The workers of one run."""

    def __init__(self, of: int, lock: int, clock: Clock) -> None:
        self._clock = clock
        self._orders = 0
        self._stop_by: float | None = None
        self.workers: list[Worker] = []
        with _signals_wait():
            for number in range(of):
                self.workers.append(Worker(number, lock))

    @property
    def working(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.ended is None]

    def hear(self, seconds: float) -> list[str]:
        """Waits for messages for so long at most; gives what is for people."""
        by = {worker.connection: worker for worker in self.working}
        ready: list[Any] = wait(list(by), seconds)
        said = [by[connection].hear() for connection in ready]
        if self._stop_by is not None and self._clock.now() > self._stop_by:
            for worker in self.working:
                worker.process.kill()  # it does not obey; what it had not settled goes again
        return [text for text in said if text is not None]

    def stop(self, orders: int) -> None:
        """Interrupts the workers until they have had so many orders; the second one does not wait."""
        for _ in range(self._orders, orders):
            for worker in self.working:
                worker.send(STOP)
        self._orders = max(self._orders, orders)
        if orders and self._stop_by is None:
            self._stop_by = self._clock.now() + DRAIN + PATIENCE

    def close(self) -> None:
        """Ends them all."""
        for worker in self.workers:
            worker.connection.close()
            if worker.ended is None:
                worker.process.kill()
        for worker in self.workers:
            try:
                worker.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Holds back the signals by which people interrupt a run. Processes started meanwhile never get them: they are
    told by this one, so that a terminal's Ctrl-C is one word, not two."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


__all__ = ["Crew", "DefectInWorker", "Worker"]
