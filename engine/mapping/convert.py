"""Filters that read numbers and booleans strictly: what cannot be read is an error, or the given default.

Read are: texts as JSON writes numbers, a leading `+` and zeros allowed, blanks around ignored (`" 012 "` is 12).
Not read are `""`, `"1_000"`, `"1,5"`, `"0x10"`, `"nan"`, `"inf"` and other scripts' digits. `int` takes a text with a
fraction only if that is zero (`"12.0"`), and cuts the fraction off a number (`12.7 | int` is 12), as Jinja does.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from engine.mapping.values import bad_type, bad_value, kind, number, show

UNSET: Any = object()
TRUE = frozenset({"true", "yes", "on", "1", "t", "y"})
FALSE = frozenset({"false", "no", "off", "0", "f", "n"})
LONGEST_WORD = 16
_INTEGER = re.compile(r"\s*([+-]?[0-9]+)(?:\.0+)?\s*")


def to_int(value: Any, default: Any = UNSET) -> Any:
    """`"42" | int` is 42. A whole number of any length stays exact."""
    return _or_default("int", "a whole number", read_int, value, default)


def to_float(value: Any, default: Any = UNSET) -> Any:
    """`"79" | float` is 79.0."""
    return _or_default("float", "a number", read_float, value, default)


def to_bool(value: Any, default: Any = UNSET) -> Any:
    """`"yes" | bool` is true: true, yes, on, 1, t, y and false, no, off, 0, f, n in any case; the numbers 1 and 0."""
    return _or_default("bool", "a boolean", read_bool, value, default)


def _or_default(name: str, wanted: str, read: Callable[[Any], Any], value: Any, default: Any) -> Any:
    try:
        return read(value)
    except (ValueError, OverflowError):
        if default is not UNSET:
            return default
        raise bad_value(f"{name}: {show(value)} is not {wanted}") from None


def read_int(value: Any) -> int:
    if value.__class__ is str:
        found = _INTEGER.fullmatch(value)
        if found is None:
            raise ValueError(value)
        return int(found[1])  # refuses more than 4,300 digits
    if not isinstance(value, int | float):
        raise ValueError(value)
    return int(value)


def read_float(value: Any) -> float:
    if value.__class__ is str:
        if "_" in value or not value.isascii():
            raise ValueError(value)
    elif not isinstance(value, int | float):
        raise ValueError(value)
    result = float(value)
    if not math.isfinite(result):
        raise ValueError(value)
    return result


def read_bool(value: Any) -> bool:
    if value.__class__ is str:
        word = value.strip()[:LONGEST_WORD].lower()
        if word in TRUE or word in FALSE:
            return word in TRUE
    elif isinstance(value, int | float) and value in (0, 1):
        return bool(value)
    raise ValueError(value)


def round_(value: Any, precision: int = 0, method: str = "common") -> Any:
    """`2.345 | round(1)` is 2.3; `method` is `common`, `ceil` or `floor`. At most 15 places."""
    if not isinstance(value, int | float):
        raise bad_type(f"round works on numbers, not on {kind(value)} ({show(value)}); `| float` makes one")
    if precision.__class__ is not int or abs(precision) > 15:
        raise bad_type("round: precision must be a whole number from -15 to 15")
    if method == "common":
        return number(round(value, precision))
    if method not in ("ceil", "floor"):
        raise bad_type("round: method must be common, ceil or floor")
    scale = 10**precision
    try:
        return number((math.ceil if method == "ceil" else math.floor)(value * scale) / scale)
    except OverflowError:
        raise bad_value("round: the number is too large") from None


def absolute(value: Any) -> Any:
    """`-3 | abs` is 3."""
    if not isinstance(value, int | float):
        raise bad_type(f"abs works on numbers, not on {kind(value)}")
    return number(abs(value))
