"""Methods of texts, lists and maps, named one by one. None changes what it is called on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import StrictUndefined

from engine.mapping.operators import get_item
from engine.mapping.texts import replace, split
from engine.mapping.values import bad_type, demand, kind, show


def _replace(text: str, old: Any, new: Any, count: Any = -1) -> str:
    return replace(text, old, new, None if count == -1 else count)


def _split(text: str, sep: Any = None, maxsplit: Any = -1) -> list[str]:
    return split(text, sep, maxsplit)


def _get(map_: dict[str, Any], key: Any, default: Any = None) -> Any:
    found = get_item(map_, key)
    return default if isinstance(found, StrictUndefined) else found


TEXT_METHODS: dict[str, Callable[..., Any]] = {
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "title": lambda text: text.title(),
    "capitalize": lambda text: text.capitalize(),
    "strip": lambda text, chars=None: text.strip(chars),
    "lstrip": lambda text, chars=None: text.lstrip(chars),
    "rstrip": lambda text, chars=None: text.rstrip(chars),
    "removeprefix": lambda text, prefix: text.removeprefix(prefix),
    "removesuffix": lambda text, suffix: text.removesuffix(suffix),
    "startswith": lambda text, prefix: text.startswith(prefix),
    "endswith": lambda text, suffix: text.endswith(suffix),
    "find": lambda text, part: text.find(part),
    "count": lambda text, part: text.count(part),
    "isdigit": lambda text: text.isdigit(),
    "isalpha": lambda text: text.isalpha(),
    "isalnum": lambda text: text.isalnum(),
    "isspace": lambda text: text.isspace(),
    "split": _split,
    "replace": _replace,
}
LIST_METHODS: dict[str, Callable[..., Any]] = {
    "count": lambda members, member: members.count(member),
    "index": lambda members, member: members.index(member),
}
MAP_METHODS: dict[str, Callable[..., Any]] = {
    "get": _get,
    "keys": lambda map_: list(map_),
    "values": lambda map_: list(map_.values()),
    "items": lambda map_: [list(pair) for pair in map_.items()],
}
METHODS: dict[type, dict[str, Callable[..., Any]]] = {str: TEXT_METHODS, list: LIST_METHODS, dict: MAP_METHODS}
METHOD_NAMES = sorted({name for table in METHODS.values() for name in table})


def call_method(value: Any, name: str, arguments: list[Any], subject: str = "") -> Any:
    """`value.name(…)`. On a map, a key of that name wins, and calling what it holds is an error."""
    demand(value)
    for argument in arguments:
        demand(argument)
    if value.__class__ is dict and name in value:
        raise bad_type(f"{subject or 'the map'} has a field {show(name)}, and a field cannot be called")
    method = METHODS.get(value.__class__, {}).get(name)
    if method is None:
        raise bad_type(f"{kind(value)} has no method {name}()")
    try:
        return method(value, *arguments)
    except (TypeError, ValueError) as error:
        raise bad_type(f"{name}(): {error}") from None
