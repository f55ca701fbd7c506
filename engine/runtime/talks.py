"""Conversations: what the courier carries on. A `BatchTalk` delivers payloads, a `LookupTalk` asks for a value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from engine.config.pipeline import Retry
from engine.errors import Halt, NotNow
from engine.model import Failure, Payloads, Request, Verdict, WireRequest
from engine.plugin import Vendor
from engine.runtime.books import Exchange
from engine.runtime.counts import SinkCounts
from engine.runtime.lanes import Batch, Item, Lane, Lanes, weight
from engine.runtime.rate import Bucket


class Account(Protocol):
    """With whom one talks: a sink or a lookup."""

    name: str
    vendor: Vendor
    counts: SinkCounts
    retry: Retry
    timeout: float

    def wire(self, request: Request) -> WireRequest: ...


Parameters = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Group:
    """What payloads of one request have in common: the action's own group, and its parameters beside the payloads."""

    own: Any
    parameters: Parameters


class Settler(Protocol):
    """What is told of payloads; `Books` is one."""

    def delivered(self, items: list[Item]) -> None: ...

    def judged(self, item: Item, verdict: Verdict, exchange: Exchange | None) -> None: ...


class Talk:
    """One conversation. `steps` is the vendor's generator; `finish` takes what it returns."""

    def __init__(self, account: Account, bucket: Bucket, payloads: Payloads) -> None:
        self.account, self.bucket, self.payloads = account, bucket, payloads
        self.steps: Any = None
        self.request: Request | None = None
        self.wire: WireRequest | None = None
        self.exchange: Exchange | None = None
        self.attempts = 0  # of the present request
        self.since: float | None = None  # when the present request first failed

    def open(self) -> Any:
        """A new generator of the vendor's."""
        raise NotImplementedError

    def finish(self, value: Any) -> None:
        """The conversation is over. Raises `NotNow` where it has to be held again."""
        raise NotImplementedError

    def judge(self, verdicts: Mapping[int, Verdict]) -> None:
        """The vendor's `refusal` said what became of each payload."""
        raise NotImplementedError

    def split(self, verdict: Verdict) -> None:
        """Refused as a whole: halves go again; of one alone `verdict` is the end."""
        raise NotImplementedError

    def in_doubt(self, error: NotNow) -> bool:
        """Perhaps it was done, perhaps not. True: the talk has seen to it, and is over."""
        return False

    def give_up(self, error: Halt) -> None:
        """No usable answer, and patience is at its end: the run halts, unless the talk can do without."""
        raise error


class BatchTalk(Talk):
    """A batch on its way. While it lasts its lane is busy."""

    def __init__(
        self, sink: Any, lane: Lane, batch: Batch, settler: Settler,
    ) -> None:  # fmt: skip
        super().__init__(sink, batch.action.bucket, Payloads([item.body for item in batch.items]))
        self.lane, self.batch, self._settler = lane, batch, settler
        self._lanes: Lanes = sink.lanes
        lane.busy = self

    def open(self) -> Any:
        group = self.batch.group
        return self.batch.action.method(self.payloads, **dict(group.parameters if isinstance(group, Group) else ()))

    def finish(self, value: Any) -> None:
        self.judge(value or {})

    def judge(self, verdicts: Mapping[int, Verdict]) -> None:
        """What the verdicts do not name was delivered."""
        items = self.batch.items
        if not verdicts:
            self._lanes.settled(len(items), self.batch.weight)
            self._settler.delivered(items)
            self._release([])
            return
        once_more = [items[i] for i, verdict in sorted(verdicts.items()) if verdict.outcome == "again"]
        if once_more and len(items) == 1:
            raise NotNow(verdicts[0].reason)
        exchange = self.exchange
        if exchange is not None and any(verdict.outcome == "dropped" for verdict in verdicts.values()):
            exchange = exchange.without_body()  # it names people who were erased
        for position, item in enumerate(items):
            verdict = verdicts.get(position)
            if verdict is None:
                self._settler.delivered([item])
            elif verdict.outcome != "again":
                self._settler.judged(item, verdict, exchange)
        self._lanes.settled(len(items) - len(once_more), self.batch.weight - weight(once_more))
        self._release(once_more)

    def in_doubt(self, error: NotNow) -> bool:
        """What would double if it were sent again is unknown now: a dead letter says so. The rest goes again."""
        may = self.batch.action.repeatable
        if may is None or all(may(payload) for payload in self.payloads):
            return False
        rest, lost = Verdict("again", "in-doubt", error.reason), Verdict("unknown", "in-doubt", error.reason)
        self.judge({n: rest if may(payload) else lost for n, payload in enumerate(self.payloads)})
        return True

    def split(self, verdict: Verdict) -> None:
        if len(self.batch.items) == 1:
            self.judge({0: verdict})
        else:
            self._release(self.batch.items)

    def _release(self, rest: list[Item]) -> None:
        """Frees the lane; what is left of the batch goes first, in halves."""
        middle = (len(rest) + 1) // 2
        for items in (rest[middle:], rest[:middle]):
            if items:
                self.lane.queue.appendleft(self.batch.part(items))
        self.lane.busy = None


class LookupTalk(Talk):
    """A question about one record. `done` is given the answer, or the failure."""

    def __init__(
        self, account: Account, bucket: Bucket, ask: Callable[[], Any], parameters: bytes,
        done: Callable[[Any], None], *, halts: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(account, bucket, Payloads([msgspec.Raw(parameters)]))
        self._ask, self._done, self._halts = ask, done, halts

    def open(self) -> Any:
        return self._ask()

    def finish(self, value: Any) -> None:
        self._done(value)

    def judge(self, verdicts: Mapping[int, Verdict]) -> None:
        verdict = verdicts.get(0, Verdict("rejected", "refused", "the vendor gave no reason"))
        if verdict.outcome == "again":
            raise NotNow(verdict.reason)
        self.split(verdict)

    def split(self, verdict: Verdict) -> None:
        self._done(Failure(verdict.code, verdict.reason))

    def give_up(self, error: Halt) -> None:
        if self._halts:
            raise error
        self._done(Failure(error.code, error.reason))
