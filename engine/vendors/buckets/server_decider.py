"""Deciding as the vendor's decision server does: its present meaning of the same file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.plugin import RecordError
from engine.vendors.buckets.decision import Decision
from engine.vendors.buckets.document import Broken, Campaign, File, Finding, Group, Variation
from engine.vendors.buckets.hashing import BUCKETS, murmur, running_sums_single, table, utf8
from engine.vendors.buckets.server_rules import matcher

AB_TEST = "ab"
Remembered = Mapping[str, Any] | Iterable[Any] | None


class ServerDecider:
    """Decides for `rules: server`. `problems` names what the file has that is malformed or lets nobody in."""

    rules = "server"

    def __init__(self, file: File) -> None:
        problems: list[Finding] = []
        self.panic = file.panic
        self.campaigns = tuple(
            _Campaign(campaign, problems) for campaign in _first_of_each_id(file.campaigns, problems)
        )
        self._single = file.one_visitor_one_test
        self._continuity = file.continuity
        self.problems = (*file.problems, *dict.fromkeys(problems))

    def decide(
        self,
        visitor_id: str,
        context: Mapping[str, Any],
        cached: Remembered = None,
        *,
        anonymous: Remembered = None,
        decision_group: str = "",
    ) -> Decision:
        """One visitor's decision.

        `cached` is what the visitor had before: group id → variation id (`Decision.by_group`), or a flat list of
        variation ids. `anonymous` is the same of the anonymous visitor, and counts where the file says so.
        `decision_group` replaces the visitor in the hash. Raises `RecordError` for a visitor id that is no text.
        """
        if self.panic:
            return Decision(panic=True)
        if not isinstance(visitor_id, str):
            raise RecordError("visitor-id", f"A visitor id must be a text, not {type(visitor_id).__name__}.")
        own = NOTHING if cached is None else _Memory(cached)
        before = _Memory(anonymous) if self._continuity and anonymous is not None else NOTHING
        raw = utf8(visitor_id)
        place = murmur(raw) % BUCKETS
        matched = [(campaign, campaign.match(visitor_id, context.get)) for campaign in self.campaigns]
        entered = [(campaign, pick) for campaign, pick in matched if pick is not None]
        tests = {pick for campaign, pick in entered if campaign.is_test and own.knows(pick.group)}
        hashed = base64.b64encode(utf8(decision_group)) if decision_group else raw
        chosen: list[Variation] = []
        problems: list[Finding] = []
        taken = False  # by an A/B test, of which `enabled1V1T` allows one
        for campaign, pick in entered:
            if self._single and campaign.is_test and (taken or (tests and pick not in tests)):
                continue
            if not campaign.open[place]:
                continue
            choice = pick.choose(hashed, own, before)
            if isinstance(choice, Broken):
                problems.append(choice.finding)
            elif choice is not None:
                chosen.append(choice)
                taken = taken or campaign.is_test
        return Decision(chosen, False, problems)


class _Memory:
    """What was assigned earlier, by group or as a flat list of ids."""

    def __init__(self, remembered: Remembered) -> None:
        self._groups = dict(remembered) if isinstance(remembered, Mapping) else {}
        flat = [] if remembered is None or isinstance(remembered, Mapping) else remembered
        self._flat = frozenset(value for value in flat if isinstance(value, str | int))

    def knows(self, group: Group) -> bool:
        return group.id in self._groups or self._find_flat(group) is not None

    def find(self, group: Group) -> Variation | None:
        if group.id not in self._groups:
            return self._find_flat(group)
        wanted = self._groups[group.id]
        return next((variation for variation in _known(group) if variation.id == wanted), None)

    def _find_flat(self, group: Group) -> Variation | None:
        return next((variation for variation in _known(group) if variation.id in self._flat), None)


NOTHING = _Memory(None)


class _Pick:
    def __init__(self, group: Group, problems: list[Finding]) -> None:
        self.group, self.matches = group, matcher(group, problems)
        self._raw = utf8(group.id)
        readable: list[Variation] = []
        broken = None
        for variation in group.variations:
            if isinstance(variation, Broken):
                broken = variation
                break
            readable.append(variation)
        choices: list[Variation | Broken | None] = list(readable)
        self.table = table(running_sums_single([variation.allocation for variation in readable]), choices, broken)

    def choose(self, hashed: bytes, own: _Memory, before: _Memory) -> Variation | Broken | None:
        """A remembered variation, else the bucket's; nothing where the remembered one was deleted."""
        remembered = own is not NOTHING or before is not NOTHING
        if remembered and (own.knows(self.group) or before.knows(self.group)):
            return own.find(self.group) or before.find(self.group)
        return self.table[murmur(self._raw + hashed) % BUCKETS]


class _Campaign:
    def __init__(self, campaign: Campaign, problems: list[Finding]) -> None:
        self.is_test = campaign.type == AB_TEST
        self.open = [any(start <= number < end for start, end in campaign.ranges) for number in range(BUCKETS)]
        self._groups = [_Pick(group, problems) for group in campaign.groups]
        if not campaign.ranges:
            problems.append(Finding("closed-campaign", campaign.where, "has no bucketRanges; nobody enters it"))

    def match(self, visitor_id: str, get: Callable[..., Any]) -> _Pick | None:
        """The first group that matches; whether it has a variation is seen later, and ends the matter."""
        for pick in self._groups:
            if pick.matches(visitor_id, get):
                return pick
        return None


def _known(group: Group) -> Iterable[Variation]:
    for variation in group.variations:
        known = variation.known if isinstance(variation, Broken) else variation
        if known is not None:
            yield known


def _first_of_each_id(campaigns: Iterable[Campaign], problems: list[Finding]) -> Iterable[Campaign]:
    seen = set()
    for campaign in campaigns:
        if campaign.id in seen:
            problems.append(Finding("duplicate-campaign", campaign.where, "is there twice; only the first counts"))
        else:
            seen.add(campaign.id)
            yield campaign
