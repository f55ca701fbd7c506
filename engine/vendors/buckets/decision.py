"""What a visitor was given. Values are the bucketing file's own: read them, do not change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.vendors.buckets.document import Finding, Variation


class Decision:
    """`chosen`: the variations in campaign order. `problems`: malformed pieces that this visitor ran into."""

    __slots__ = ("chosen", "panic", "problems")

    def __init__(
        self, chosen: Sequence[Variation] = (), panic: bool = False, problems: Sequence[Finding] = ()
    ) -> None:
        self.chosen = chosen
        self.panic = panic
        self.problems = problems

    @property
    def assignments(self) -> list[Mapping[str, Any]]:
        """campaignId, variationGroupId, variationId and isReference of each, in campaign order."""
        return [variation.assignment for variation in self.chosen]

    @property
    def values(self) -> dict[str, Any]:
        """Flag → value, null values included; the last campaign that holds a flag owns it."""
        merged: dict[str, Any] = {}
        for variation in self.chosen:
            merged.update(variation.modifications)
        return merged

    @property
    def flags(self) -> dict[str, Any]:
        """`values` without the null ones."""
        return {flag: value for flag, value in self.values.items() if value is not None}

    @property
    def info(self) -> dict[str, Mapping[str, Any]]:
        """Flag → the assignment that owns it."""
        owners: dict[str, Mapping[str, Any]] = {}
        for variation in self.chosen:
            owners.update(dict.fromkeys(variation.modifications, variation.assignment))
        return owners

    @property
    def held_ids(self) -> list[str | int]:
        """Ids of the variations that own a flag, in the order in which the flags first appeared.

        This is what the SDK 2.1 saves; a visitor of any other variation is bucketed anew on the next run.
        """
        return list(dict.fromkeys(assignment["variationId"] for assignment in self.info.values()))

    @property
    def va_ids(self) -> list[str | int]:
        """Ids to save for the next run: `held_ids`, then those of the variations that own no flag."""
        return list(dict.fromkeys([*self.held_ids, *(variation.id for variation in self.chosen)]))

    @property
    def by_group(self) -> dict[str, str | int]:
        """Variation group id → variation id: what `rules: server` remembers."""
        return {variation.assignment["variationGroupId"]: variation.id for variation in self.chosen}
