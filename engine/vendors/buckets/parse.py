"""Reads a bucketing file. A piece that cannot be read is named as a finding and skipped with what depends on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from engine.plugin import Unreadable
from engine.vendors.buckets.document import Broken, Campaign, File, Finding, Group, Rule, Variation, shown


class _Malformed(Exception):
    """Leaves the piece being read; whoever holds the list of pieces notes the finding and goes on."""

    def __init__(self, code: str, where: str, text: str) -> None:
        super().__init__(text)
        self.finding = Finding(code, where, text)


def read_file(document: Any) -> File:
    """Reads a decoded bucketing file; raises `Unreadable` where it is no JSON object at all."""
    if not isinstance(document, dict):
        raise Unreadable(f"The bucketing file is not a JSON object but {_kind(document)}.")
    problems: list[Finding] = []
    settings = document.get("accountSettings")
    settings = settings if isinstance(settings, dict) else {}
    return File(
        panic=document.get("panic") is True,
        campaigns=tuple(_campaigns(document.get("campaigns", []), problems)),
        one_visitor_one_test=settings.get("enabled1V1T") is True,
        continuity=settings.get("enabledXPC") is True or document.get("visitor_consolidation") is True,
        problems=tuple(problems),
    )


def _campaigns(pieces: Any, problems: list[Finding]) -> Iterator[Campaign]:
    if not isinstance(pieces, list):
        problems.append(Finding("malformed-file", "campaigns", f"should be a list, is {_kind(pieces)}; none is used"))
        return
    for number, piece in enumerate(pieces):
        try:
            yield _campaign(piece, f"campaigns[{number}]", problems)
        except _Malformed as error:
            problems.append(error.finding)


def _campaign(piece: Any, where: str, problems: list[Finding]) -> Campaign:
    if not isinstance(piece, dict):
        raise _Malformed("malformed-campaign", where, f"should be an object, is {_kind(piece)}; it is skipped")
    name, groups, kind = piece.get("id"), piece.get("variationGroups"), piece.get("type")
    if not _is_id(name):
        raise _Malformed("malformed-campaign", where, "has no id; it is skipped")
    where = f"campaign {shown(name)}"
    if not isinstance(groups, list):
        raise _Malformed("malformed-campaign", where, "has no list of variationGroups; it is skipped")
    return Campaign(
        id=name,
        where=where,
        type=kind if isinstance(kind, str) else "",
        groups=tuple(_groups(groups, name, where, problems)),
        ranges=tuple(_ranges(piece.get("bucketRanges", []), where, problems)),
    )


def _ranges(pieces: Any, where: str, problems: list[Finding]) -> Iterator[tuple[float, float]]:
    for piece in pieces if isinstance(pieces, list) else [pieces]:
        ends = piece.get("r") if isinstance(piece, dict) else None
        if isinstance(ends, list) and len(ends) >= 2 and _is_number(ends[0]) and _is_number(ends[1]):
            yield ends[0], ends[1]
        else:
            text = "has a bucket range without two numbers; the range is left out"
            problems.append(Finding("malformed-range", where, text))


# --- groups and their targeting -----------------------------------------------------------------------------------


def _groups(pieces: list[Any], campaign: str | int, where: str, problems: list[Finding]) -> Iterator[Group]:
    for number, piece in enumerate(pieces, 1):
        try:
            yield _group(piece, campaign, f"{where}, group {number}", problems)
        except _Malformed as error:
            problems.append(error.finding)


def _group(piece: Any, campaign: str | int, where: str, problems: list[Finding]) -> Group:
    if not isinstance(piece, dict):
        raise _bad_group(where, f"should be an object, is {_kind(piece)}")
    name, targeting, variations = piece.get("id"), piece.get("targeting"), piece.get("variations")
    if not isinstance(name, str):
        raise _bad_group(where, "has no id")
    where = f"campaign {shown(campaign)}, group {shown(name)}"
    entries = targeting.get("targetingGroups") if isinstance(targeting, dict) else None
    if not isinstance(entries, list):
        raise _bad_group(where, "has no targeting with a list of targetingGroups")
    if not isinstance(variations, list):
        raise _bad_group(where, "has no list of variations")
    return Group(
        id=name,
        where=where,
        alternatives=tuple(_alternatives(entries, where, problems)),
        variations=tuple(_variations(variations, campaign, name, where, problems)),
    )


def _bad_group(where: str, why: str) -> _Malformed:
    return _Malformed("malformed-group", where, f"{why}; the group is skipped")


def _alternatives(entries: list[Any], where: str, problems: list[Finding]) -> Iterator[tuple[Rule | None, ...]]:
    for entry in entries:
        if not isinstance(entry, dict):
            raise _bad_group(where, f"has a targeting group that is {_kind(entry)}")
        if "targetings" not in entry:
            text = "has a targeting group without targetings; that one is left out"
            problems.append(Finding("malformed-rule", where, text))
            continue
        if not isinstance(entry["targetings"], list):
            raise _bad_group(where, f"has targetings that are no list but {_kind(entry['targetings'])}")
        yield tuple(_rules(entry["targetings"], where, problems))


def _rules(pieces: list[Any], where: str, problems: list[Finding]) -> Iterator[Rule | None]:
    for piece in pieces:
        try:
            yield _rule(piece, where)
        except _Malformed as error:
            problems.append(error.finding)
            yield None


def _rule(piece: Any, where: str) -> Rule:
    if not isinstance(piece, dict):
        raise _Malformed("malformed-rule", where, f"has a rule that is {_kind(piece)}; it never matches")
    missing = [part for part in ("operator", "key", "value") if part not in piece]
    if missing:
        raise _Malformed("malformed-rule", where, f"has a rule without {' and '.join(missing)}; it never matches")
    for part in ("operator", "key"):
        if not isinstance(piece[part], str):
            text = f"has a rule whose {part} is {_kind(piece[part])}; it never matches"
            raise _Malformed("malformed-rule", where, text)
    return Rule(piece["operator"], piece["key"], piece["value"], where)


# --- variations ---------------------------------------------------------------------------------------------------


def _variations(
    pieces: list[Any], campaign: str | int, group: str, where: str, problems: list[Finding]
) -> Iterator[Variation | Broken]:
    for number, piece in enumerate(pieces, 1):
        place = f"{where}, variation {number}"
        try:
            variation = _variation(piece, campaign, group, place)
        except _Malformed as error:
            problems.append(error.finding)
            yield Broken(error.finding)
            continue
        allocation = piece.get("allocation", 0)
        if _is_number(allocation):
            yield variation
        else:
            finding = _bad_variation(place, f"has an allocation that is {_kind(allocation)}, no number").finding
            problems.append(finding)
            yield Broken(finding, known=variation)


def _variation(piece: Any, campaign: str | int, group: str, where: str) -> Variation:
    if not isinstance(piece, dict):
        raise _bad_variation(where, f"should be an object, is {_kind(piece)}")
    name, modifications, allocation = piece.get("id"), piece.get("modifications"), piece.get("allocation", 0)
    if not _is_id(name):
        raise _bad_variation(where, "has no id")
    if not isinstance(modifications, dict) or "type" not in modifications:
        raise _bad_variation(where, "has no modifications with a type")
    values = modifications.get("value")
    if not isinstance(values, dict):
        raise _bad_variation(where, f"has modifications whose value is {_kind(values)}, no object")
    assignment: Mapping[str, Any] = {
        "campaignId": campaign,
        "variationGroupId": group,
        "variationId": name,
        "isReference": bool(piece.get("reference", False)),
    }
    return Variation(name, allocation if _is_number(allocation) else 0, values, assignment)


def _bad_variation(where: str, why: str) -> _Malformed:
    return _Malformed("malformed-variation", where, f"{why}; visitors who reach it pass over the group")


# --- kinds of JSON values -----------------------------------------------------------------------------------------


def _is_id(value: Any) -> TypeGuard[str | int]:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float)  # a boolean counts as 1 or 0


_KINDS = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "of no JSON kind")
