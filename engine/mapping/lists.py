"""Filters on lists and maps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import StrictUndefined

from engine.errors import RecordError
from engine.mapping.convert import UNSET
from engine.mapping.operators import NUMBERS, get_field, get_item
from engine.mapping.values import (
    MAX_MEMBERS,
    MAX_SIZE,
    Missing,
    bad_type,
    demand,
    kind,
    number,
    show,
    to_text,
    too_large,
)


def members(name: str, value: Any) -> list[Any]:
    """The members of a list, characters of a text or keys of a map; refuses more than an expression may walk."""
    if value.__class__ not in (list, str, dict):
        raise bad_type(f"{name} works on a list, not on {kind(value)} ({show(value)})")
    if len(value) > MAX_MEMBERS:
        raise too_large("the list")
    return list(value)


def picked(listed: list[Any], attribute: Any, default: Any = UNSET) -> list[Any]:
    """The field `a.b` of each member."""
    return [_reach(member, attribute, default) for member in listed]


def _reach(member: Any, attribute: Any, default: Any = UNSET) -> Any:
    if attribute.__class__ is int:
        found = get_item(member, attribute)
    elif attribute.__class__ is str:
        found = member
        for part in attribute.split("."):
            found = get_item(found, int(part)) if part.isdecimal() else get_field(found, part, "a member")
            if isinstance(found, StrictUndefined):
                break
    else:
        raise bad_type("attribute must name a field")
    return default if isinstance(found, Missing) and default is not UNSET else demand(found)


def join(value: Any, d: Any = "", attribute: str | None = None) -> str:
    """`["a", "b"] | join(", ")` is `"a, b"`."""
    listed = members("join", value)
    sep, total, texts = to_text(d), 0, []
    for member in listed if attribute is None else picked(listed, attribute):
        texts.append(to_text(member))
        total += len(texts[-1]) + len(sep)
        if total > MAX_SIZE + len(sep):
            raise too_large("the text")
    return sep.join(texts)


def length(value: Any) -> int:
    """How many characters, members or keys."""
    if value.__class__ not in (list, str, dict):
        raise bad_type(f"length works on a text, a list or a map, not on {kind(value)}")
    return len(value)


def first(value: Any) -> Any:
    """The first member; missing where there is none."""
    return next(iter(members("first", value)), Missing("first: the list is empty"))


def last(value: Any) -> Any:
    """The last member; missing where there is none."""
    return next(reversed(members("last", value)), Missing("last: the list is empty"))


def to_list(value: Any) -> list[Any]:
    """The characters of a text, the keys of a map, or a list as it is."""
    return members("list", value)


def reverse(value: Any) -> Any:
    """A text or a list from its end."""
    return value[::-1] if value.__class__ is str else members("reverse", value)[::-1]


def items(value: Any) -> list[Any]:
    """A map as a list of `[key, value]`."""
    if value.__class__ is not dict:
        raise bad_type(f"items works on a map, not on {kind(value)}")
    return [[key, value[key]] for key in members("items", value)]


def dictsort(value: Any, case_sensitive: bool = False, by: str = "key", reverse: bool = False) -> list[Any]:
    """A map as a list of `[key, value]` in order of its keys (or values)."""
    if by not in ("key", "value"):
        raise bad_type("dictsort: by must be key or value")
    return _sorted(items(value), lambda pair: _fold(pair[by == "value"], case_sensitive), reverse)


def sort(
    value: Any, reverse: bool = False, case_sensitive: bool = False, attribute: Any = None
) -> list[Any]:  # fmt: skip
    """The members in order, capitals and small letters alike unless `case_sensitive`; `attribute`: by that field."""
    return _sorted(members("sort", value), _key(attribute, case_sensitive), reverse)


def _sorted(listed: list[Any], key: Callable[[Any], Any], reverse: bool) -> list[Any]:
    try:
        return sorted(listed, key=key, reverse=bool(reverse))
    except TypeError:
        raise bad_type("the members are not of one kind and have no order") from None


def _fold(value: Any, case_sensitive: bool) -> Any:
    return value.lower() if value.__class__ is str and not case_sensitive else value


def _key(attribute: Any, case_sensitive: bool) -> Callable[[Any], Any]:
    if attribute is None:
        return lambda member: _fold(member, case_sensitive)
    return lambda member: _fold(_reach(member, attribute), case_sensitive)


def unique(value: Any, case_sensitive: bool = False, attribute: Any = None) -> list[Any]:
    """Each member once, the first of equals."""
    key = _key(attribute, case_sensitive)
    found: dict[Any, Any] = {}
    try:
        for member in members("unique", value):
            found.setdefault(key(member), member)
        return list(found.values())
    except TypeError:
        raise bad_type("unique: lists and maps cannot be told apart; give `attribute`") from None


def total(value: Any, attribute: Any = None, start: Any = 0) -> Any:
    """The sum of numbers, or of the field `attribute` of maps."""
    listed = members("sum", value)
    listed = listed if attribute is None else picked(listed, attribute)
    if not {type(start), *map(type, listed)} <= NUMBERS:
        wrong = next(member for member in (start, *listed) if type(member) not in NUMBERS)
        raise bad_type(f"sum: {show(demand(wrong))} is not a number; `| map('float')` makes numbers")
    return number(sum(listed, start))


def smallest(value: Any, case_sensitive: bool = False, attribute: Any = None) -> Any:
    """The smallest member; missing where there is none."""
    return _extreme("min", min, value, case_sensitive, attribute)


def largest(value: Any, case_sensitive: bool = False, attribute: Any = None) -> Any:
    """The largest member; missing where there is none."""
    return _extreme("max", max, value, case_sensitive, attribute)


def _extreme(name: str, choose: Any, value: Any, case_sensitive: bool, attribute: Any) -> Any:
    listed = members(name, value)
    if not listed:
        return Missing(f"{name}: the list is empty")
    try:
        return choose(listed, key=_key(attribute, case_sensitive))
    except TypeError:
        raise bad_type("the members are not of one kind and have no order") from None


def pick(value: Any, *names: str) -> dict[str, Any]:
    """The map with only these keys, those that it has."""
    _map("pick", value)
    return {name: value[name] for name in names if name in value}


def without(value: Any, *names: str) -> dict[str, Any]:
    """The map less these keys."""
    _map("without", value)
    return {name: value[name] for name in value if name not in names}


def _map(name: str, value: Any) -> None:
    if value.__class__ is not dict:
        raise bad_type(f"{name} works on a map, not on {kind(value)}")


# --- map, select, reject: the name of the filter or test is a literal, so that check has seen it ------------------


def selecting(tests: dict[str, Callable[..., bool]], keep: bool) -> Callable[..., list[Any]]:
    """`select` (keep) or `reject`."""

    def select(value: Any, test: str | None = None, *arguments: Any) -> list[Any]:
        """The members for which the test holds (without a test: that are true), or does not."""
        found = members("select", value)
        return [m for m in found if _holds(tests, m, test, arguments) == keep]

    return select


def selecting_by(tests: dict[str, Callable[..., bool]], keep: bool) -> Callable[..., list[Any]]:
    """`selectattr` (keep) or `rejectattr`."""

    def select(value: Any, attribute: str, test: str | None = None, *arguments: Any) -> list[Any]:
        """The maps whose field passes the test (without a test: is true), or does not."""
        found = members("selectattr", value)
        if test in ("defined", "undefined"):
            there = [_reach(m, attribute, UNSET_FIELD) is not UNSET_FIELD for m in found]
            wanted = keep == (test == "defined")
            return [m for m, is_there in zip(found, there, strict=True) if is_there == wanted]
        return [m for m in found if _holds(tests, _reach(m, attribute), test, arguments) == keep]

    return select


UNSET_FIELD = object()


def _holds(tests: dict[str, Callable[..., bool]], value: Any, test: str | None, arguments: Any) -> bool:
    return bool(value) if test is None else bool(tests[test](value, *arguments))


def mapping_over(filters: dict[str, Callable[..., Any]]) -> Callable[..., list[Any]]:
    """`map`, with the filters that may be named in it."""

    def map_(
        value: Any, filter: str | None = None, *arguments: Any, attribute: Any = None, default: Any = UNSET
    ) -> Any:
        """`map(attribute="a.b")` gives that field of each member; `map("float")` applies a filter to each."""
        listed = members("map", value)
        if filter is None:
            return picked(listed, attribute, default)
        if filter not in filters:
            raise RecordError("bad-type", f"map: {show(filter)} cannot be mapped over a list")
        return [demand(filters[filter](member, *arguments)) for member in listed]

    return map_
