"""Dead letters as a source: each record once, where it came from, with the payloads of it that are still wanted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from engine.mapping.compiler import Mapper
from engine.model import Mapped, Position, Rows
from engine.runtime.deadletters import REDACTED, letter_id
from engine.runtime.plan import MappingPlan

BATCH = 200
ELEMENTS = 10_000  # elements of `each` among which that of a letter is looked for


@dataclass
class Entry:
    """A record to send again. `wanted` has, by mapping, its letters' ids; of a row that could not be read, none."""

    file: str
    line: int
    offset: int
    record: dict[str, Any]
    wanted: dict[str, set[str]] = field(default_factory=dict)
    everywhere: bool = False  # by every mapping: no mapping ever saw it


class LetterSource:
    """Entries in the order of their files. A batch holds records of one file, so that ids are as the first time."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = list(entries)

    def partitions(self) -> list[str]:
        return ["dead letters"]

    def columns(self, partition: str) -> None:
        return None

    def checksum(self, partition: str, offset: int) -> int:
        return 0

    def read(self, partition: str, start: Position | None) -> Iterator[Rows]:
        first = start.row if start else 0
        for file, group in groupby(self._entries[first:], key=lambda entry: entry.file):
            same = list(group)
            for at in range(0, len(same), BATCH):
                some = same[at : at + BATCH]
                end = Position(first + len(some), 1, 0)
                yield Rows(file, Position(first, 1, 0), end, None, [dict(e.record) for e in some], _places(some))
                first += len(some)


def _places(entries: Sequence[Entry]) -> Callable[[int], tuple[int, int]]:
    def place(row: int) -> tuple[int, int]:
        entry = entries[min(row, len(entries) - 1)]
        return entry.line, entry.offset

    return place


class OnlyLetters(MappingPlan):
    """A mapping that makes only what letters ask for; all else of a record counts as filtered."""

    def __init__(self, plan: MappingPlan, pipeline: str, entries: Iterable[Entry]) -> None:
        super().__init__(plan.spec, plan.sink, plan.action, plan.context, plan._mappers, plan._valuers)
        self._pipeline = pipeline
        self._wanted = {(entry.file, entry.offset): entry for entry in entries}

    def mapper(self, columns: tuple[str, ...] | None) -> Any:
        """The mapping's own mapper, behind a choice."""
        return Chosen(super().mapper(columns), self._choice)

    def _choice(self, rows: Rows, record: int) -> Callable[[int], bool] | None:
        """Which elements of a record are asked for; None where the record is not."""
        entry = self._wanted[rows.file, rows.locate(rows.row(record))[1]]
        name = self.spec.name
        if entry.everywhere:
            return lambda element: True
        if name not in entry.wanted:
            return None
        ids, place = entry.wanted[name], (self._pipeline, self.spec.source, name, entry.file, entry.offset)
        if letter_id(*place, -1) in ids:  # the record as a whole
            return lambda element: True
        return lambda element: letter_id(*place, element) in ids


@dataclass
class Chosen:
    """A mapper over some records, and some of their elements."""

    mapper: Mapper
    choice: Callable[[Rows, int], Callable[[int], bool] | None]

    @property
    def needs_lookups(self) -> frozenset[str]:
        return self.mapper.needs_lookups

    def __call__(
        self, rows: Rows, only: Sequence[int] | None = None, lookups: Mapping[str, Sequence[Any]] | None = None
    ) -> Mapped:
        indexes = range(len(rows.records)) if only is None else only
        choices = {at: choice for at in indexes if (choice := self.choice(rows, at)) is not None}
        mapped = self.mapper(rows, list(choices), lookups)
        if mapped.elements is not None:
            mapped = _only_elements(mapped, choices)
        mapped.filtered = sorted({*mapped.filtered, *(at for at in indexes if at not in choices)})
        return mapped


def _only_elements(mapped: Mapped, choices: Mapping[int, Callable[[int], bool]]) -> Mapped:
    assert mapped.elements is not None
    kept = [n for n, at in enumerate(mapped.sources) if choices[at](mapped.elements[n])]
    gone = set(mapped.sources) - {mapped.sources[n] for n in kept}
    return Mapped(
        [mapped.payloads[n] for n in kept], [mapped.sources[n] for n in kept], [mapped.elements[n] for n in kept],
        None if mapped.keys is None else [mapped.keys[n] for n in kept], [*mapped.filtered, *gone], mapped.failed,
    )  # fmt: skip


def entries_of(letters: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """The records of letters of one source, each once, in the order of their files."""
    found: dict[tuple[str, int], Entry] = {}
    for letter in letters:
        origin = letter["origin"]
        place = (origin["file"], origin["offset"])
        if place not in found:
            found[place] = Entry(origin["file"], origin["line"], origin["offset"], letter["record"])
        if letter["mapping"] is None:
            found[place].everywhere = True
        else:
            found[place].wanted.setdefault(letter["mapping"], set()).add(letter["id"])
    files = {file: at for at, file in enumerate(dict.fromkeys(file for file, _ in found))}
    return sorted(found.values(), key=lambda entry: (files[entry.file], entry.offset))


def is_redacted(value: Any, fields: Collection[str]) -> bool:
    """Does the record hold a field whose content was not kept, or was all of a row not kept?"""
    if isinstance(value, dict):
        return any(key in fields or is_redacted(inner, fields) for key, inner in value.items())
    if isinstance(value, list):
        return any(is_redacted(inner, fields) for inner in value)
    return bool(value == REDACTED)
