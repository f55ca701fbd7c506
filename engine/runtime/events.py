"""What an observer is told: frozen values, never more often than a person can read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from engine.runtime.counts import Counts


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands. `counts` is the run's own object: to read, not to keep."""

    seconds: float
    counts: Counts
    in_flight: int
    open_rows: int
    reading: bool
    waits: tuple[str, ...] = ()  # whom the run waits for, in words


class Observer(Protocol):
    def progress(self, progress: Progress) -> None: ...

    def say(self, text: str) -> None:
        """Something a person should know: a wait, a warning."""
        ...


class Silent:
    """Observes nothing."""

    def progress(self, progress: Progress) -> None: ...

    def say(self, text: str) -> None: ...
