"""The pace of requests: a bucket per account and endpoint, so that 429 is rare."""

from __future__ import annotations


class Bucket:
    """Lets through `rate` requests a second, evenly spaced, after at most `burst` at once (GCRA).

    `rate` None means no limit of our own; a vendor's Retry-After still pauses it.
    """

    def __init__(self, rate: float | None, burst: int = 1) -> None:
        self._gap = 1.0 / rate if rate else 0.0
        self._slack = self._gap * (max(burst, 1) - 1)
        self._next = float("-inf")  # when the bucket would be empty again
        self._paused = float("-inf")
        self.pauses = 0  # how often somebody said to wait: places taken before the last time are void
        self.throttled = 0.0  # seconds that requests were made to wait

    def reserve(self, now: float) -> float:
        """Takes a place; returns the moment from which the request may go out."""
        due = max(now, self._next - self._slack, self._paused)
        self._next = max(due, self._next) + self._gap
        self.throttled += due - now
        return due

    def pause(self, until: float) -> None:
        """Nobody goes before `until`: the vendor said so. Who had a place takes a new one."""
        self._paused = max(self._paused, until)
        self._next = self._paused
        self.pauses += 1
