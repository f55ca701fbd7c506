"""What `compile_mapping` gives: a function from `Rows` to `Mapped`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from engine.errors import RecordError
from engine.mapping.reference import Reference
from engine.mapping.values import Skip
from engine.model import Failure, Mapped, PlacedFailure, Rows

Slow = Callable[[int], None]
Fast = Callable[..., None]  # (records with their indexes, mapped, lookups, meta of an index, slow)


class Mapper:
    """Maps micro-batches. Its functions are made for the first of them: a file that is only checked needs none.

    `uses` are the record fields it reads (None: the whole record counts), `needs_lookups` the lookups it names.
    """

    def __init__(
        self, *, reference: Callable[[], Reference], fast: Callable[[], Fast | None], columns: tuple[str, ...] | None,
        constants: Mapping[str, Any], source: str, needs_meta: bool, needs_lookups: frozenset[str],
        uses: frozenset[str] | None, has_each: bool, has_key: bool,
    ) -> None:  # fmt: skip
        self._make_reference, self._make_fast, self._columns = reference, fast, columns
        self._constants, self._source, self._needs_meta = constants, source, needs_meta
        self._has_each, self._has_key = has_each, has_key
        self.needs_lookups, self.uses = needs_lookups, uses

    @cached_property
    def _reference(self) -> Reference:
        return self._make_reference()

    @cached_property
    def _fast(self) -> Fast | None:
        return self._make_fast()

    def __call__(
        self, rows: Rows, only: Sequence[int] | None = None, lookups: Mapping[str, Sequence[Any]] | None = None
    ) -> Mapped:
        """`only`: indexes of the records to map, ascending. `lookups`: name → a value per record of `rows`."""
        mapped = Mapped([], [], [] if self._has_each else None, [] if self._has_key else None, [], [])
        indexes = range(len(rows.records)) if only is None else only
        slow = self._slow(rows, mapped, lookups or {})
        if self._fast is None or rows.columns != self._columns:
            for index in indexes:
                slow(index)
        else:
            pairs = enumerate(rows.records) if only is None else ((i, rows.records[i]) for i in only)
            self._fast(pairs, mapped, lookups or {}, lambda index: self._meta(rows, index), slow)
        if not self._has_each:
            mapped.sources = _without_gaps(indexes, mapped)
        return mapped

    def _meta(self, rows: Rows, index: int) -> dict[str, Any]:
        return {"source": self._source, **rows.meta(index)}

    def _slow(self, rows: Rows, mapped: Mapped, lookups: Mapping[str, Sequence[Any]]) -> Slow:
        """A function that maps one record by the reference and enters the outcome."""

        def slow(index: int) -> None:
            scope = {**self._constants, "record": rows.record(index)}
            scope.update((name, lookups[name][index]) for name in self.needs_lookups)
            if self._needs_meta:
                scope["meta"] = self._meta(rows, index)
            try:
                made = self._reference(scope)
            except Skip:
                mapped.filtered.append(index)
                return
            except RecordError as error:
                mapped.failed.append((index, _failure(error)))
                return
            if not made:
                mapped.filtered.append(index)
            for payload, element, key in made:
                mapped.payloads.append(payload)
                if mapped.keys is not None:
                    mapped.keys.append(key)
                if mapped.elements is not None and element is not None:
                    mapped.sources.append(index)
                    mapped.elements.append(element)

        return slow


def _failure(error: RecordError) -> Failure:
    """The failure, with its place where an expression is to blame."""
    if error.path is None:
        return Failure(error.code, error.reason, error.field)
    failure = PlacedFailure(error.code, error.reason, error.field)
    failure.path, failure.at = error.path, error.at
    return failure


def _without_gaps(indexes: Sequence[int], mapped: Mapped) -> list[int]:
    """One source per payload: every record but those that were filtered or failed."""
    if not mapped.filtered and not mapped.failed:
        return list(indexes)
    gaps = {*mapped.filtered, *(index for index, _ in mapped.failed)}
    return [index for index in indexes if index not in gaps]
