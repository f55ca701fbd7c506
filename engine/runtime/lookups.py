"""Lookups: values asked for per record before it is mapped, over a bounded window, in the order of the file.

The lookups of a source are asked stage by stage in file order, so that a later one may use an earlier one's values.
Equal questions are asked once: answers are kept for the run (size and age bounded), and who asks while the question
is under way waits for the same answer.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from engine.config.pipeline import LookupSpec, Retry
from engine.errors import Halt, RecordError
from engine.mapping.compiler import Context, Valuer, compile_value
from engine.model import Failure, Problem, Request, Rows, WireRequest
from engine.plugin import LATER, Lookup, Vendor
from engine.runtime.clock import Clock
from engine.runtime.counts import SinkCounts
from engine.runtime.courier import Courier
from engine.runtime.payloads import Check
from engine.runtime.rate import Bucket
from engine.runtime.talks import LookupTalk
from engine.runtime.wire import wire

Answered = Callable[[Any], None]


@dataclass(slots=True)
class LookupPlan:
    """One lookup of the file. It is an account to talk with."""

    name: str
    spec: LookupSpec
    vendor: Vendor
    lookup: Lookup
    check: Check
    bucket: Bucket
    context: Context
    counts: SinkCounts
    retry: Retry
    timeout: float
    _valuers: dict[tuple[str, ...] | None, Valuer] = field(default_factory=dict)

    @property
    def concurrency(self) -> int:
        """How many questions may be in flight."""
        return self.spec.concurrency or self.lookup.concurrency

    @property
    def compiled(self) -> bool:
        """Was it compiled for any shape of rows?"""
        return bool(self._valuers)

    def wire(self, request: Request) -> WireRequest:
        return wire(self.vendor, request)

    def compile(self, columns: tuple[str, ...] | None) -> tuple[Valuer | None, list[Problem]]:
        """What `with:` gives for rows of this shape."""
        path = ("lookups", self.name, "with")
        valuer, problems = compile_value(dict(self.spec.parameters), path, context=self.context, columns=columns)
        if valuer is not None:
            self._valuers[columns] = valuer
        return valuer, problems

    def parameters(self, rows: Rows, only: Sequence[int], values: Mapping[str, Sequence[Any]]) -> list[Any]:
        valuer = self._valuers.get(rows.columns) or self.compile(rows.columns)[0]
        assert valuer is not None, "shapes that are not known beforehand are checked as free ones"
        return valuer(rows, only, values)


def parameter_problems(
    name: str, parameters: Mapping[str, Any], context: Context, shapes: Sequence[tuple[str, ...] | None]
) -> list[Problem]:
    """What is wrong with `with:` of a lookup that cannot be made, for rows of these shapes."""
    path = ("lookups", name, "with")
    made = (compile_value(dict(parameters), path, context=context, columns=columns) for columns in shapes)
    return [problem for _, problems in made for problem in problems]


class Cache:
    """Answers by question: the least recently used go first, the old ones too."""

    def __init__(self, size: int, ttl: float | None) -> None:
        self._size, self._ttl = size, ttl
        self._kept: OrderedDict[bytes, tuple[float, Any]] = OrderedDict()

    def get(self, question: bytes, now: float) -> tuple[bool, Any]:
        found = self._kept.get(question)
        if found is None or (self._ttl is not None and now - found[0] > self._ttl):
            return False, None
        self._kept.move_to_end(question)
        return True, found[1]

    def put(self, question: bytes, answer: Any, now: float) -> None:
        if self._size:
            self._kept[question] = (now, answer)
            self._kept.move_to_end(question)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)


class Asker:
    """Asks one lookup's questions: so many in flight, the others wait their turn."""

    def __init__(self, plan: LookupPlan, courier: Courier, clock: Clock) -> None:
        self.plan, self._courier, self._clock = plan, courier, clock
        self._cache = Cache(plan.spec.cache_size, plan.spec.cache_ttl)
        self._under_way: dict[bytes, list[Answered]] = {}
        self._waiting: deque[tuple[bytes, Any]] = deque()
        self._limit = plan.concurrency
        self._flying = 0
        self._going = False
        self._prepared = plan.lookup.prepare is None
        self._preparing = False
        self._refresh_at: float | None = None
        self._method = plan.lookup.method.__get__(plan.vendor)
        self._at_once = getattr(plan.vendor, plan.lookup.at_once) if plan.lookup.at_once else None

    def ask(self, parameters: Any, done: Answered) -> None:
        """`done` is given the value, or a `Failure`; perhaps at once."""
        if isinstance(parameters, Failure):
            done(parameters)
            return
        question = msgspec.json.encode(parameters, order="sorted")
        known, answer = self._cache.get(question, self._clock.now())
        if known:
            done(answer)
        elif question in self._under_way:
            self._under_way[question].append(done)
        else:
            self._under_way[question] = [done]
            self._waiting.append((question, parameters))
            self._go_on()

    def at_once(self, parameters: Any) -> Any:
        """What the vendor can tell without a conversation, past the cache and the window; else `LATER`."""
        if self._at_once is None or not self._prepared or isinstance(parameters, Failure):
            return LATER
        if not self.plan.check.accepts(parameters):
            return LATER
        if self._refresh_at is not None and self._clock.now() >= self._refresh_at:
            self._go_on()
        value = self._at_once(**parameters)
        return self._judged(value) if isinstance(value, Failure) else value

    def _go_on(self) -> None:
        """Asks while there is room. An answer given at once comes back here: it must not begin a second loop."""
        if self._going:
            return
        self._going = True
        try:
            self._prepare_if_due()
            self._ask_waiting()
        finally:
            self._going = False

    def _ask_waiting(self) -> None:
        while self._prepared and self._waiting and self._flying < self._limit:
            question, parameters = self._waiting.popleft()
            self._flying += 1
            if not self.plan.check.accepts(parameters):
                error: RecordError = self.plan.check.explain(parameters)
                self._take(question, Failure(error.code, error.reason, error.field))
                continue
            value = LATER if self._at_once is None else self._at_once(**parameters)
            if value is LATER:
                self._begin(question, parameters)
            else:
                self._take(question, value)

    def _begin(self, question: bytes, parameters: Any) -> None:
        self._courier.begin(
            LookupTalk(
                self.plan, self.plan.bucket, lambda: self._method(**parameters), question,
                lambda value: self._take(question, value), halts=self.plan.spec.on_error != "null",
            )
        )  # fmt: skip

    def _take(self, question: bytes, value: Any) -> None:
        self._flying -= 1
        value = self._judged(value)
        if not isinstance(value, Failure):
            self._cache.put(question, value, self._clock.now())
        for done in self._under_way.pop(question):
            done(value)
        if self._flying < self._limit:
            self._go_on()

    def _judged(self, value: Any) -> Any:
        """What `on_error` makes of a failure."""
        if not isinstance(value, Failure) or self.plan.spec.on_error == "reject":
            return value
        if self.plan.spec.on_error == "halt":
            raise Halt(f"{self.plan.name}: {value.reason}", where=self.plan.name, code=value.code)
        return None

    # --- preparation ---------------------------------------------------------------------------------------

    def _prepare_if_due(self) -> None:
        """Before the first question, and again when the vendor's data has grown old; questions go on meanwhile."""
        if self.plan.lookup.prepare is None or self._preparing:
            return
        now = self._clock.now()
        if not self._prepared or (self._refresh_at is not None and now >= self._refresh_at):
            self._preparing = True
            method = getattr(self.plan.vendor, self.plan.lookup.prepare)
            self._courier.begin(LookupTalk(self.plan, self.plan.bucket, method, b"{}", self._ready, halts=True))

    def _ready(self, value: Any) -> None:
        if isinstance(value, Failure):
            raise Halt(f"{self.plan.name}: {value.reason}", where=self.plan.name, code=value.code)
        self._prepared, self._preparing = True, False
        refresh = self.plan.vendor.refresh
        self._refresh_at = None if refresh is None else self._clock.now() + refresh
        self._go_on()  # does nothing where the preparation ended at once: the loop that began it goes on by itself


class Pending:
    """A micro-batch whose lookups are being asked. `values` has a value or a `Failure` per record and lookup."""

    def __init__(self, askers: Sequence[Asker], rows: Rows, only: Sequence[int], enter: Callable[[Pending], None]):
        self.rows, self._only, self.enter = rows, only, enter
        self.values: dict[str, list[Any]] = {}
        self._askers = deque(askers)
        self._left = 0
        self._next_stage()

    @property
    def ready(self) -> bool:
        return not self._askers and self._left == 0

    def _next_stage(self) -> None:
        while self._askers and self._left == 0:
            asker = self._askers.popleft()
            here = self.values[asker.plan.name] = [None] * len(self.rows.records)
            asked = asker.plan.parameters(self.rows, self._only, self.values)
            self._left = len(asked) + 1  # one more, so that answers given at once do not end the stage early
            alone = len(self.values) == 1
            for index, parameters in zip(self._only, asked, strict=True):
                question = parameters if alone else _failed_before(self.values, asker.plan, index) or parameters
                value = asker.at_once(question)
                if value is LATER:
                    asker.ask(question, self._taker(here, index))
                else:
                    here[index] = value
                    self._left -= 1
            self._left -= 1

    def _taker(self, here: list[Any], index: int) -> Answered:
        def take(value: Any) -> None:
            here[index] = value
            self._left -= 1
            if self._left == 0:
                self._next_stage()

        return take


def _failed_before(values: Mapping[str, Sequence[Any]], plan: LookupPlan, index: int) -> Failure | None:
    """A failure of an earlier lookup of the same record, where it was part of the question."""
    text = repr(plan.spec.parameters)
    for name, column in values.items():
        if name != plan.name and isinstance(column[index], Failure) and name in text:
            return column[index]  # type: ignore[no-any-return]
    return None
