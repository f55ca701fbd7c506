"""What happened, in numbers. The sums that always hold are in `check`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec


class SourceCounts(msgspec.Struct):
    read: int = 0
    malformed: int = 0


class MappingCounts(msgspec.Struct):
    """`records` = filtered + failed + mapped; `payloads` = delivered + dropped + rejected + unknown.

    Payloads are counted when their fate is known: those still open are in no number.
    """

    to: str = ""
    records: int = 0
    filtered: int = 0
    failed: int = 0
    payloads: int = 0
    delivered: int = 0
    dropped: int = 0
    rejected: int = 0
    unknown: int = 0


class SinkCounts(msgspec.Struct):
    requests: int = 0
    retries: int = 0
    ambiguous_retries: int = 0  # sent again although the vendor may have processed them
    bytes: int = 0
    throttled_seconds: float = 0.0


class Counts(msgspec.Struct):
    sources: dict[str, SourceCounts] = {}
    mappings: dict[str, MappingCounts] = {}
    sinks: dict[str, SinkCounts] = {}
    notes: dict[str, int] = {}  # warnings of the vendors: text → how often

    @property
    def dead_letters(self) -> int:
        """Every malformed, failed, rejected and unknown one is a dead letter."""
        malformed = sum(source.malformed for source in self.sources.values())
        return malformed + sum(m.failed + m.rejected + m.unknown for m in self.mappings.values())

    @property
    def delivered(self) -> int:
        return sum(mapping.delivered for mapping in self.mappings.values())


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of what several processes counted."""
    return msgspec.convert(_sum([msgspec.to_builtins(one) for one in counts]), Counts)


def _sum(values: list[Any]) -> Any:
    """Numbers are added, maps by their names; of texts, which are alike, the first that says anything stands."""
    if isinstance(values[0], dict):
        names = dict.fromkeys(name for value in values for name in value)
        return {name: _sum([value[name] for value in values if name in value]) for name in names}
    return next(filter(None, values), "") if isinstance(values[0], str) else sum(values)


def broken_sums(counts: Counts, sources: dict[str, str]) -> list[str]:
    """The sums that do not hold, in words; `sources` says which source each mapping reads."""
    broken = []
    for name, m in counts.mappings.items():
        source = counts.sources[sources[name]]
        if source.read != m.records + source.malformed:
            broken.append(f"{name}: read {source.read} != records {m.records} + malformed {source.malformed}")
        if m.payloads != m.delivered + m.dropped + m.rejected + m.unknown:
            broken.append(f"{name}: payloads {m.payloads} != delivered + dropped + rejected + unknown")
        if m.filtered + m.failed > m.records:
            broken.append(f"{name}: filtered {m.filtered} + failed {m.failed} > records {m.records}")
    return broken
