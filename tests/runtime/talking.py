"""A small world for the courier: a vendor in ten lines, scripted answers, a clock that stands."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from engine.config.pipeline import Retry
from engine.model import Position, Response, Rows, Secret, Verdict, WireRequest
from engine.plugin import Note, Vendor, action, post
from engine.runtime.books import Exchange
from engine.runtime.clock import FakeClock
from engine.runtime.counts import SinkCounts
from engine.runtime.courier import Courier
from engine.runtime.lanes import Item, Lanes
from engine.runtime.ledger import Ticket
from engine.runtime.payloads import Check
from engine.runtime.rate import Bucket
from engine.runtime.sinks import SinkAction, VendorSink
from engine.runtime.talks import BatchTalk
from engine.runtime.transport import Pretend


class Shop(Vendor):
    """Takes things; its answer may name positions that it refuses."""

    base_url = "https://shop.test/api"

    def headers(self):
        return {"X-Key": Secret("s3cret-key")}

    @action(max_records=100)
    def put(self, things):
        """Put things."""
        reply = yield post("/things", {"things": things})
        answer = reply.json()
        if "note" in answer:
            yield Note("left-out", answer["note"])
        return {int(k): Verdict(*v) for k, v in answer.get("verdicts", {}).items()}


class Log:
    """A settler that remembers."""

    def __init__(self):
        self.fates: dict[str, str] = {}
        self.exchanges: dict[str, Exchange | None] = {}

    def delivered(self, items):
        for item in items:
            assert self.fates.setdefault(item.key, "delivered") == "delivered", f"{item.key} settled twice"

    def judged(self, item, verdict, exchange):
        assert item.key not in self.fates, f"{item.key} settled twice"
        self.fates[item.key] = f"{verdict.outcome}: {verdict.code}"
        self.exchanges[item.key] = exchange


class Talks:
    """One sink with some lanes and a courier over `handle`."""

    def __init__(self, handle: Callable[[WireRequest], Response], *, vendor=None, lanes=1, rate=None, **retry):
        self.requests: list[WireRequest] = []
        self.clock, self.log, self.notes = FakeClock(), Log(), []
        self.times: list[float] = []
        self.kept: dict[str, bytes | None] = {}

        def record(request):
            self.requests.append(request)
            self.times.append(self.clock.now())
            return handle(request)

        self.transport = Pretend(record, self.clock)
        vendor = vendor or Shop()
        act = vendor.actions()["put"]
        self.action = SinkAction("put", Check({}), act.max_records, 10_000, Bucket(rate), act.method.__get__(vendor))
        self.sink = VendorSink(
            "shop", vendor, {"put": self.action}, Lanes(lanes, "per_key"), SinkCounts(), Retry(**retry), 30.0
        )
        self.courier = Courier(self.transport, self.clock, Random(7), self.notes.append, memory=self)

    def recall(self, key):
        return self.kept.get(key)

    def remember(self, key, value):
        self.kept[key] = value

    def offer(self, *names: str) -> None:
        rows = Rows("f", Position(), Position(1), None, [{}], lambda row: (1, 0))
        for name in names:
            item = Item(msgspec.json.encode({"name": name}), name, Ticket(rows, None, {}, "m"), 0)
            self.sink.lanes.add(self.action, None, [item], self.clock.now())

    def run(self, turns: int = 10_000) -> None:
        for _ in range(turns):
            self.courier.tick()
            if not self.courier.stopping:
                for lane, batch in self.sink.lanes.ready(self.clock.now(), None, drain=True):
                    self.courier.begin(BatchTalk(self.sink, lane, batch, self.log))
            if not self.courier.flying and self.courier.deadline() is None:
                if self.courier.stopping or not self.sink.lanes.payloads:
                    return
                continue
            for token, answer in self.transport.wait(self.courier.deadline()):
                self.courier.take(token, answer)
        raise AssertionError("the talks do not end")

    @property
    def sent(self) -> list[list[str]]:
        """The names in each request."""
        return [[t["name"] for t in msgspec.json.decode(r.body)["things"]] for r in self.requests]


def names(request: WireRequest) -> list[str]:
    return [thing["name"] for thing in msgspec.json.decode(request.body)["things"]]


def ok(**members) -> Response:
    return Response(200, {}, msgspec.json.encode(members))


def script(*answers):
    """Answers in turn; an exception is raised; the last one repeats."""
    left = list(answers)

    def handle(_: WireRequest) -> Response:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handle
