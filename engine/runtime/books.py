"""The books of a run: counts, tickets and dead letters move together, so that the sums always hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import msgspec

from engine.model import Failure, Malformed, Response, Rows, Verdict, WireRequest
from engine.runtime.clock import Clock, iso
from engine.runtime.counts import Counts
from engine.runtime.deadletters import DeadLetter, DeadLetters, letter_id
from engine.runtime.lanes import Item
from engine.runtime.ledger import settle_all

BODY_SHOWN = 2000  # characters of an answer that a dead letter keeps


@dataclass(frozen=True, slots=True)
class Exchange:
    """The request and the answer that decided a payload's fate."""

    request: WireRequest
    response: Response | None

    def without_body(self) -> Exchange:
        """The same, without what the answer says."""
        return self if self.response is None else replace(self, response=replace(self.response, body=b""))


class Own(NamedTuple):
    """What is one process's of a micro-batch that several read."""

    rows: dict[str, bytearray]  # for each mapping of the source a byte for each row: 1 is its own
    malformed: set[int]  # rows


class Books:
    """`sources` says which source each mapping reads, `actions` what it is sent to (`sink.action`)."""

    def __init__(
        self, pipeline: str, run_id: str, counts: Counts, letters: DeadLetters, clock: Clock,
        sources: Mapping[str, str], actions: Mapping[str, str],
        key_of: Callable[[str, Rows, int], Any],
    ) -> None:  # fmt: skip
        self.pipeline, self.run_id, self.counts, self._letters, self._clock = pipeline, run_id, counts, letters, clock
        self._sources, self._actions, self._key_of = sources, actions, key_of
        self.settled = 0  # payloads whose fate became known since the last commit

    # --- rows -------------------------------------------------------------------------------------------

    def read(self, source: str, rows: Rows, new: int) -> None:
        """A micro-batch came in; its last `new` rows were not counted by an earlier start."""
        first_new = len(rows) - new
        bad = [row for row in rows.malformed if row.row >= first_new]
        count = self.counts.sources[source]
        count.read += new
        count.malformed += len(bad)
        for row in bad:
            self._bury_malformed(source, rows, row)
        for mapping, its_source in self._sources.items():
            if its_source == source:
                self.counts.mappings[mapping].records += new - len(bad)

    def read_own(self, source: str, rows: Rows, new: int, own: Own) -> None:
        """The same where other processes read the source, too: only what is this one's is counted."""
        first_new = len(rows) - new
        bad = [row for row in rows.malformed if row.row >= first_new and row.row in own.malformed]
        count = self.counts.sources[source]
        count.read += next(iter(own.rows.values())).count(1, first_new) + len(bad)
        count.malformed += len(bad)
        for row in bad:
            self._bury_malformed(source, rows, row)
        for mapping, records in own.rows.items():
            self.counts.mappings[mapping].records += records.count(1, first_new)

    def filtered(self, mapping: str, records: int) -> None:
        self.counts.mappings[mapping].filtered += records

    def failed(
        self, mapping: str, rows: Rows, failures: Iterable[tuple[int, Failure]], stage: str = "mapping"
    ) -> None:
        """Records whose mapping (or lookup) failed."""
        for record, failure in failures:
            self.counts.mappings[mapping].failed += 1
            self._bury(mapping, rows, record, -1, stage, failure)

    # --- payloads -----------------------------------------------------------------------------------------

    def delivered(self, items: Sequence[Item]) -> None:
        """The vendor took all of these."""
        settle_all(items)
        self._count_delivered(items)
        self.settled += len(items)

    def written(self, items: Sequence[Item]) -> None:
        """A writer took all of these, of one mapping and micro-batch. They are durable with the next commit."""
        ticket = items[0].ticket if items else None
        if ticket is not None and not ticket.elements and ticket.left == len(items):
            ticket.settle_rest()
        else:
            settle_all(items)
        self._count_delivered(items)

    def _count_delivered(self, items: Sequence[Item]) -> None:
        if len(items) == 1:
            numbers = {items[0].ticket.mapping: 1}
        else:
            numbers = Counter([item.ticket.mapping for item in items])
        for mapping, number in numbers.items():
            count = self.counts.mappings[mapping]
            count.payloads += number
            count.delivered += number

    def judged(self, item: Item, verdict: Verdict, exchange: Exchange | None) -> None:
        """The vendor (or the writer) said of one payload what became of it."""
        mapping = item.ticket.mapping
        self._count(mapping, verdict.outcome)
        if verdict.outcome != "dropped":  # an erased person is named nowhere
            rows = item.ticket.rows
            record = item.row if rows.numbers is None else rows.numbers.index(item.row)
            failure = Failure(verdict.code, verdict.reason)
            payload = msgspec.json.decode(item.body)
            self._bury(mapping, rows, record, item.element, "vendor", failure, payload, exchange)
        item.ticket.settle(item.row, item.element)
        self.settled += 1

    def rejected(self, mapping: str, rows: Rows, record: int, element: int, failure: Failure, payload: Any) -> None:
        """A payload that its schema refuses. Its ticket is the caller's to settle."""
        self._count(mapping, "rejected")
        self._bury(mapping, rows, record, element, "payload", failure, payload)

    def _count(self, mapping: str, outcome: str) -> None:
        count = self.counts.mappings[mapping]
        count.payloads += 1
        setattr(count, outcome, getattr(count, outcome) + 1)

    # --- dead letters --------------------------------------------------------------------------------------

    def _bury(
        self, mapping: str, rows: Rows, record: int, element: int, stage: str, failure: Failure,
        payload: Any = None, exchange: Exchange | None = None,
    ) -> None:  # fmt: skip
        source = self._sources[mapping]
        line, offset = rows.locate(rows.row(record))
        reason = f"{failure.field}: {failure.reason}" if failure.field else failure.reason
        if failure.field and failure.reason.startswith(f"{failure.field}:"):
            reason = failure.reason
        self._letters.add(DeadLetter(
            id=letter_id(self.pipeline, source, mapping, rows.file, offset, element),
            run_id=self.run_id, pipeline=self.pipeline, source=source, mapping=mapping,
            action=self._actions[mapping], key=self._key_of(source, rows, record),
            origin={"file": rows.file, "line": line, "offset": offset},
            stage=stage, code=failure.code, reason=reason, record=rows.record(record), payload=payload,
            request=_request(exchange), response=_response(exchange), at=iso(self._clock.time()),
        ))  # fmt: skip

    def _bury_malformed(self, source: str, rows: Rows, row: Malformed) -> None:
        line, offset = rows.locate(row.row)
        self._letters.add(DeadLetter(
            id=letter_id(self.pipeline, source, "", rows.file, offset, -1),
            run_id=self.run_id, pipeline=self.pipeline, source=source, mapping=None, action=None, key=None,
            origin={"file": rows.file, "line": line, "offset": offset},
            stage="source", code=row.code, reason=row.reason, record=row.raw, payload=None,
            request=None, response=None, at=iso(self._clock.time()),
        ))  # fmt: skip


def _request(exchange: Exchange | None) -> Any:
    return {"method": exchange.request.method, "url": exchange.request.url} if exchange else None


def _response(exchange: Exchange | None) -> Any:
    if exchange is None or exchange.response is None:
        return None
    return {"status": exchange.response.status, "body": exchange.response.text[:BODY_SHOWN]}
