"""Whose records they are, where several processes read one source: each takes those whose order key is its own.

A record's key is computed before the record is mapped, from as little of the mapping as it takes. All processes come
to the same answer, so that each record and mapping has exactly one owner, and a key's payloads keep their order. What
has no key, or whose key fails, is shared out by its row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import mmh3

from engine.errors import Halt, InvalidPipeline
from engine.mapping.compiler import Mapper, compile_mapping
from engine.model import Mapped, Problem, Rows
from engine.runtime.books import Own
from engine.runtime.lanes import Item
from engine.runtime.ledger import Ticket
from engine.runtime.plan import MappingPlan, Plan

SEED = 0x5EED  # another one than the lanes': else a process would fill some of its lanes only
OTHERS = bytes([1, 0]) + bytes(254)  # of 1 and 0 the other
Key = Callable[[Any], Any]
hashed: Callable[[str | bytes, int, bool], int] = mmh3.hash


def owner(key: Any, of: int) -> int:
    """Whose the key is: 0 to `of` - 1. Texts and other values of the same look are alike."""
    text = key if key.__class__ is str else repr(key)
    return hashed(text if text.isascii() else text.encode("utf-8", "surrogatepass"), SEED, False) % of


def _owner(key: Any, of: int, place: int) -> int:
    return place % of if key is None else owner(key, of)


class Probe:
    """The order keys of one mapping's records."""

    def __init__(self, plan: MappingPlan, key_of_source: Callable[[Rows, int], Any]) -> None:
        self._plan, self._key_of_source = plan, key_of_source
        self.mapping = plan.spec.name
        self._mappers: dict[tuple[str, ...] | None, Mapper] = {}

    def compile(self, columns: tuple[str, ...] | None) -> list[Problem]:
        """Why the keys of such rows cannot be known beforehand; nothing where they can."""
        if self._plan.spec.key is None and self._plan.action.key is None:
            return []
        context = replace(self._plan.context, lookups=frozenset())
        mapper, problems = compile_mapping(self._spec(), context=context, columns=columns)
        if mapper is None:
            return [problem for problem in problems if not problem.warning]
        self._mappers[columns] = mapper
        return []

    def recipe(self) -> str:
        """All that decides which key a record has: the same text, the same keys."""
        spec, action = self._plan.spec, f"{self._plan.spec.sink}.{self._plan.action.name}"
        if spec.key is None and self._plan.action.key is None:
            return repr((spec.name, action))
        made = self._spec()
        return repr((spec.name, action, made.key, made.fields, list(made.let.items())))

    def keys(self, rows: Rows) -> list[Any]:
        """One for each record; None where there is none."""
        if self._plan.spec.key is None and self._plan.action.key is None:
            return [self._key_of_source(rows, record) for record in range(len(rows.records))]
        if rows.columns not in self._mappers and (problems := self.compile(rows.columns)):
            raise InvalidPipeline(cannot_know(self._plan, problems))
        mapped = self._mappers[rows.columns](rows)
        keys: list[Any] = [None] * len(rows.records)
        for record, key in zip(mapped.sources, self._made(mapped), strict=True):
            keys[record] = key
        return keys

    def _made(self, mapped: Mapped) -> Sequence[Any]:
        if mapped.keys is not None:
            return mapped.keys
        assert self._plan.action.key is not None
        try:
            keys = list(map(self._plan.action.key, mapped.payloads))
        except Exception:  # of one of them: each on its own
            return [self._mended(payload) for payload in mapped.payloads]
        return [
            key if key.__class__ is str and key else self._mended(payload)  # a text that says something will stay
            for key, payload in zip(keys, mapped.payloads, strict=True)
        ]

    def _mended(self, payload: Any) -> Any:
        """The key that the vendor sees in a payload, once it is mended."""
        action = self._plan.action
        assert action.key is not None
        try:
            return action.key(payload if action.mend is None else action.mend(payload))
        except Exception:  # the payload has not all of its fields, or is refused when it is mapped
            return None

    def _spec(self) -> Any:
        """The mapping, less all that does not make the key. Whatever names an element does not compile."""
        spec = self._plan.spec
        fields = {} if spec.key is not None else fields_of_key(spec.fields, self._plan.action.key)
        let = _needed(spec.let, f"{spec.key!r} {fields!r}")
        return replace(spec, fields=fields, let=let, when=None, each=None, parameters={})


def fields_of_key(fields: Any, key: Key | None) -> Any:
    """Those fields of a payload that its key is made of; all of them where that cannot be told."""
    asked = Asked()
    try:
        assert key is not None
        key(asked)
    except Exception:
        return fields
    return {n: v for n, v in fields.items() if n in asked.names} if isinstance(fields, dict) else fields


class Asked(dict[str, Any]):
    """An empty payload that remembers what it was asked for. It cannot be asked for everything."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return default

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return ""

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return False

    def __iter__(self) -> Iterator[str]:
        raise TypeError("all of it")

    keys = items = values = copy = __iter__  # type: ignore[assignment]


def _needed(let: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The values that the text may name, and those that these may."""
    kept = {}
    for name, value in reversed(list(let.items())):
        if re.search(rf"\b{re.escape(name)}\b", text):
            kept[name] = value
            text += f" {value!r}"
    return dict(reversed(list(kept.items())))


def cannot_know(plan: MappingPlan, problems: Sequence[Problem]) -> str:
    return (
        f"mapping {plan.spec.name}: its order key must be known before a record is mapped, so that each process can "
        f"take its share, and it is not: {problems[0].message}. Give the mapping a `key:` of the record's own "
        "fields, or its sink `order: none`; or run it with one process"
    )


class Claims:
    """What belongs to process `number` (0 to `of` - 1) of those sources that all of them read."""

    def __init__(self, plan: Plan, sources: Collection[str], number: int, of: int) -> None:
        self._number, self._of = number, of
        self._probes = {source: probes(plan, source) for source in sources}

    def take(self, source: str, rows: Rows, tickets: Sequence[Ticket]) -> Own | None:
        """Settles what is others', and gives what is one's own; None where all of it is."""
        if source not in self._probes:
            return None
        number, of, first = self._number, self._of, rows.start.row
        own = {probe.mapping: self._own(probe, rows) for probe in self._probes[source]}
        for mine, ticket in zip(own.values(), tickets, strict=True):
            ticket.disown(mine.translate(OTHERS))
        return Own(own, {bad.row for bad in rows.malformed if (first + bad.row) % of == number})

    def _own(self, probe: Probe, rows: Rows) -> bytearray:
        """A byte for each row: 1 is one's own."""
        number, of, first, numbers = self._number, self._of, rows.start.row, rows.numbers
        keys = probe.keys(rows)
        if numbers is None:
            places: Iterable[int] = range(first, first + len(keys))
        else:
            places = (first + row for row in numbers)
        own = [
            (hashed(key, SEED, False) % of if key.__class__ is str and key.isascii() else _owner(key, of, place))
            == number
            for key, place in zip(keys, places, strict=True)
        ]
        if numbers is None:
            return bytearray(own)
        mine = bytearray(len(rows))
        for row, is_mine in zip(numbers, own, strict=True):
            mine[row] = is_mine
        return mine

    def verify(self, plan: MappingPlan, items: Sequence[Item]) -> None:
        """Raises `Halt` where a payload has a key that is another's: its order could not be kept."""
        if plan.spec.source not in self._probes:
            return
        number, of = self._number, self._of
        for item in items:
            key = item.key
            if key.__class__ is str and key.isascii():  # nearly always: no call of ours
                its = hashed(key, SEED, False) % of
            else:
                its = number if key is None else owner(key, of)
            if its != number:
                raise Halt(
                    f"mapping {plan.spec.name}: the order key of a payload became another one while it was mapped, "
                    "so several processes cannot keep its order; give the mapping a `key:`, and start with --fresh",
                    where=plan.spec.name, code="key-changed",
                )  # fmt: skip


def probes(plan: Plan, source: str) -> list[Probe]:
    """One for each mapping of the source, in the order of their tickets."""
    return [Probe(mapping, plan.sources[source].key) for mapping in plan.of_source(source)]


def recipe(plan: Plan, source: str) -> str:
    """A digest of all that decides whose a record of the source is, beside the record's place."""
    spec = plan.sources[source].spec
    keys = [probe.recipe() for probe in probes(plan, source)]
    settings = sorted((name, value) for name, value in spec.settings.items() if name not in ("path", "base"))
    text = repr((spec.key, settings, sorted(plan.pipeline.vars.items()), keys))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
