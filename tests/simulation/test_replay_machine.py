"""Dead letters and their replay against a model: vendors are mended, letters are replayed, replays are killed."""

from collections import Counter
from random import Random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

import engine.runners.local as local
from engine.runners.replay import replay, still_open
from engine.runtime.deadletters import read_letters
from tests.simulation.disk import Disk, Place, virtual_os
from tests.simulation.network import Clock, Network
from tests.simulation.points import MOMENTS, Crash, Death, Points
from tests.simulation.profile import EXAMPLES
from tests.simulation.shop import REGISTRY, Data, Row, source_of, variant
from tests.simulation.simulate import LETTERS, virtual_world
from tests.simulation.vendors import Name, Vendors, names_in

KINDS = ("ok", "ok", "refused", "refused", "big", "badmail", "old", "gone")
MENDED = ("refused",)


class Witnessed:
    """What the network sees."""

    def __init__(self):
        self.sent_names: list[Name] = []

    def sent(self, request):
        self.sent_names += names_in(request)

    def read(self, sent, answer, faithful): ...


class ReplayMachine(RuleBasedStateMachine):
    """`effects` is what the vendor took, in order; `cut_off` says that a replay was killed and is to be gone on with."""

    @initialize(rows=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(KINDS), st.integers(0, 2)), min_size=1, max_size=8),
                order=st.sampled_from(["per_key", "strict"]), lanes=st.integers(1, 3))  # fmt: skip
    def a_run_leaves_letters(self, rows, order, lanes):
        self.world = virtual_world()
        self.world.__enter__()
        self.disk = virtual_os.disk = Disk(Random(0))
        self.clock, self.chance = Clock(), Random(0)
        self.data = Data("all three")
        self.data.add("customers.jsonl", [Row(*row) for row in rows])
        self.effects: list[Name] = []
        self.vendors = Vendors(self.clock, lambda name, _: self.effects.append(name), [], rates=False)
        pipeline = variant("all three", lanes, 2, order, False)
        self.pipeline = source_of(pipeline, self.data, lambda: 3, "full")
        self.cut_off = False
        self._begin(None)
        outcome = local.run_pipeline(self.pipeline, REGISTRY, self._options())
        assert outcome.exit in (0, 1)
        self.disk.end()
        self.first = set(self._letters())

    def _begin(self, death):
        self.points, self.seen = Points(death), Witnessed()
        self.disk.begin(self.points)
        self.before = Counter(self.effects)

    def _options(self):
        def network(size, clock):
            return Network(self.vendors.answer, self.clock, self.chance, self.points, self.seen, 5_000)

        return local.Options(clock=self.clock, chance=self.chance, transport=network)

    def _letters(self):
        path = Place(LETTERS)
        return {letter["id"]: letter for letter in read_letters(path)} if path.exists() else {}

    def _open(self):
        letters, _ = still_open(self.pipeline, self._letters().values())
        return {letter["id"] for letter in letters}

    # --- what happens -----------------------------------------------------------------------------------------------

    @rule()
    def the_vendor_takes_what_it_refused(self):
        self.vendors.iterable._disallowed.clear()
        self.vendors.iterable.lenient = True

    @precondition(lambda self: hasattr(self, "first") and self.first)
    @rule(data=st.data(), some=st.booleans())
    def replay_to_the_end(self, data, some):
        ids = [data.draw(st.sampled_from(sorted(self.first)))] if some else []
        self._replay(ids, None)

    @precondition(lambda self: hasattr(self, "first") and self.first)
    @rule(moment=st.sampled_from(MOMENTS), nth=st.integers(1, 6))
    def replay_and_die(self, moment, nth):
        self._replay([], Death(moment, nth))

    def _replay(self, ids, death):
        opened = self._open()
        self._begin(death)
        try:
            found = replay(self.pipeline, REGISTRY, self._options(), ids)
        except Crash:
            self.disk.end()
            self.cut_off = True
            return
        self.disk.end()
        assert found.outcome is None or found.outcome.exit in (0, 1), found
        self._judge(opened)
        self.cut_off = False

    def _judge(self, opened):
        """A replay that came to its end settled letters for good; what it sent were letters that were open."""
        now = self._open()
        assert now <= opened
        by_id = {self.data.letters(n.mapping, n.n)[n.element]: n for n in self._names()}
        for settled in opened - now:
            name = by_id.get(settled)
            assert name is None or name in self.effects, f"{name} is settled, and the vendor does not have it"
        if not self.cut_off:
            for name in self.seen.sent_names:
                assert self.before[name] == 0, f"{name} was delivered before, and went again"

    def _names(self):
        for mapping in ("profiles", "visits", "orders"):
            for n in range(len(self.data.rows)):
                if len(self.data.letters(mapping, n)) >= len(self.data.elements(mapping, n)):
                    for element in self.data.elements(mapping, n):
                        yield Name(mapping, n, element)

    def teardown(self):
        if not hasattr(self, "first"):
            return
        try:
            self._end()
        finally:
            self.world.__exit__(None, None, None)

    def _end(self):
        """Once the vendor is mended, a replay delivers all that it had refused; the next one finds nothing of it."""
        self.the_vendor_takes_what_it_refused()
        for _ in range(2):  # one that was cut off, then all
            self._replay([], None)
        wanted = {i for m in ("profiles", "visits") for n, row in enumerate(self.data.rows) if row.kind in MENDED
                  for i in self.data.letters(m, n)} & self.first  # fmt: skip
        assert not wanted & self._open()
        before = len(self.effects)
        self._replay([], None)
        assert len(self.effects) == before, "what was delivered is not sent again"
        assert set(self._letters()) == self.first


TestReplay = ReplayMachine.TestCase
TestReplay.settings = settings(EXAMPLES, stateful_step_count=8)
__all__ = ["TestReplay"]
