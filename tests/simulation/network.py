"""Time and the network of a simulated world: requests travel, are processed and answered in an order that chance decides."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

from engine.errors import EngineError, NoAnswer
from engine.model import Response, WireRequest
from tests.simulation.points import Points

GRID = 0.01  # seconds; answers come in at such moments, so that some come in together
START = 1_700_000_000.0


class Stuck(BaseException):
    """A run that does not end."""


class Clock:
    """Monotonic time that passes when somebody waits, and a wall clock that may jump."""

    def __init__(self) -> None:
        self.moment, self.skew = 0.0, 0.0

    def now(self) -> float:
        return self.moment

    def time(self) -> float:
        return START + self.moment + self.skew

    def sleep(self, seconds: float) -> None:
        self.moment += max(0.0, seconds)


class Network:
    """A transport. `ask` gives an answer and says whether it is the vendor's own; the witness sees what comes and goes."""

    def __init__(
        self, ask: Callable[[WireRequest], tuple[Response, bool]], clock: Clock, chance: Random, points: Points, witness: Any,
        most_turns: int,
    ) -> None:  # fmt: skip
        self._ask, self._clock, self._chance, self._points, self._witness = ask, clock, chance, points, witness
        self._events: list[tuple[float, int, str, Any]] = []
        self._order = count()
        self._turns = most_turns
        self._woken = False

    def start(self, request: WireRequest, token: int, timeout: float) -> None:
        sent = self._witness.sent(request)
        self._points.reach("request sent")
        now = self._clock.moment
        self._push(now + self._chance.random() * 0.04, "arrives", (request, token, now + timeout, sent))

    def _push(self, moment: float, kind: str, what: Any) -> None:
        heapq.heappush(self._events, (moment, next(self._order), kind, what))

    def wait(self, until: float | None) -> list[tuple[int, Response | EngineError]]:
        self._turns -= 1
        if self._turns < 0:
            raise Stuck
        found: list[tuple[int, Response | EngineError]] = []
        clock = self._clock
        while self._events and not self._woken:
            moment = self._events[0][0]
            if moment > clock.moment and (found or (until is not None and moment > until)):
                break
            clock.moment = max(clock.moment, moment)
            _, _, kind, what = heapq.heappop(self._events)
            if kind == "arrives":
                self._arrives(*what)
            else:
                token, answer, sent, faithful = what
                self._points.reach("answer read")
                self._witness.read(sent, answer, faithful)
                found.append((token, answer))
        if not found and until is not None and not self._woken:
            clock.moment = max(clock.moment, until)
        self._woken = False
        return found

    def _arrives(self, request: WireRequest, token: int, deadline: float, sent: Any) -> None:
        now = self._clock.moment
        answer: Response | EngineError
        faithful = False
        try:
            answer, faithful = self._ask(request)
            self._points.reach("request processed")
            due = self._on_grid(now + answer.delay + self._chance.random() * 0.04)
        except EngineError as error:
            self._points.reach("request processed")
            answer, due = error, self._on_grid(now)
        if due > deadline:
            answer, due = NoAnswer("no answer in time", ambiguous=True), deadline
        self._push(due, "answers", (token, answer, sent, faithful))

    def _on_grid(self, moment: float) -> float:
        return (int(moment / GRID) + 1) * GRID

    def wake(self) -> None:
        self._woken = True

    def close(self) -> None:
        self._events.clear()
