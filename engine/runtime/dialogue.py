"""One conversation at a time, held to its end in this thread: for scripts, which wait for each answer themselves.

Nothing is sent twice. What is no success is thrown into the conversation, which may catch it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.errors import NotNow, TurnedAway
from engine.model import Request, Response, WireRequest
from engine.plugin import Note, Now, Question, Recall, Remember, Vendor
from engine.runtime.clock import Clock
from engine.runtime.courier import Memory
from engine.runtime.wire import wire

Exchange = Callable[[WireRequest, float], Response]
TIMEOUT = 30.0  # seconds of an exchange that names none


class Dialogue:
    """`exchange` sends a request and gives the answer, or raises `NotNow` or `Halt`; `note` is told warnings."""

    def __init__(
        self, vendor: Vendor, exchange: Exchange, clock: Clock, memory: Memory, note: Callable[[Note], None]
    ) -> None:
        self._vendor, self._exchange, self._clock, self._memory, self._note = vendor, exchange, clock, memory, note

    def hold(self, steps: Question) -> Any:
        """What the conversation returns; raises what it raises."""
        try:
            said = next(steps)
            while True:
                try:
                    answer = self._answer(said)
                except (NotNow, TurnedAway) as error:
                    said = steps.throw(error)
                else:
                    said = steps.send(answer)
        except StopIteration as stop:
            return stop.value

    def _answer(self, said: Any) -> Any:
        if isinstance(said, Request):
            reply = self._exchange(wire(self._vendor, said), said.timeout or TIMEOUT)
            if not 200 <= reply.status < 300:
                raise TurnedAway(reply)
            return reply
        if isinstance(said, Now):
            return self._clock.time()
        if isinstance(said, Recall):
            return self._memory.recall(said.key)
        if isinstance(said, Remember):
            self._memory.remember(said.key, said.value)
        elif isinstance(said, Note):
            self._note(said)
        return None
