"""Several runs at once on simulated time: one goes at a time, and time passes when all of them wait."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Together:
    """Runs functions at once, each with a clock of the same time; which of them goes when repeats exactly."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start, self._now = start, 0.0
        self._turn = threading.Condition()
        self._wakes: dict[int, float] = {}  # who waits until when; a number's absence: it goes, or is over
        self._alive: set[int] = set()

    def run(self, *parts: Callable[[Any], Any]) -> list[Any]:
        """Calls each with a clock; gives what they return, or raises what the first one raised."""
        results: list[Any] = [None] * len(parts)
        self._alive = set(range(len(parts)))
        self._wakes = dict.fromkeys(range(len(parts)), 0.0)
        threads = [threading.Thread(target=self._part, args=(n, part, results)) for n, part in enumerate(parts)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive(), "they do not end"
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    def _part(self, number: int, part: Callable[[Any], Any], results: list[Any]) -> None:
        try:
            self._await_turn(number)
            results[number] = part(_Clock(self, number))
        except BaseException as error:
            results[number] = error
        finally:
            with self._turn:
                self._alive.discard(number)
                self._wakes.pop(number, None)
                self._turn.notify_all()

    def _await_turn(self, number: int) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._first() == number)
            self._now = max(self._now, self._wakes.pop(number))

    def _first(self) -> int | None:
        """Whose turn it is, once nobody goes."""
        if self._alive - self._wakes.keys():
            return None
        return min(self._wakes, key=lambda number: (self._wakes[number], number), default=None)

    def now(self) -> float:
        return self._now

    def sleep(self, number: int, seconds: float) -> None:
        with self._turn:
            self._wakes[number] = self._now + max(0.0, seconds)
            self._turn.notify_all()
        self._await_turn(number)


class _Clock:
    def __init__(self, world: Together, number: int) -> None:
        self._world, self._number = world, number

    def now(self) -> float:
        return self._world.now()

    def time(self) -> float:
        return self._world._start + self._world.now()

    def sleep(self, seconds: float) -> None:
        self._world.sleep(self._number, seconds)
