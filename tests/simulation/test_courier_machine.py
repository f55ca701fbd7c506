"""Lanes and courier against a model: payloads come, requests go, answers of every kind come back in any order."""

from random import Random

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.config.pipeline import Retry
from engine.errors import NoAnswer
from engine.model import Position, Response, Rows, Verdict
from engine.plugin import Vendor, action, post
from engine.runtime.clock import FakeClock
from engine.runtime.counts import SinkCounts
from engine.runtime.courier import Courier
from engine.runtime.lanes import Item, Lanes
from engine.runtime.ledger import Ticket
from engine.runtime.payloads import Check
from engine.runtime.rate import Bucket
from engine.runtime.sinks import SinkAction, VendorSink
from engine.runtime.talks import BatchTalk
from tests.simulation.profile import EXAMPLES

ANSWERS = ("ok", "413", "lost", "verdicts", "503", "400", "late", "429", "html")


class Shop(Vendor):
    base_url = "https://shop.test"

    @action(max_records=3, key=lambda thing: thing["key"])
    def put(self, things):
        """Put things."""
        return (yield from self._send("/put", things))

    @action(max_records=2, key=lambda thing: thing["key"])
    def take(self, things):
        """Take things."""
        return (yield from self._send("/take", things))

    def _send(self, path, things):
        reply = yield post(path, {"things": things})
        return {int(at): Verdict(*verdict) for at, verdict in reply.json().items()}


class Hands:
    """A transport whose answers are given by hand."""

    def __init__(self):
        self.flying = {}

    def start(self, request, token, timeout):
        self.flying[token] = [thing["n"] for thing in msgspec.json.decode(request.body)["things"]]

    def wait(self, until):
        return []

    def wake(self): ...

    def close(self): ...


class CourierMachine(RuleBasedStateMachine):
    """`open` is what is neither delivered nor judged; `effects` what the vendor did, in order."""

    @initialize(
        lanes=st.integers(1, 3),
        order=st.sampled_from(["per_key", "strict", "none"]),
        rate=st.sampled_from([None, 5.0]),
    )
    def begin(self, lanes, order, rate):
        vendor, self.order = Shop(), order
        self.actions = {
            name: SinkAction(
                name, Check({}), act.max_records, 400, Bucket(rate), act.method.__get__(vendor), overhead=50
            )
            for name, act in vendor.actions().items()
        }
        retry = Retry(initial=0.1, max=1.0, give_up_after=1e9)
        self.sink = VendorSink("shop", vendor, self.actions, Lanes(lanes, order), SinkCounts(), retry, 30.0)
        self.clock, self.hands = FakeClock(), Hands()
        self.courier = Courier(self.hands, self.clock, Random(1), lambda text: None, memory=self)
        self.facts: list[tuple[str, str]] = []  # of each payload: key and action
        self.open: set[int] = set()
        self.effects: list[int] = []

    def recall(self, key):
        return None

    def remember(self, key, value): ...

    # --- what settles ---------------------------------------------------------------------------------------------

    def delivered(self, items):
        for item in items:
            n = msgspec.json.decode(item.body)["n"]
            assert n in self.effects, "delivered, and the vendor never had it"
            self._settle(item)

    def judged(self, item, verdict, exchange):
        self._settle(item)

    def _settle(self, item):
        n = msgspec.json.decode(item.body)["n"]
        assert n in self.open, f"{n} was settled twice"
        self.open.discard(n)

    # --- what happens -----------------------------------------------------------------------------------------------

    @rule(keys=st.lists(st.sampled_from("abcd"), min_size=1, max_size=5), name=st.sampled_from(["put", "take"]),
          pad=st.sampled_from([0, 0, 100]))  # fmt: skip
    def offer(self, keys, name, pad):
        rows = Rows("f", Position(), Position(len(keys)), None, [{} for _ in keys], lambda row: (1, 0))
        ticket = Ticket(rows, None, {}, "m")
        items = []
        for row, key in enumerate(keys):
            n = len(self.facts)
            self.facts.append((key, name))
            self.open.add(n)
            items.append(Item(msgspec.json.encode({"n": n, "key": key, "pad": "x" * pad}), key, ticket, row))
        self.sink.lanes.add(self.actions[name], None, items, self.clock.now())

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 5.0]))
    def time_passes(self, seconds):
        self.clock.sleep(seconds)
        self._turn()

    def _turn(self):
        self.courier.tick()
        for lane, batch in self.sink.lanes.ready(self.clock.now(), None, drain=True):
            assert len(batch.items) <= batch.action.max_records and batch.size <= batch.action.max_bytes
            self.courier.begin(BatchTalk(self.sink, lane, batch, self))

    @precondition(lambda self: self.hands.flying)
    @rule(data=st.data(), answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=6))
    def answers_come(self, data, answers):
        for how in answers:
            if self.hands.flying:
                self._answer(data, how)

    def _answer(self, data, how):
        token = data.draw(st.sampled_from(sorted(self.hands.flying)))
        numbers = self.hands.flying.pop(token)
        if how in ("413", "400") and len(numbers) == 1:
            how = "ok"
        verdicts = {}
        if how == "verdicts":
            kinds = st.sampled_from(["rejected", "dropped"])
            chosen = data.draw(st.sets(st.integers(0, len(numbers) - 1)))
            verdicts = {at: [data.draw(kinds), "no", "no"] for at in sorted(chosen)}
        if how in ("ok", "late", "verdicts", "html"):
            self.effects += [n for at, n in enumerate(numbers) if at not in verdicts]
        answer = {
            "ok": Response(200, {}, b"{}"), "late": NoAnswer("too late", ambiguous=True),
            "lost": NoAnswer("lost", ambiguous=True), "503": Response(503), "429": Response(429, {"retry-after": "1"}),
            "413": Response(413), "400": Response(400), "html": Response(200, {}, b"<html>"),
            "verdicts": Response(200, {}, msgspec.json.encode({str(at): v for at, v in verdicts.items()})),
        }[how]  # fmt: skip
        self.courier.take(token, answer)
        self._turn()

    # --- what always holds --------------------------------------------------------------------------------------------

    @invariant()
    def nothing_halted_it(self):
        if hasattr(self, "courier"):
            assert self.courier.halted is None

    @invariant()
    def the_lanes_know_what_is_open(self):
        if hasattr(self, "sink"):
            assert self.sink.lanes.payloads == len(self.open)
            bodies = [
                i for lane in self.sink.lanes.lanes for b in (*lane.queue, *lane.open.values()) for i in b.items
            ]
            bodies += [i for lane in self.sink.lanes.lanes if lane.busy for i in lane.busy.batch.items]
            assert sorted(msgspec.json.decode(i.body)["n"] for i in bodies) == sorted(self.open), "each once, and all"
            assert self.sink.lanes.bytes == sum(len(i.body) + 1 for i in bodies)

    @invariant()
    def a_lane_has_one_request_in_flight(self):
        if hasattr(self, "sink"):
            assert len(self.hands.flying) == self.courier.flying <= self.sink.lanes.busy <= len(self.sink.lanes.lanes)

    @invariant()
    def a_keys_order_holds(self):
        if not hasattr(self, "order") or self.order == "none":
            return
        last: dict = {}
        for n in dict.fromkeys(self.effects):
            key = self.facts[n] if self.order == "per_key" else self.facts[n][0]
            assert last.get(key, -1) < n, f"{n} after {last[key]}"
            last[key] = n

    def teardown(self):
        """Whoever answers at last has everything."""
        if not hasattr(self, "courier"):
            return
        for _ in range(2_000):
            if not self.open:
                break
            self._turn()
            for token in sorted(self.hands.flying):
                self.effects += self.hands.flying.pop(token)
                self.courier.take(token, Response(200, {}, b"{}"))
            self.clock.sleep(1.0)
        assert not self.open and not self.courier.flying
        self.a_keys_order_holds()


TestCourier = CourierMachine.TestCase
TestCourier.settings = EXAMPLES
