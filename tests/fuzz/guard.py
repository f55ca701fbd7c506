"""Ends what takes too long or too much: a hang and a bomb are defects like any other."""

from __future__ import annotations

import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SECONDS = 5.0  # of CPU time for one input; the slowest known one takes a tenth
ROOM = 512 << 20  # bytes of address space beyond what the process has at the start


class Hangs(BaseException):
    """The input took longer than `SECONDS` of CPU time. No `Exception`: nothing may catch and bury it."""


def _stop(*_: Any) -> None:
    raise Hangs


def bound_memory() -> None:
    """From here on an allocation beyond `ROOM` is a MemoryError. Only where the system tells its size (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, hard))


def guarded(run: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """The same, ended by `Hangs` when its time is over."""
    signal.signal(signal.SIGVTALRM, _stop)

    def within(data: bytes) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
        try:
            run(data)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    return within
