"""What is still open of each row, per mapping; the checkpoint is the head of this ledger.

A `Track` follows one partition of a source. Its rows up to `head` are settled for every mapping; beyond it a byte per
row and mapping tells what is settled already, so that a kill repeats nothing that the vendor has answered. Counters
and flags only: no object per record.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from engine.model import Position, Rows


class Settleable(Protocol):
    """What rides on a ticket."""

    ticket: Ticket
    row: int
    element: int


class Ticket:
    """One mapping's part in one `Rows`: a flag per row, 1 when everything that came from it is settled."""

    __slots__ = ("elements", "flags", "left", "mapping", "rows")

    def __init__(self, rows: Rows, settled: bytes | None, elements: dict[int, list[int]], mapping: str = "") -> None:
        self.rows, self.mapping = rows, mapping
        self.flags = bytearray(settled or len(rows))
        self.left = self.flags.count(0)
        # row → [payloads open, elements settled…], only for rows with several payloads
        self.elements: dict[int, list[int]] = {row: [0, *done] for row, done in elements.items()}

    def expect(self, row: int, payloads: int) -> None:
        """The row makes several payloads: it is settled with the last of them."""
        self.elements.setdefault(row, [0])[0] += payloads

    def settled(self, row: int, element: int) -> bool:
        """Was this payload settled by an earlier run?"""
        return bool(self.flags[row]) or element in self.elements.get(row, ())[1:]

    def settle(self, row: int, element: int = 0) -> None:
        """One payload of the row (or, where it makes none, the row itself) is settled."""
        if self.elements and self._some_left(row, element):
            return
        if not self.flags[row]:
            self.flags[row] = 1
            self.left -= 1

    def disown(self, others: bytes | bytearray) -> None:
        """Rows whose byte is 1 are somebody else's."""
        flags = int.from_bytes(self.flags, "big") | int.from_bytes(others, "big")
        self.flags[:] = flags.to_bytes(len(self.flags), "big")
        self.left = self.flags.count(0)

    def settle_rest(self) -> None:
        """Every row is settled."""
        self.flags = bytearray(b"\1") * len(self.flags)
        self.left = 0

    def _some_left(self, row: int, element: int) -> bool:
        """One element of the row is settled; are others still open?"""
        several = self.elements.get(row)
        if several is None:
            return False
        several.append(element)
        several[0] -= 1
        if several[0] > 0:
            return True
        del self.elements[row]
        return False


def settle_all(items: Iterable[Settleable]) -> None:
    """The same as `settle` for each of them, without a call where a row has one payload."""
    for item in items:
        ticket, row = item.ticket, item.row
        if ticket.elements:
            ticket.settle(row, item.element)
        elif not ticket.flags[row]:
            ticket.flags[row] = 1
            ticket.left -= 1


class SavedTrack(msgspec.Struct):
    """A track as it is kept in the state."""

    source: str
    file: str
    head: Position
    high: Position  # rows before it were read and counted
    ended: bool = False  # `high` is the end of the partition
    flags: dict[str, bytes] = {}  # mapping → deflated flags of the rows from head to high
    elements: dict[str, dict[int, list[int]]] = {}  # mapping → row → elements settled of it

    @property
    def done(self) -> bool:
        return self.ended and self.head.row == self.high.row


class Track:
    """The open rows of one partition, in order."""

    def __init__(self, source: str, file: str, mappings: Sequence[str], saved: SavedTrack | None = None) -> None:
        self.source, self.file, self.mappings = source, file, tuple(mappings)
        self.head = saved.head if saved else Position()
        self.high = saved.high if saved else Position()
        self.ended = False
        self.changed = False
        self._base = self.head.row
        self._flags = {m: zlib.decompress(f) for m, f in saved.flags.items()} if saved else {}
        self._elements = dict(saved.elements) if saved else {}
        self._open: deque[tuple[Rows, list[Ticket]]] = deque()

    def open(self, rows: Rows) -> list[Ticket]:
        """Enters a micro-batch; a ticket per mapping, with what an earlier run settled of it already marked."""
        tickets = [self._ticket(rows, mapping) for mapping in self.mappings]
        self._open.append((rows, tickets))
        if rows.end.row > self.high.row:
            self.high = rows.end
        self.changed = True
        return tickets

    def _ticket(self, rows: Rows, mapping: str) -> Ticket:
        first = rows.start.row - self._base
        flags = self._flags.get(mapping, b"")[first : first + len(rows)]
        elements = self._elements.get(mapping, {})
        here = {row - rows.start.row: done for row, done in elements.items() if 0 <= row - rows.start.row < len(rows)}
        return Ticket(rows, flags.ljust(len(rows), b"\0") if flags else None, here, mapping)

    def unread(self, rows: Rows) -> int:
        """How many of these rows were not counted before."""
        return max(0, rows.end.row - max(rows.start.row, self.high.row))

    def advance(self) -> int:
        """Moves the head over what is settled; returns how many rows it passed."""
        before = self.head.row
        while self._open and not any(ticket.left for ticket in self._open[0][1]):
            self.head = self._open.popleft()[0].end
        return self.head.row - before

    @property
    def idle(self) -> bool:
        return not self._open

    def save(self) -> SavedTrack:
        """The track as a value. Rows between what is open and `high` (not yet read again) keep their old flags."""
        saved = SavedTrack(self.source, self.file, self.head, self.high, self.ended)
        if self.head.row < self.high.row:
            for number, mapping in enumerate(self.mappings):
                saved.flags[mapping] = zlib.compress(self._flags_from_head(number, mapping), 1)
                saved.elements[mapping] = self._elements_from_head(number, mapping)
        self.changed = False
        return saved

    def _flags_from_head(self, number: int, mapping: str) -> bytes:
        here = b"".join(bytes(tickets[number].flags) for _, tickets in self._open)
        old = self._flags.get(mapping, b"")[self.head.row - self._base + len(here) :]
        return (here + old).ljust(self.high.row - self.head.row, b"\0")

    def _elements_from_head(self, number: int, mapping: str) -> dict[int, list[int]]:
        found = {}
        for rows, tickets in self._open:
            for row, state in tickets[number].elements.items():
                if len(state) > 1:
                    found[rows.start.row + row] = state[1:]
        read = self._open[-1][0].end.row if self._open else self.head.row
        return found | {row: done for row, done in self._elements.get(mapping, {}).items() if row >= read}


class Ledger:
    """All tracks of a run, in the order in which they were begun."""

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.rows = 0  # rows that are open

    def begin(self, track: Track) -> None:
        self.tracks.append(track)

    def open(self, track: Track, rows: Rows) -> list[Ticket]:
        self.rows += len(rows)
        return track.open(rows)

    def advance(self) -> None:
        """Moves every head over what is settled, which leaves memory; it is kept with the next commit."""
        for track in self.tracks:
            self.rows -= track.advance()

    def take_changes(self) -> list[SavedTrack]:
        """Moves every head; returns the tracks to commit. A finished track is let go of."""
        self.advance()
        changed = [track.save() for track in self.tracks]
        self.tracks = [track for track in self.tracks if not (track.ended and track.idle)]
        return changed
