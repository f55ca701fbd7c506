"""What generated code calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from engine.mapping import convert, functions, methods, operators, texts
from engine.mapping.operators import NUMBERS
from engine.mapping.predicates import TESTS
from engine.mapping.values import MAX_MEMBERS, MISSING, OMIT, Missing, Skip, demand, json_value, settle, to_text

__all__ = ["MISSING", "NAMES", "TESTS", "Bail", "Memo"]

REMEMBERED = 32_768  # texts a memo holds before it starts anew
LONGEST_REMEMBERED = 64


class Bail(Exception):
    """The fast way ends here; the slow way decides about the record."""


def bail() -> NoReturn:
    raise Bail


class Memo(dict[Any, Any]):
    """A pure function of texts, remembered: `memo[text]`. Values that are no text are computed every time."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[Any], Any]) -> None:
        super().__init__()
        self._function = function

    def __missing__(self, value: Any) -> Any:
        result = self._function(value)
        if value.__class__ is str and len(value) <= LONGEST_REMEMBERED:
            if len(self) >= REMEMBERED:
                self.clear()
            self[value] = result
        return result


def now(signal: Any) -> NoReturn:
    demand(signal)
    raise Bail


def instead(value: Any, other: Any) -> Any:
    return other if isinstance(value, Missing) else value


def sum_of(listed: Any, field: str) -> Any:
    """The sum of a field of maps, where all is ordinary: the reference judges the rest."""
    if listed.__class__ is not list or len(listed) > MAX_MEMBERS:
        raise Bail
    values = [member[field] for member in listed]
    if not NUMBERS.issuperset(map(type, values)) or not -1e300 < (total := sum(values)) < 1e300:
        raise Bail
    return total


NAMES: dict[str, Any] = {
    "_bail": bail,
    "_MISSING": MISSING,
    "_Missing": Missing,
    "_OMIT": OMIT,
    "_Skip": Skip,
    "_demand": demand,
    "_settle": settle,
    "_json_value": json_value,
    "_text": to_text,
    "_get_item": operators.get_item,
    "_get_field": operators.get_field,
    "_get_slice": operators.get_slice,
    "_call_method": methods.call_method,
    "_add": operators.add,
    "_subtract": operators.subtract,
    "_multiply": operators.multiply,
    "_divide": operators.divide,
    "_floor_divide": operators.floor_divide,
    "_modulo": operators.modulo,
    "_negative": operators.negative,
    "_positive": operators.positive,
    "_instead": instead,
    "_wait_skip": functions.skip,
    "_wait_reject": functions.reject,
    "_now_skip": now,
    "_now_reject": now,
    "_to_int": convert.to_int,
    "_to_float": convert.to_float,
    "_title": Memo(texts.title),
    "_bool": Memo(convert.to_bool),
    "_NUMBERS": NUMBERS,
    "_sum_of": sum_of,
    "__builtins__": {
        "len": len, "int": int, "float": float, "str": str, "list": list, "dict": dict, "bool": bool, "round": round,
        "sum": sum, "zip": zip, "enumerate": enumerate, "Exception": Exception,
        "True": True, "False": False, "None": None,
    },
}  # fmt: skip
