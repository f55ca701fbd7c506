"""When a vendor is down: one request at a time asks whether it is back, all others of that account wait.

| it is | when | then |
| --- | --- | --- |
| up | an answer that is none of those below came last | everybody goes |
| in doubt | no answer, 408, 425, 5xx, unreadable: fewer than `DOWN_AFTER` in a row | who failed goes again, later |
| down | `DOWN_AFTER` in a row | one goes, after a growing wait; another one the next time |
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from random import Random

from engine.config.pipeline import Retry
from engine.errors import NoAnswer, NotNow, Unreadable
from engine.runtime.retry import RETRY_AFTER_CAP, probe_wait
from engine.runtime.talks import Talk

DOWN_AFTER = 5  # failures in a row, of whichever requests
NO_SERVICE = {408, 425}


class Outage:
    """What is known of one account's service. Moments are in seconds of the clock that is handed in."""

    def __init__(self, name: str, retry: Retry) -> None:
        self.name = name
        self._retry = retry
        self.since: float | None = None  # the first failure after which nothing succeeded
        self.failures = 0  # since then
        self.probes = 0  # of them, those that asked whether it is back
        self.reason = ""
        self.next: float | None = None  # when somebody asks again
        self._last = 0.0
        self._waiting: deque[Talk] = deque()
        self._probe: Talk | None = None

    @property
    def down(self) -> bool:
        return self.failures >= DOWN_AFTER

    def holds(self, talk: Talk) -> bool:
        """Has this talk to wait? Who cannot wait, since its conversation goes on without an answer, never has."""
        return self.down and talk is not self._probe and (talk.request is None or talk.request.patient)

    def failed(self, talk: Talk, error: NotNow, now: float) -> None:
        """A request came to nothing, and the service is to blame."""
        if self.since is None or now - self._last > 2 * max(self._retry.max, RETRY_AFTER_CAP):
            # What is long past says nothing of today, except that who waited for the answer still waits.
            self.since, self.failures, self.probes = now, DOWN_AFTER if self._waiting else 0, 0
        self._last, self.reason = now, error.reason
        self.failures += 1
        if self._probe is talk:
            self.probes += 1
            self._probe = None

    def answered(self) -> Iterator[Talk]:
        """It works: all who waited go."""
        self.since, self.failures, self.probes, self.next, self._probe = None, 0, 0, None, None
        while self._waiting:
            yield self._waiting.popleft()

    def park(self, talk: Talk) -> None:
        self._waiting.append(talk)

    def wait(self, chance: Random) -> float:
        """Seconds between the last failure and the next question."""
        return probe_wait(self._retry, self.probes + 1, chance)

    def ask_at(self, now: float, wait: float) -> float | None:
        """When somebody is to ask, `wait` after the last failure; None where that is settled already."""
        if not self.down or self._probe is not None or self.next is not None or not self._waiting:
            return None
        self.next = max(now, self._last + wait)
        return self.next

    def ask(self) -> Talk | None:
        """Who asks now."""
        self.next = None
        if self.down and self._probe is None and self._waiting:
            self._probe = self._waiting.popleft()
            return self._probe
        return None

    def forget(self) -> Iterator[Talk]:
        """Patience is at its end: all who waited are to give up."""
        while self._waiting:
            yield self._waiting.popleft()

    def words(self, now: float) -> str | None:
        """What the run waits for, for people; None where it does not."""
        if not self.down or self.since is None:
            return None
        again = "asking again now" if self.next is None else f"asking again in {max(0.0, self.next - now):.0f} s"
        left = max(0.0, self.since + self._retry.give_up_after - now)
        return (
            f"{self.name} has not answered usably for {now - self.since:.0f} s ({self.reason}); "
            f"{again}, giving up in {left:.0f} s"
        )


def is_down(talk: Talk, error: NotNow) -> bool:
    """Is the service to blame, rather than the pace or a payload?"""
    if isinstance(error, (NoAnswer, Unreadable)):
        return True
    answer = talk.exchange.response if talk.exchange else None
    return answer is not None and (answer.status >= 500 or answer.status in NO_SERVICE)
