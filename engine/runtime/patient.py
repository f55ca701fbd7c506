"""One conversation at a time, held to its end in this thread by the courier: for scripts that want a run's patience.

Waits, retries and the reading of refusals are those of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from random import Random
from typing import Any

from engine.config.pipeline import Retry
from engine.errors import EngineError, Halt
from engine.model import Payloads, Request, Response, Verdict, WireRequest
from engine.plugin import Vendor
from engine.runtime.clock import Clock
from engine.runtime.counts import SinkCounts
from engine.runtime.courier import Courier, Memory
from engine.runtime.rate import Bucket
from engine.runtime.talks import Talk
from engine.runtime.transport import Transport
from engine.runtime.wire import wire


class GivenUp(EngineError):
    """The conversation did not reach its end. `response` is the last answer, if there was one."""

    def __init__(self, code: str, reason: str, response: Response | None) -> None:
        super().__init__(reason)
        self.code, self.reason, self.response = code, reason, response


class Patient:
    """A vendor's account for scripts. `note` is told warnings."""

    def __init__(
        self, vendor: Vendor, transport: Transport, clock: Clock, *, retry: Retry, timeout: float, memory: Memory,
        chance: Random | None = None, note: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        self.name, self.vendor, self.retry, self.timeout = type(vendor).__name__, vendor, retry, timeout
        self.counts = SinkCounts()
        self._transport, self._clock, self._memory, self._note = transport, clock, memory, note
        self._chance = chance or Random()  # noqa: S311 - jitter
        self._bucket = Bucket(None)

    def wire(self, request: Request) -> WireRequest:
        return wire(self.vendor, request)

    def hold(self, steps: Callable[[], Generator[Any, Any, Any]]) -> Any:
        """What the conversation returns; raises `GivenUp`, and what it raises itself."""
        courier = Courier(self._transport, self._clock, self._chance, self._note, memory=self._memory)
        talk = _Held(self, self._bucket, steps)
        courier.begin(talk)
        while not talk.over and courier.halted is None:
            courier.tick()
            for token, answer in self._transport.wait(courier.deadline()):
                courier.take(token, answer)
        self.last = talk.exchange.response if talk.exchange else None
        if courier.halted is not None:
            raise GivenUp(courier.halted.code, courier.halted.reason, self.last) from courier.halted
        return talk.value


class _Held(Talk):
    def __init__(self, account: Any, bucket: Bucket, steps: Callable[[], Generator[Any, Any, Any]]) -> None:
        super().__init__(account, bucket, Payloads([]))
        self._steps = steps
        self.over, self.value = False, None

    def open(self) -> Any:
        return self._steps()

    def finish(self, value: Any) -> None:
        self.over, self.value = True, value

    def judge(self, verdicts: Mapping[int, Verdict]) -> None:
        self.split(next(iter(verdicts.values()), Verdict("rejected", "refused", "the vendor gave no reason")))

    def split(self, verdict: Verdict) -> None:
        raise Halt(verdict.reason, code=verdict.code)
