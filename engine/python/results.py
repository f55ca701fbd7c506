"""What became of payloads that a script sent: one by one, and in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from engine.errors import EngineError, Halt

DELIVERED, OPEN = "delivered", "open"


class Fate(NamedTuple):
    """What became of one payload.

    `outcome` is `delivered`; `rejected` (by its schema or the vendor); `dropped` (the vendor erased that person: no
    error); `unknown` (perhaps stored, and sending it again could double it); or `open` (the delivery halted before an
    answer that counts: it may be sent again). `payload` is what was, or would have been, sent; that of an erased
    person is not kept.
    """

    number: int
    outcome: str
    code: str = ""
    reason: str = ""
    payload: Any = None

    @property
    def ok(self) -> bool:
        return self.outcome in (DELIVERED, "dropped")


class Result(Sequence[Fate]):
    """The fates of the payloads of one call, in the order they were given. True where nothing went wrong.

    `requests`, `retries` and `bytes` say what it took; `warnings` are the vendor's.
    """

    def __init__(self, requests: int, retries: int, size: int, warnings: Sequence[str]) -> None:
        self.requests, self.retries, self.bytes, self.warnings = requests, retries, size, list(warnings)
        self._outcomes: list[str] = []
        self._told: dict[int, Fate] = {}

    def expect(self) -> int:
        """One payload more, whose fate is open; its number."""
        self._outcomes.append(OPEN)
        return len(self._outcomes) - 1

    def settle(self, number: int, outcome: str, code: str = "", reason: str = "", payload: Any = None) -> None:
        """What became of payload `number`; that a plain delivery has nothing more to tell keeps millions small."""
        self._outcomes[number] = outcome
        if outcome != DELIVERED:
            self._told[number] = Fate(number, outcome, code, reason, payload)

    def __len__(self) -> int:
        return len(self._outcomes)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        outcome = self._outcomes[number]  # raises IndexError
        number %= len(self)
        return self._told.get(number) or Fate(number, outcome)

    def __iter__(self) -> Iterator[Fate]:
        return (self[number] for number in range(len(self)))

    @property
    def counts(self) -> dict[str, int]:
        """How many of each outcome."""
        found = Counter(self._outcomes)
        return {name: found[name] for name in (DELIVERED, "rejected", "dropped", "unknown", OPEN)}

    @property
    def delivered(self) -> int:
        return self.counts[DELIVERED]

    @property
    def failures(self) -> list[Fate]:
        """Those that were neither delivered nor dropped, in order."""
        wrong = (n for n, outcome in enumerate(self._outcomes) if outcome not in (DELIVERED, "dropped"))
        return [self[number] for number in wrong]

    @property
    def ok(self) -> bool:
        return not self.failures

    def __bool__(self) -> bool:
        return self.ok

    def raise_for_failures(self) -> Result:
        """The result, or `NotDelivered` where anything failed."""
        if self.ok:
            return self
        raise NotDelivered(self)

    def __repr__(self) -> str:
        said = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count) or "nothing sent"
        return f"<Result: {said}>"


class NotDelivered(EngineError):
    """Some payloads were not delivered; `result` says which and why."""

    def __init__(self, result: Result) -> None:
        first = result.failures[0]
        more = f" (and {len(result.failures) - 1} more)" if len(result.failures) > 1 else ""
        super().__init__(f"payload {first.number} is {first.outcome}: {first.code}: {first.reason}{more}")
        self.result = result


class Stopped(Halt):
    """Nothing more would have worked; `result` says how far it came. What is `open` there may be sent again."""

    def __init__(self, halt: Halt, result: Result) -> None:
        super().__init__(halt.reason, where=halt.where, code=halt.code)
        self.result = result
