"""The way in: rows are read, mapped, checked, encoded and put into lanes, a micro-batch at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

import msgspec

from engine.errors import InvalidPipeline, Refused
from engine.model import Failure, Mapped, Payloads, Position, Rows
from engine.plugin import Router, Source
from engine.runtime import growth
from engine.runtime.books import Books
from engine.runtime.claims import Claims
from engine.runtime.clock import Clock
from engine.runtime.courier import Courier
from engine.runtime.lanes import Item, Lanes, weight
from engine.runtime.ledger import Ledger, SavedTrack, Ticket, Track
from engine.runtime.lookups import Asker, Pending
from engine.runtime.packing import Packer
from engine.runtime.plan import MappingPlan, Plan, SourcePlan
from engine.runtime.readers import ReaderSource
from engine.runtime.reread import let_go
from engine.runtime.sinks import VendorSink, WriterSink
from engine.runtime.talks import Group, Parameters

Lookups = Mapping[str, Sequence[Any]]
WINDOW = 4  # micro-batches whose lookups may be asked at once
FIRST = 8  # records that are mapped at once where each may make many payloads, before it is known how many
PORTION = 1000  # payloads that are made at once, then
HEAVY = 4096  # bytes of one payload; those of more count as several
NOT_YET: Any = object()
Watch = Callable[[MappingPlan, Rows, Mapped, list[Item], Lookups], None]


class BrokenOff(BaseException):
    """Raised by a signal's handler while a source is read, which may take longer than whoever sent it waits."""


class Feed:
    """Reads the sources in file order, each once. `limit` is in rows per source."""

    def __init__(
        self, plan: Plan, ledger: Ledger, books: Books, clock: Clock, courier: Courier, saved: list[SavedTrack],
        limit: int | None = None,
    ) -> None:  # fmt: skip
        self._plan, self._ledger, self._books, self._clock = plan, ledger, books, clock
        self._saved = {(track.source, track.file): track for track in saved}
        self._askers = {name: Asker(lookup, courier, clock) for name, lookup in plan.lookups.items()}
        self._asked: deque[Pending] = deque()
        self._packer = Packer(plan.pipeline.name, books)
        self._limit, self._courier = limit, courier
        self._batches = self._read()
        self._read_all = self._broken_off = False
        self._inside = False  # a source is being read, of which nothing is taken in yet
        self._at_once: dict[str, int] = {}  # records of a source in a portion
        self._mapping: Iterator[bool] | None = None  # the rest of a micro-batch, a portion at a time
        self._strictly: list[tuple[int, MappingPlan, Item, Parameters]] = []
        self.limited = False  # reading stopped because of the limit
        self.claims: Claims | None = None  # which records are this process's, where several share a source
        self.watch: Watch | None = None  # is shown what each mapping made of each micro-batch
        self.error: Refused | InvalidPipeline | None = None  # the source broke off

    @property
    def ended(self) -> bool:
        """Nothing more will be read or mapped."""
        return self._read_all and not self._asked and self._mapping is None

    def break_off(self) -> None:
        """To be called by a signal's handler: ends the reading of a source, however long that would still take."""
        if self._inside:
            raise BrokenOff

    def verify(self) -> None:
        """Is what an earlier start read still the same? Raises `Refused` before anything is sent."""
        try:
            self._inside = True
            self._verify()
        except BrokenOff:
            self._broken_off = True
        finally:
            self._inside = False

    def _verify(self) -> None:
        for name, source in self._plan.sources.items():
            tracks = [track for track in self._saved.values() if track.source == name]
            if tracks and not isinstance(source.source, ReaderSource):
                growth.verify(source, tracks)

    def step(self) -> bool:
        """Maps a micro-batch whose lookups are answered, or takes a new one in; False: neither is possible now."""
        try:
            if self._mapping is not None:
                self._map_on()
                return True
            if self._asked and self._asked[0].ready:
                pending = self._asked.popleft()
                pending.enter(pending)
                return True
            if self._read_all or self._broken_off or len(self._asked) >= WINDOW:
                return False
            batch = self._next()
            if batch is NOT_YET:
                return False
            if batch is not None:
                self._enter(*batch)
        except (Refused, InvalidPipeline) as error:
            self.error, batch = error, None  # what was read stands, and is delivered
        except BrokenOff:
            self._broken_off = True  # what was not yet taken in is read again by the next start
            return False
        self._read_all = batch is None
        return not self._read_all

    def _next(self) -> Any:
        try:
            self._inside = True
            return next(self._batches, None)
        finally:
            self._inside = False

    # --- reading ---------------------------------------------------------------------------------------

    def _fetch(self, source: ReaderSource) -> Iterator[Any]:
        """Lets the vendor's conversation fetch what is to be read; `NOT_YET` until that is done."""
        saved = [track for track in self._saved.values() if track.source == source.name]
        source.begin(self._courier, resumed=bool(saved))
        while not source.ready:
            yield NOT_YET
        append = self._plan.sources[source.name].spec.mode == "append"
        for track in saved:
            if not append or track.file in source.partitions():
                growth.verify_track(self._plan.sources[source.name], track)

    def _read(self) -> Iterator[Any]:
        """Source, track and rows, a micro-batch at a time; `NOT_YET` while a vendor is asked for them."""
        for name, source in self._plan.sources.items():
            if not self._plan.of_source(name):
                continue
            if isinstance(source.source, ReaderSource):
                yield from self._fetch(source.source)
            left = self._limit
            for file in source.source.partitions():
                track = self._track(name, file)
                if track is None:
                    continue
                for rows in source.source.read(file, track.head if track.head != Position() else None):
                    new = rows if left is None or left > len(rows) else _cut(source.source, rows, left)
                    yield source, track, new
                    left = None if left is None else left - len(new)
                    if left == 0:
                        break
                else:
                    track.ended = True
                    continue
                self.limited = True
                break

    def _track(self, source: str, file: str) -> Track | None:
        """The partition's track, begun or resumed; None where there is nothing left to read of it."""
        saved = self._saved.get((source, file))
        append = self._plan.sources[source].spec.mode == "append"
        if saved is not None and saved.done and not append:
            return None
        track = Track(source, file, [m.spec.name for m in self._plan.of_source(source)], saved)
        self._ledger.begin(track)
        return track

    # --- one micro-batch ---------------------------------------------------------------------------------

    def _enter(self, source: SourcePlan, track: Track, rows: Rows) -> None:
        new = track.unread(rows)
        tickets = self._ledger.open(track, rows)
        own = None if self.claims is None else self.claims.take(source.spec.name, rows, tickets)
        if own is None:
            self._books.read(source.spec.name, rows, new)
        else:
            self._books.read_own(source.spec.name, rows, new, own)
        for bad in rows.malformed:
            for ticket in tickets:
                ticket.settle(bad.row)
        lookups = self._plan.lookups_of(source.spec.name)
        if not lookups:
            self._map_all(source, rows, tickets, {})
            return
        only = sorted({record for ticket in tickets for record in _open_records(rows, ticket)})
        askers = [self._askers[lookup.name] for lookup in lookups]
        self._asked.append(Pending(askers, rows, only, lambda p: self._map_all(source, rows, tickets, p.values)))

    def _map_all(self, source: SourcePlan, rows: Rows, tickets: list[Ticket], values: Lookups) -> None:
        """At once, or what is at most wanted at once: the rest when there is room for what it makes."""
        if all(plan.spec.each is None for plan in self._plan.of_source(source.spec.name)):
            self._map_some(source, rows, tickets, values, None)
            let_go(rows)
        else:
            self._mapping = self._portions(source, rows, tickets, values)
            self._map_on()

    def _map_on(self) -> None:
        rest, self._mapping = self._mapping, None
        if rest is not None and next(rest, False):
            self._mapping = rest

    def _portions(self, source: SourcePlan, rows: Rows, tickets: list[Ticket], values: Lookups) -> Iterator[bool]:
        """Maps as many records at a time as make a bounded number of payloads. True: there are more."""
        at, size = 0, self._at_once.get(source.spec.name, FIRST)
        while at < len(rows.records):
            some = range(at, min(at + size, len(rows.records)))
            made = self._map_some(source, rows, tickets, values, some)
            at, size = some.stop, max(1, min(2 * size, PORTION * len(some) // max(made, 1)))
            self._at_once[source.spec.name] = size
            yield at < len(rows.records)
        let_go(rows)

    def _map_some(
        self, source: SourcePlan, rows: Rows, tickets: list[Ticket], values: Lookups, some: range | None
    ) -> int:
        """Maps these records, all of them where it is None; gives the number of payloads."""
        plans = self._plan.of_source(source.spec.name)
        mapped = [self._map(plan, rows, ticket, values, some) for plan, ticket in zip(plans, tickets, strict=True)]
        made = 0
        if self._plan.pipeline.errors.scope == "record":
            _fail_together([result for result, _ in mapped])
        for plan, ticket, (result, lost) in zip(plans, tickets, mapped, strict=True):
            self._settle_unmapped(plan, rows, ticket, result, lost)
            made += self._offer(plan, source, rows, ticket, result, values)
        self._hand_over_strictly()
        return made

    def _map(
        self, plan: MappingPlan, rows: Rows, ticket: Ticket, values: Lookups, some: range | None
    ) -> tuple[Mapped, Mapping[int, Failure]]:
        """The mapping over those records that an earlier start did not settle; and whose lookups failed."""
        mapper = plan.mapper(rows.columns)
        all_open = some is None and ticket.left == len(rows.records)
        only = None if all_open else _open_records(rows, ticket, some)
        needed = [values[name] for name in mapper.needs_lookups]
        if not needed:
            return mapper(rows, only), {}
        wanted = range(len(rows.records)) if only is None else only
        lost = {i: f for i in wanted if (f := next((v[i] for v in needed if isinstance(v[i], Failure)), None))}
        mapped = mapper(rows, [i for i in wanted if i not in lost], values)
        mapped.failed += lost.items()
        return mapped, lost

    def _settle_unmapped(
        self, plan: MappingPlan, rows: Rows, ticket: Ticket, result: Mapped, lost: Mapping[int, Failure]
    ) -> None:
        name = plan.spec.name
        self._books.filtered(name, len(result.filtered))
        self._books.failed(name, rows, [one for one in result.failed if one[0] not in lost])
        self._books.failed(name, rows, lost.items(), "lookup")
        for record in result.filtered:
            ticket.settle(rows.row(record))
        for record, _ in result.failed:
            ticket.settle(rows.row(record))

    def _offer(
        self, plan: MappingPlan, source: SourcePlan, rows: Rows, ticket: Ticket, result: Mapped, values: Lookups
    ) -> int:
        """Checks and encodes each payload and hands it to its sink; gives how many, a heavy one as several."""
        if result.elements is not None:
            _expect_elements(rows, ticket, result)
        items = self._packer.items(plan, source, rows, ticket, result)
        if self.claims is not None:
            self.claims.verify(plan, items)
        if self.watch is not None:
            self.watch(plan, rows, result, items, values)
        made = len(items) if result.elements is None else max(len(items), weight(items) // HEAVY)
        if not plan.extras:
            self._hand_over(plan, items, ())
            return made
        for parameters, some in self._by_parameters(plan, rows, items, values).items():
            self._hand_over(plan, some, parameters)
        return made

    def _by_parameters(
        self, plan: MappingPlan, rows: Rows, items: list[Item], values: Lookups
    ) -> dict[Parameters, list[Item]]:
        """Payloads by what their action takes beside them; one whose parameters fail is buried."""
        records = [item.row if rows.numbers is None else rows.numbers.index(item.row) for item in items]
        asked = sorted(set(records))
        known = dict(zip(asked, plan.parameters(rows, asked, values), strict=True))
        found: dict[Parameters, list[Item]] = {}
        for item, record in zip(items, records, strict=True):
            value = known[record]
            if isinstance(value, Failure):
                payload = msgspec.json.decode(item.body)
                self._books.rejected(plan.spec.name, rows, record, item.element, value, payload)
                item.ticket.settle(item.row, item.element)
            else:
                found.setdefault(tuple((name, _plain(one)) for name, one in value.items()), []).append(item)
        return found

    def _hand_over(self, plan: MappingPlan, items: list[Item], parameters: Parameters) -> None:
        if isinstance(plan.sink, WriterSink):
            self._write(plan.sink, items, parameters)
            return
        if plan.sink.spool is not None:
            items = plan.sink.spool.take(plan.action.name, items, parameters)
        if not items:
            return
        if plan.sink.lanes.order == "strict":
            self._strictly += [(item.row, plan, item, parameters) for item in items]
        else:
            self._into_lanes(plan, plan.sink.lanes, items, parameters)

    def _hand_over_strictly(self) -> None:
        """Across mappings too, what the records made goes in the order of the records."""
        waiting, self._strictly = sorted(self._strictly, key=itemgetter(0)), []
        for _, alike in groupby(waiting, key=lambda one: (id(one[1]), one[3])):
            some = list(alike)
            _, plan, _, parameters = some[0]
            assert isinstance(plan.sink, VendorSink)
            self._into_lanes(plan, plan.sink.lanes, [item for _, _, item, _ in some], parameters)

    def _into_lanes(self, plan: MappingPlan, lanes: Lanes, items: list[Item], parameters: Parameters) -> None:
        now, group = self._clock.now(), plan.action.group
        if group is None:
            lanes.add(plan.action, Group(None, parameters) if parameters else None, items, now)
            return
        for item in items:
            own = group(msgspec.json.decode(item.body))
            lanes.add(plan.action, Group(own, parameters) if parameters else own, [item], now)

    def _write(self, sink: WriterSink, items: list[Item], parameters: Parameters) -> None:
        bodies = [item.body for item in items]
        payloads = Payloads(bodies)
        if parameters:
            verdicts = cast(Router, sink.writer).write_to(dict(parameters)["path"], payloads)
        else:
            verdicts = sink.writer.write(payloads)
        if verdicts:
            for position, verdict in verdicts.items():
                self._books.judged(items[position], verdict, None)
            items = [item for position, item in enumerate(items) if position not in verdicts]
            bodies = [item.body for item in items]
        self._books.written(items)
        sink.counts.bytes += sum(map(len, bodies)) + len(bodies)


def _plain(value: Any) -> Any:
    """A parameter as something to tell groups by: text, numbers, true, false and null are; the rest is its JSON."""
    return value if value is None or isinstance(value, (str, int, float)) else msgspec.json.encode(value).decode()


def _cut(source: Source, rows: Rows, limit: int) -> Rows:
    if len(rows) == limit:
        return rows
    try:
        check = source.checksum(rows.file, rows.locate(limit)[1])
    except Refused:  # a stream that cannot be read twice: it cannot be resumed either
        check = None
    return rows.first(limit, check or 0)


def _open_records(rows: Rows, ticket: Ticket, some: range | None = None) -> list[int]:
    if some is None and rows.numbers is None:
        return [i for i, flag in enumerate(ticket.flags) if not flag]
    here = range(len(rows.records)) if some is None else some
    return [i for i in here if not ticket.flags[rows.row(i)]]


def _expect_elements(rows: Rows, ticket: Ticket, result: Mapped) -> None:
    """Enters how many payloads each record has; those that an earlier start settled fall out."""
    assert result.elements is not None
    kept = [n for n, s in enumerate(result.sources) if not ticket.settled(rows.row(s), result.elements[n])]
    if len(kept) < len(result.payloads):
        gone = set(result.sources) - {result.sources[n] for n in kept}
        result.payloads = [result.payloads[n] for n in kept]
        result.elements = [result.elements[n] for n in kept]
        result.keys = [result.keys[n] for n in kept] if result.keys is not None else None
        result.sources = [result.sources[n] for n in kept]
        for record in gone:
            ticket.settle(rows.row(record))
    for record in result.sources:
        ticket.expect(rows.row(record), 1)


def _fail_together(mapped: list[Mapped]) -> None:
    """`errors.scope: record`: a record that fails in one mapping is sent by none."""
    bad = {record for result in mapped for record, _ in result.failed}
    if not bad:
        return
    for result in mapped:
        own = {record for record, _ in result.failed} | set(result.filtered)
        touched = bad.intersection(result.sources) - own
        kept = [n for n, record in enumerate(result.sources) if record not in touched]
        result.payloads = [result.payloads[n] for n in kept]
        result.elements = [result.elements[n] for n in kept] if result.elements is not None else None
        result.keys = [result.keys[n] for n in kept] if result.keys is not None else None
        result.sources = [result.sources[n] for n in kept]
        reason = Failure("record-failed", "another mapping of the same record failed (errors.scope: record)")
        result.failed += [(record, reason) for record in sorted(touched)]
