"""A bucketing file as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Finding(NamedTuple):
    """Something wrong with a piece of the file or of a context: a short code, the place, and why."""

    code: str
    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def shown(value: Any) -> str:
    """A value as a message quotes it, in at most 60 characters."""
    try:
        return f"{value!r:.60}"
    except (ValueError, RecursionError):  # an integer or a nesting that Python will not write out
        return f"a boundless {type(value).__name__}"


@dataclass(frozen=True, slots=True)
class Rule:
    operator: str
    key: str
    value: Any
    where: str


@dataclass(frozen=True, slots=True, eq=False)
class Variation:
    id: str | int
    allocation: float
    modifications: Mapping[str, Any]
    assignment: Mapping[str, Any]  # campaignId, variationGroupId, variationId, isReference


@dataclass(frozen=True, slots=True, eq=False)
class Broken:
    """A variation that spoils its group once the walk over the variations reaches it.

    `known` is the variation where only its allocation cannot be read: a visitor cache may still name it.
    """

    finding: Finding
    known: Variation | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """`alternatives`: lists of rules, of which one must hold as a whole; None stands for a rule that never holds."""

    id: str
    where: str
    alternatives: tuple[tuple[Rule | None, ...], ...]
    variations: tuple[Variation | Broken, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Campaign:
    id: str | int
    where: str
    type: str
    groups: tuple[Group, ...]
    ranges: tuple[tuple[float, float], ...]  # of buckets of the visitor alone: from the first, below the second


@dataclass(frozen=True, slots=True)
class File:
    panic: bool
    campaigns: tuple[Campaign, ...]
    one_visitor_one_test: bool
    continuity: bool  # an anonymous visitor's assignment goes on after login
    problems: tuple[Finding, ...]
