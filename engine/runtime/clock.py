"""Time is handed in: one object that tells it, so that a test can be that object."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Monotonic seconds: for waits and deadlines."""
        ...

    def time(self) -> float:
        """Seconds since the epoch: for people and logs only."""
        ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class FakeClock:
    """A clock that stands until somebody sleeps: a run of hours takes no time."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start, self._now = start, 0.0

    def now(self) -> float:
        return self._now

    def time(self) -> float:
        return self._start + self._now

    def sleep(self, seconds: float) -> None:
        self._now += max(0.0, seconds)


def iso(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
