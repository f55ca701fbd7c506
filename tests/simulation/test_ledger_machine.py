"""Ledger, tracks and state against a model: rows are read and settled in any order, committed, cut off and resumed."""

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.model import Position, Rows
from engine.runtime.counts import Counts
from engine.runtime.ledger import Ledger, SavedTrack, Track
from engine.runtime.state import Head, State
from tests.simulation.disk import HOME, Disk, Place, virtual_os
from tests.simulation.profile import EXAMPLES
from tests.simulation.simulate import virtual_world

MAPPINGS = ("users", "visits")
FILE = "rows.jsonl"
HEAD = Head("r1", 0.0, 0.0, {}, Counts())


def place(row: int) -> Position:
    return Position(row, row + 1, row * 10, row)


class LedgerMachine(RuleBasedStateMachine):
    """`done` is what is settled now, `kept` what the last commit holds: sets of (mapping, row, element)."""

    def __init__(self):
        super().__init__()
        self.world = virtual_world()
        self.world.__enter__()
        from random import Random

        virtual_os.disk = Disk(Random(0))
        self.state = State(Place(HOME), "shop")
        self.done: set = set()
        self.kept: set = set()
        self.read = 0

    @initialize(elements=st.lists(st.integers(0, 3), min_size=1, max_size=14))
    def rows(self, elements):
        """How many payloads each row makes in `visits`; in `users` each makes one."""
        self.elements = elements
        self._begin([])

    def _begin(self, saved):
        self.ledger, self.open = Ledger(), {}
        self.track = Track("s", FILE, MAPPINGS, saved[0] if saved else None)
        self.ledger.begin(self.track)
        self.read = self.track.head.row

    def payloads(self, mapping, row):
        return range(self.elements[row]) if mapping == "visits" else range(1)

    # --- what a run does --------------------------------------------------------------------------------------

    @precondition(lambda self: self.read < len(self.elements))
    @rule(size=st.integers(1, 5))
    def read_some(self, size):
        """As the feed does it: what an earlier start settled is left out, of rows with several payloads one by one."""
        end = min(self.read + size, len(self.elements))
        numbers = range(self.read, end)
        rows = Rows(FILE, place(self.read), place(end), None, [{} for _ in numbers], lambda row: (row + 1, row * 10))
        tickets = self.ledger.open(self.track, rows)
        for ticket in tickets:
            for index, row in enumerate(numbers):
                self._enter(ticket, index, row)
        self.read = end

    def _enter(self, ticket, index, row):
        wanted = [e for e in self.payloads(ticket.mapping, row) if not ticket.settled(index, e)]
        for element in self.payloads(ticket.mapping, row):
            known = (ticket.mapping, row, element) in self.done
            assert (element not in wanted) == known, "what was committed as settled is settled, and nothing else"
        if ticket.mapping == "visits" and wanted:
            for _ in wanted:
                ticket.expect(index, 1)
        if not wanted and not ticket.flags[index]:
            ticket.settle(index)
        for element in wanted:
            self.open[ticket.mapping, row, element] = (ticket, index)

    @precondition(lambda self: self.open)
    @rule(data=st.data(), many=st.integers(1, 6))
    def settle_some(self, data, many):
        for _ in range(min(many, len(self.open))):
            name = data.draw(st.sampled_from(sorted(self.open)))
            ticket, index = self.open.pop(name)
            ticket.settle(index, name[2])
            self.done.add(name)

    @rule()
    def commit(self):
        self.track.ended = self.read == len(self.elements)
        self.state.commit(HEAD, self.ledger.take_changes())
        self.kept = set(self.done)

    @rule()
    def cut_off_and_resume(self):
        self.done = set(self.kept)
        head, saved = self.state.load()
        assert (head is None) == (not saved) or saved == []
        if saved and saved[0].done:
            assert self.kept == self._all()
        self._begin(saved if head is not None else [])

    # --- what always holds ----------------------------------------------------------------------------------------

    def _all(self):
        return {(m, row, e) for m in MAPPINGS for row in range(len(self.elements)) for e in self.payloads(m, row)}

    @invariant()
    def the_head_is_at_or_before_the_first_row_that_is_open(self):
        missing = [row for m, row, _ in self._all() - self.done] if hasattr(self, "elements") else []
        if missing:
            assert self.track.head.row <= min(missing)

    @invariant()
    def rows_are_open_until_the_head_passes_them(self):
        if hasattr(self, "elements") and self.ledger.tracks:
            assert self.ledger.rows == self.read - self.track.head.row

    @invariant()
    def a_saved_track_is_the_same_after_it_was_stored(self):
        if hasattr(self, "elements"):
            saved = self.track.save()
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(saved), type=SavedTrack) == saved
            assert saved.done == (saved.ended and saved.head.row == saved.high.row)

    def teardown(self):
        try:
            if hasattr(self, "elements"):
                self._end()
        finally:
            self.world.__exit__(None, None, None)

    def _end(self):
        """What is read and settled to the end is done."""
        while self.read < len(self.elements):
            self.read_some(5)
        for name, (ticket, index) in sorted(self.open.items()):
            ticket.settle(index, name[2])
        self.track.ended = True
        (saved,) = self.ledger.take_changes() or [self.track.save()]
        assert saved.done and saved.head == place(len(self.elements))


TestLedger = LedgerMachine.TestCase
TestLedger.settings = EXAMPLES
__all__ = ["TestLedger"]
