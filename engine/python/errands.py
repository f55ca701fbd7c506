"""Payloads of one action, taken to a vendor from a script: checked, batched, paced, retried, judged as in a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from itertools import islice
from random import Random
from typing import Any, cast

import msgspec

from engine.errors import Halt, RecordError
from engine.model import Verdict
from engine.python.results import Result, Stopped
from engine.runtime.books import Exchange
from engine.runtime.clock import Clock
from engine.runtime.courier import Courier, Memory
from engine.runtime.lanes import Item, Lanes
from engine.runtime.ledger import Ticket
from engine.runtime.packing import encoded
from engine.runtime.payloads import REFUSALS, refusal
from engine.runtime.sinks import SinkAction, VendorSink
from engine.runtime.talks import BatchTalk, Group
from engine.runtime.transport import Transport

AT_ONCE = 100  # payloads that are taken from the caller's iterator in one go
ROOM = (2_000, 32_000)  # the fewest and the most payloads that may wait
HEAVY = 64 * 1024 * 1024  # bytes of them
NO_TICKET = cast(Ticket, None)  # a ticket settles a row of a source, and here is none


class Errand:
    """One call of one action. `identify` gives an id to a payload that has none, where the action wants one."""

    def __init__(
        self, sink: VendorSink, action: SinkAction, parameters: Mapping[str, Any], transport: Transport,
        clock: Clock, chance: Random, memory: Memory, identify: Callable[[], str],
    ) -> None:  # fmt: skip
        self._sink, self._action, self._parameters = sink, action, tuple(parameters.items())
        self._transport, self._clock, self._identify = transport, clock, identify
        self._courier = Courier(transport, clock, chance, self._note, memory=memory)
        self._lanes = Lanes(len(sink.lanes.lanes), sink.lanes.order)
        self._room = min(max(ROOM[0], 2 * len(self._lanes.lanes) * action.max_records), ROOM[1])
        sink.lanes = self._lanes
        counts = sink.counts
        self._before = (counts.requests, counts.retries, counts.bytes)
        self.result = Result(0, 0, 0, [])

    def run(self, payloads: Iterable[Any]) -> Result:
        """Sends all of them; raises `Stopped` where the delivery halts before its end."""
        waiting = iter(payloads)
        ended = False
        while self._courier.halted is None and not (ended and not self._lanes.payloads):
            self._courier.tick()
            while not ended and not self._full:
                ended = not self._take(waiting)
            self._send(drain=ended or self._full)
            self._hear()
        while self._courier.flying:  # what is in flight may still be answered
            self._hear()
        self._count()
        if self._courier.halted is not None:
            self._name_open(self._courier.halted)
            for payload in waiting if isinstance(payloads, Sized) else ():  # an iterator keeps what was not taken
                self.result.settle(self.result.expect(), "open", "not-sent", "the delivery halted before", payload)
            raise Stopped(self._courier.halted, self.result)
        return self.result

    # --- what the loop does ---------------------------------------------------------------------------------

    @property
    def _full(self) -> bool:
        return self._lanes.payloads >= self._room or self._lanes.bytes > HEAVY

    def _take(self, waiting: Iterator[Any]) -> bool:
        some = list(islice(waiting, AT_ONCE))
        for payload in some:
            self._enter(self.result.expect(), payload)
        return bool(some)

    def _enter(self, number: int, payload: Any) -> None:
        try:
            fit, body = encoded(self._action, self._identified(payload))
            _finite(payload, body)
        except REFUSALS as error:
            failure = refusal(error)
            reason = f"{failure.field}: {failure.reason}" if failure.field else failure.reason
            self.result.settle(number, "rejected", failure.code, reason, payload)
            return
        action = self._action
        key = action.key(fit) if action.key is not None else None
        own = action.group(msgspec.json.decode(body)) if action.group is not None else None
        group = Group(own, self._parameters) if self._parameters else own
        self._lanes.add(action, group, [Item(body, key, NO_TICKET, number)], self._clock.now())

    def _identified(self, payload: Any) -> Any:
        field = self._action.stable_id
        if field is None or not isinstance(payload, dict) or payload.get(field) not in (None, ""):
            return payload
        return {**payload, field: self._identify()}

    def _send(self, *, drain: bool) -> None:
        for lane, batch in self._lanes.ready(self._clock.now(), None, drain=drain):
            self._courier.begin(BatchTalk(self._sink, lane, batch, self))

    def _hear(self) -> None:
        for token, answer in self._transport.wait(self._courier.deadline()):
            self._courier.take(token, answer)

    def _name_open(self, halt: Halt) -> None:
        """Of what waits or got no answer, the payload is kept, and with it the id that it goes again with."""
        for lane in self._lanes.lanes:
            busy = [lane.busy.batch] if lane.busy is not None else []
            for item in (item for batch in (*busy, *lane.queue, *lane.open.values()) for item in batch.items):
                if self.result[item.row].outcome == "open":
                    self.result.settle(item.row, "open", halt.code, halt.reason, msgspec.json.decode(item.body))

    def _note(self, text: str) -> None:
        if text not in self.result.warnings and len(self.result.warnings) < AT_ONCE:
            self.result.warnings.append(text)

    def _count(self) -> None:
        counts, result = self._sink.counts, self.result
        now = (counts.requests, counts.retries, counts.bytes)
        result.requests, result.retries, result.bytes = (n - b for n, b in zip(now, self._before, strict=True))

    # --- what the courier's talks tell ----------------------------------------------------------------------

    def delivered(self, items: list[Item]) -> None:
        for item in items:
            self.result.settle(item.row, "delivered")

    def judged(self, item: Item, verdict: Verdict, exchange: Exchange | None) -> None:
        payload = None if verdict.outcome == "dropped" else msgspec.json.decode(item.body)
        self.result.settle(item.row, verdict.outcome, verdict.code, verdict.reason, payload)


def _finite(payload: Any, body: bytes) -> None:
    """NaN and infinities are written as null, which says something else: they are refused."""
    if b"null" not in body:
        return
    try:
        json.dumps(payload, allow_nan=False, default=lambda _: 0)
    except ValueError:
        raise RecordError("not-json", "NaN and infinities are no JSON") from None
