"""One exchange of a vendor's conversation, without a network: what the engine does at once with an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.plugin import (
    Action,
    Halt,
    NoAnswer,
    Note,
    NotNow,
    Payloads,
    Request,
    Response,
    Split,
    TurnedAway,
    Vendor,
    Verdict,
    WireRequest,
)


@dataclass
class Exchanged:
    """What came of one request: the batch's fate, each payload's, and what was said on the way."""

    batch: str
    records: list[Verdict]
    request: Request | None = None
    notes: list[Note] = field(default_factory=list)
    error: Exception | None = None


@dataclass
class Delivered:
    """What became of each payload in the end, and how many requests it took."""

    records: list[Verdict]
    requests: int = 0


SENT = Verdict("sent", "", "")


def encoded(payloads: list[Any]) -> Payloads:
    return Payloads([msgspec.Raw(msgspec.json.encode(payload)) for payload in payloads])


def exchange(vendor: Vendor, action: str, payloads: list[Any], answer: Response | NoAnswer) -> Exchanged:
    """Starts the action, gives its first request the answer, and judges by the engine's table."""
    return _Exchange(vendor, vendor.actions()[action], encoded(payloads)).judge(answer)


def first_request(vendor: Vendor, action: str, payloads: list[Any]) -> Request:
    """The first request of an action."""
    steps = vendor.actions()[action].method(vendor, encoded(payloads))
    said = next(steps)
    while isinstance(said, Note):
        said = next(steps)
    return said


def body(request: Request) -> Any:
    """A request's JSON as the vendor sees it."""
    return msgspec.json.decode(_written(request))


def _written(request: Request) -> bytes:
    def plain(value: Any) -> Any:
        if isinstance(value, Payloads):
            return list(value.raw)
        raise NotImplementedError

    return msgspec.json.encode(request.json, enc_hook=plain)


def deliver(vendor: Vendor, action: str, payloads: list[Any], handle: Callable[[WireRequest], Response]) -> Delivered:
    """Holds conversations until each payload has its verdict: what is to go again goes in halves."""
    done = Delivered([SENT] * len(payloads))
    queue = [list(range(len(payloads)))]
    while queue:
        rows = queue.pop(0)
        first = first_request(vendor, action, [payloads[row] for row in rows])
        answer = handle(WireRequest(first.method, vendor.base_url + first.path, vendor.headers(), _written(first)))
        done.requests += 1
        assert done.requests <= 4 * len(payloads) + 4, "it does not end"
        got = exchange(vendor, action, [payloads[row] for row in rows], answer)
        assert got.batch not in ("retry", "stop"), got.error
        again = [row for row, verdict in zip(rows, got.records, strict=True) if verdict.outcome == "again"]
        for row, verdict in zip(rows, got.records, strict=True):
            done.records[row] = verdict
        middle = (len(again) + 1) // 2
        queue[:0] = [half for half in (again[:middle], again[middle:]) if half]
    return done


class _Exchange:
    def __init__(self, vendor: Vendor, action: Action, payloads: Payloads) -> None:
        self.vendor, self.action, self.payloads = vendor, action, payloads
        self.notes: list[Note] = []
        self.request: Request | None = None

    def judge(self, answer: Response | NoAnswer) -> Exchanged:
        try:
            batch, records = self._ask(answer)
            error = None
        except Split as split:
            batch, records = self._halved(split)
            error = split
        except Halt as halt:
            batch, records = "stop", self._all("halted", halt.code, halt.reason)
            error = halt
        except NotNow as later:
            batch, records = "retry", self._repeated(later)
            error = later
        return Exchanged(batch, records, self.request, self.notes, error)

    def _ask(self, answer: Response | NoAnswer) -> tuple[str, list[Verdict]]:
        steps = self.action.method(self.vendor, self.payloads)
        said = next(steps)
        while not isinstance(said, Request):
            self.notes.append(said)
            said = next(steps)
        self.request = said
        if isinstance(answer, NoAnswer):
            raise answer
        away = self._turned_away(answer) if answer.status >= 300 else None
        if away is not None:
            return away
        try:
            said = steps.send(answer) if answer.status < 300 else steps.throw(TurnedAway(answer))
            while isinstance(said, Note):
                self.notes.append(said)
                said = next(steps)
        except StopIteration as stop:
            return self._named(stop.value or {})
        except TurnedAway:
            raise Split("refused", answer.text) from None
        raise AssertionError(f"a second request: {said}")

    def _turned_away(self, answer: Response) -> tuple[str, list[Verdict]] | None:
        verdicts = self.vendor.refusal(answer, self.payloads)
        if verdicts is not None:
            return self._named(verdicts)
        if answer.status in (401, 403, 404, 405):
            raise Halt(f"HTTP {answer.status}", code="not-authorised")
        if answer.status in (408, 425, 429) or answer.status >= 500:
            raise NotNow(f"HTTP {answer.status}", ambiguous=answer.status >= 500)
        return None

    def _named(self, verdicts: Any) -> tuple[str, list[Verdict]]:
        assert all(0 <= index < len(self.payloads) for index in verdicts)
        records = [verdicts.get(index, SENT) for index in range(len(self.payloads))]
        return ("again" if any(record.outcome == "again" for record in records) else "done"), records

    def _halved(self, split: Split) -> tuple[str, list[Verdict]]:
        if len(self.payloads) == 1:
            return "done", self._all("rejected", split.code, split.reason)
        return "split", self._all("again", split.code, split.reason)

    def _repeated(self, later: NotNow) -> list[Verdict]:
        may = self.action.repeatable
        doubles = [later.ambiguous and may is not None and not may(payload) for payload in self.payloads]
        return [Verdict("unknown" if double else "again", "", later.reason) for double in doubles]

    def _all(self, outcome: str, code: str, reason: str) -> list[Verdict]:
        return [Verdict(outcome, code, reason)] * len(self.payloads)
