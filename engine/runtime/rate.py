"""The pace of requests: a bucket per account and endpoint, so that 429 is rare."""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """When the request may go out; or, where none was taken, when to ask again."""

    moment: float
    taken: bool


class Bucket:
    """Lets through `rate` requests a second, evenly spaced, after at most `burst` at once (GCRA).

    `rate` None means no limit of our own; a vendor's Retry-After still pauses it.
    """

    def __init__(self, rate: float | None, burst: int = 1) -> None:
        self.rate, self.burst = rate, max(burst, 1)
        self.gap = 1.0 / rate if rate else 0.0
        self._next = float("-inf")  # when the bucket would be empty again
        self._paused = float("-inf")

    def take(self, now: float) -> Place:
        """Takes a place."""
        due = max(now, self._next - self.gap * (self.burst - 1), self._paused)
        self._next = max(due, self._next) + self.gap
        return Place(due, True)

    def pause(self, until: float) -> None:
        """Nobody goes before `until`: the vendor said so."""
        self._paused = max(self._paused, until)

    def paused_until(self) -> float:
        """Places before this moment are void."""
        return self._paused

    def close(self) -> None:
        """Lets go of what it shares with others."""
