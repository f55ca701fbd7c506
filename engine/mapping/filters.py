"""The table of filters. What is not in it does not exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import StrictUndefined

from engine.mapping import convert, dates, lists, patterns, texts
from engine.mapping.predicates import TESTS
from engine.mapping.values import Missing, demand


def default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    """`default_value` where the value is missing; with `boolean` also where it is empty, zero, false or null."""
    if isinstance(value, Missing):
        return default_value
    if boolean and not value:
        return default_value
    return value


MAPPABLE: dict[str, Callable[..., Any]] = {
    "lower": texts.lower,
    "upper": texts.upper,
    "title": texts.title,
    "capitalize": texts.capitalize,
    "trim": texts.trim,
    "string": texts.string,
    "length": lists.length,
    "count": lists.length,
    "first": lists.first,
    "last": lists.last,
    "int": convert.to_int,
    "float": convert.to_float,
    "bool": convert.to_bool,
    "round": convert.round_,
    "abs": convert.absolute,
    "md5": texts.md5,
    "sha256": texts.sha256,
    "murmur3": texts.murmur3,
    "parse_date": dates.parse_date,
    "iso": dates.iso,
    "epoch": dates.epoch,
    "epoch_ms": dates.epoch_ms,
}
FILTERS: dict[str, Callable[..., Any]] = {
    **MAPPABLE,
    "default": default,
    "d": default,
    "replace": texts.replace,
    "split": texts.split,
    "join": lists.join,
    "json": texts.json,
    "from_json": texts.from_json,
    "regex_search": patterns.regex_search,
    "regex_replace": patterns.regex_replace,
    "list": lists.to_list,
    "reverse": lists.reverse,
    "items": lists.items,
    "dictsort": lists.dictsort,
    "sort": lists.sort,
    "unique": lists.unique,
    "sum": lists.total,
    "min": lists.smallest,
    "max": lists.largest,
    "pick": lists.pick,
    "without": lists.without,
    "map": lists.mapping_over(MAPPABLE),
    "select": lists.selecting(TESTS, True),
    "reject": lists.selecting(TESTS, False),
    "selectattr": lists.selecting_by(TESTS, True),
    "rejectattr": lists.selecting_by(TESTS, False),
}
RESCUING = frozenset({"default", "d"})  # take what is missing, and hand over what is given
LENIENT = frozenset({*RESCUING, "int", "float", "bool", "parse_date", "iso", "epoch", "epoch_ms"})
LITERAL_PATTERNS = frozenset({"regex_search", "regex_replace"})


def apply(name: str, function: Callable[..., Any], value: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
    """A filter other than `default` on a value; `omit` and the like may only be what stands in for a value."""
    demand(value)
    if name not in LENIENT:
        for argument in (*arguments, *named.values()):
            demand(argument)
    return function(value, *arguments, **named)


def is_absent(value: Any) -> bool:
    """`is undefined`; a waiting skip or reject is carried out."""
    return isinstance(value, Missing) or (isinstance(value, StrictUndefined) and demand(value) is None)
