"""The line of those who wait for a bucket."""

from __future__ import annotations

from collections import deque

from engine.runtime.rate import Bucket
from engine.runtime.talks import Talk


class Line:
    """Who waits for a bucket, in the order of coming. Only the first has a place: a kill leaves one unused."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.wake: float | None = None  # when to look again; None: nobody waits
        self.timer: float | None = None  # when somebody will
        self._waiting: deque[tuple[float, Talk]] = deque()
        self._place: float | None = None  # of the first
        self._taken_at = 0.0

    def join(self, talk: Talk, now: float) -> None:
        self._waiting.append((now, talk))

    def next(self, now: float) -> Talk | None:
        """Who may go now, and is out of the line then."""
        while self._waiting:
            if self._place is None:
                moment, taken = self.bucket.take(now)
                if not taken:
                    self.wake = moment
                    return None
                self._place, self._taken_at = moment, now
            if self._place > now:
                self.wake = self._place
                return None
            place, self._place = self._place, None
            if self._taken_at < now and self.bucket.paused_until() > place:
                continue  # meanwhile the vendor has said that nobody goes
            joined, talk = self._waiting.popleft()
            talk.account.counts.throttled_seconds += now - joined
            return talk
        self.wake = None
        return None
