"""Tests: what may follow `is`. `defined` and `undefined` are the language's own; the rest are here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.mapping.operators import COMPARISONS, contains, modulo


def _of(*types: type) -> Callable[[Any], bool]:
    return lambda value: value.__class__ in types


TESTS: dict[str, Callable[..., bool]] = {
    "none": lambda value: value is None,
    "true": lambda value: value is True,
    "false": lambda value: value is False,
    "boolean": _of(bool),
    "integer": _of(int),
    "float": _of(float),
    "number": _of(int, float, bool),
    "string": _of(str),
    "mapping": _of(dict),
    "sequence": _of(str, list, dict),
    "iterable": _of(str, list, dict),
    "lower": lambda value: str(value).islower(),
    "upper": lambda value: str(value).isupper(),
    "odd": lambda value: modulo(value, 2) == 1,
    "even": lambda value: modulo(value, 2) == 0,
    "divisibleby": lambda value, num: modulo(value, num) == 0,
    "in": contains,
    **dict.fromkeys(("eq", "==", "equalto"), COMPARISONS["eq"]),
    **dict.fromkeys(("ne", "!="), COMPARISONS["ne"]),
    **dict.fromkeys(("lt", "<", "lessthan"), COMPARISONS["lt"]),
    **dict.fromkeys(("gt", ">", "greaterthan"), COMPARISONS["gt"]),
    **dict.fromkeys(("le", "<="), COMPARISONS["lteq"]),
    **dict.fromkeys(("ge", ">="), COMPARISONS["gteq"]),
}
