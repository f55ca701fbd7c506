"""When requests go out: at their bucket's pace, after the waits that were set, hardly any while a vendor is down."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random

from engine.runtime.clock import Clock
from engine.runtime.line import Line
from engine.runtime.outage import Outage
from engine.runtime.rate import Bucket
from engine.runtime.talks import Talk
from engine.runtime.transport import Transport


class Departures:
    """`guarded` does a step of a talk, and sees to what it raises. After `stop` nothing new is sent."""

    def __init__(
        self, transport: Transport, clock: Clock, chance: Random, guarded: Callable[[Talk, Callable[[], None]], None]
    ) -> None:
        self._transport, self._clock, self._chance, self._guarded = transport, clock, chance, guarded
        self._flying: dict[int, Talk] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._lines: dict[Bucket, Line] = {}
        self._outages: dict[int, Outage] = {}  # by the account's own `id`: an account lives as long as the run
        self._numbers = count()
        self.stopped = False

    def landed(self, token: int) -> Talk | None:
        """Whose answer has come in."""
        return self._flying.pop(token, None)

    def due(self) -> Callable[[], None] | None:
        """What is to be done now, of what waited for its moment."""
        if self._timers and self._timers[0][0] <= self._clock.now():
            return heapq.heappop(self._timers)[2]
        return None

    def deadline(self) -> float | None:
        return self._timers[0][0] if self._timers else None

    def stop(self) -> None:
        """What waits for its moment is abandoned, what flies may still arrive."""
        self.stopped = True
        self._timers.clear()

    @property
    def flying(self) -> list[Talk]:
        """Whose requests are in flight."""
        return list(self._flying.values())

    @property
    def in_flight(self) -> int:
        return len(self._flying)

    def waits(self) -> list[str]:
        """Whom the run waits for, in words."""
        now = self._clock.now()
        return [words for outage in self._outages.values() if (words := outage.words(now)) is not None]

    # --- when to send -----------------------------------------------------------------------------------------

    def go(self, talk: Talk) -> None:
        """Into the line of its bucket; while the vendor is down, to those who wait for it to be back."""
        if self._held(talk):
            return
        line = self._lines.get(talk.bucket)
        if line is None:
            line = self._lines[talk.bucket] = Line(talk.bucket)
        line.join(talk, self._clock.now())
        self._serve(line)

    def _serve(self, line: Line) -> None:
        """Sends whose place has come, and looks again when the next one comes."""
        while not self.stopped and (talk := line.next(self._clock.now())) is not None:
            self._guarded(talk, partial(self._launch, talk))
        if line.wake is not None and line.wake != line.timer:
            line.timer = line.wake
            self.at(line.wake, partial(self._serve, line))

    def at(self, moment: float, act: Callable[[], None]) -> None:
        """Does it at that moment."""
        if not self.stopped:
            heapq.heappush(self._timers, (moment, next(self._numbers), act))

    def _launch(self, talk: Talk) -> None:
        if self.stopped or self._held(talk):
            return  # abandoned: its payloads stay open, the next start sends them
        assert talk.wire is not None
        token = next(self._numbers)
        self._flying[token] = talk
        talk.account.counts.requests += 1
        talk.account.counts.bytes += len(talk.wire.body)
        timeout = talk.request.timeout if talk.request else None
        try:
            self._transport.start(talk.wire, token, timeout or talk.account.timeout)
        except BaseException:
            del self._flying[token]  # nobody will answer it
            raise

    # --- while a vendor is down -----------------------------------------------------------------------------------

    def outage(self, talk: Talk) -> Outage:
        """What is known of the service of the talk's account."""
        account = talk.account
        found = self._outages.get(id(account))
        if found is None:
            found = self._outages[id(account)] = Outage(account.name, account.retry)
        return found

    def _held(self, talk: Talk) -> bool:
        outage = self.outage(talk)
        if not outage.holds(talk):
            return False
        outage.park(talk)
        self.ask_later(outage, outage.wait(self._chance))
        return True

    def ask_later(self, outage: Outage, wait: float) -> None:
        """Somebody asks whether the vendor is back, `wait` seconds after the last failure, if anybody waits."""
        moment = outage.ask_at(self._clock.now(), wait)
        if moment is not None:
            self.at(moment, partial(self._ask, outage))

    def _ask(self, outage: Outage) -> None:
        if (talk := outage.ask()) is not None:
            self.go(talk)

    def answered(self, talk: Talk) -> None:
        """The vendor is there: who waited for it goes."""
        outage = self.outage(talk)
        if outage.since is not None:
            for waiting in list(outage.answered()):
                self.go(waiting)
