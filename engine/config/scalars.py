"""What a YAML scalar means: only JSON's own scalars are typed, everything else is text."""

from __future__ import annotations

import math
import re
from typing import Any

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS: dict[str, Any] = {"": None, "null": None, "true": True, "false": False}
_CORE = "tag:yaml.org,2002:"
MAX_DIGITS = 4300  # of an integer: what Python, and most readers of JSON, convert

_ACCEPTS: dict[str, Any] = {"str": str, "int": int, "float": (int, float), "bool": bool, "null": type(None)}


class NotAScalar(ValueError):
    """A scalar that cannot be read; the text says why, without the value."""


def read_plain(text: str) -> Any:
    """The value of an unquoted scalar; raises `NotAScalar` for a number that cannot be held."""
    if text in _WORDS:
        return _WORDS[text]
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    return _float(text) if match[1] or match[2] else _integer(text)


def read_tagged(text: str, tag: str) -> Any:
    """The value of a scalar with a tag of YAML's core schema; raises `NotAScalar` where they do not fit."""
    kind = tag.removeprefix(_CORE)
    if kind == "str" or tag == "!":
        return text
    value = read_plain(text)
    if not isinstance(value, _ACCEPTS.get(kind, ())) or (isinstance(value, bool) and kind != "bool"):
        raise NotAScalar(f"the text does not fit its tag !!{kind}")
    return float(value) if kind == "float" else value


def is_core(tag: str, kind: str) -> bool:
    """Is it a tag of YAML's core schema that fits a node of this kind?"""
    names = {"scalar": set(_ACCEPTS), "map": {"map"}, "list": {"seq"}}[kind]
    return tag == "!" or (tag.startswith(_CORE) and tag.removeprefix(_CORE) in names)


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise NotAScalar(f"a number of more than {MAX_DIGITS} digits")
    try:
        return int(text)
    except ValueError as error:  # the interpreter's own limit may be set lower
        raise NotAScalar("a number with too many digits") from error


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotAScalar("a number too large to be held")
    return value


def kind_of(value: Any) -> str:
    """What a value is, in plain words."""
    if value is None:
        return "nothing"
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return type(value).__name__


_KINDS: list[tuple[Any, str]] = [
    (bool, "true or false"),
    (int, "a whole number"),
    (float, "a number"),
    (str, "text"),
    (list, "a list"),
    (dict, "a map"),
]
