"""Types of columns: what a cell is read as. What cannot be read makes its row malformed; nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from engine.plugin import InvalidPipeline

INTEGER = re.compile(r"[+-]?[0-9]+", re.A)
NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.A)
LONGEST = 400  # characters of a number
TRUE, FALSE = ("true", "yes", "on", "1", "t", "y"), ("false", "no", "off", "0", "f", "n")
WORDS = {"type", "true_values", "false_values", "format"}

Convert = Callable[[str], Any]


def converters(columns: Mapping[str, Any] | None) -> dict[str, tuple[str, Convert]]:
    """By column: what its cells are, in words, and how they are read (`ValueError`: they are not)."""
    return {name: _converter(name, said) for name, said in (columns or {}).items() if _kind(name, said) != "text"}


def _kind(name: str, said: Any) -> str:
    kind = said.get("type") if isinstance(said, Mapping) else said
    if kind not in ("text", "integer", "number", "boolean", "datetime"):
        raise InvalidPipeline(f"columns: {name}: {kind!r} is none of text, integer, number, boolean, datetime")
    unknown = set(said) - WORDS if isinstance(said, Mapping) else ()
    if unknown:
        raise InvalidPipeline(f"columns: {name}: {sorted(unknown)[0]!r} is none of {', '.join(sorted(WORDS))}")
    return str(kind)


def _converter(name: str, said: Any) -> tuple[str, Convert]:
    kind, more = _kind(name, said), said if isinstance(said, Mapping) else {}
    if kind == "integer":
        return "an integer", _integer
    if kind == "number":
        return "a number", _number
    if kind == "datetime":
        return _datetime(name, more.get("format"))
    return _boolean(name, more.get("true_values"), more.get("false_values"))


def _integer(cell: str) -> int:
    if len(cell) > LONGEST or not INTEGER.fullmatch(cell):
        raise ValueError
    return int(cell)


def _number(cell: str) -> int | float:
    """Whole numbers stay exact, whatever their size."""
    found = NUMBER.fullmatch(cell) if len(cell) <= LONGEST else None
    if not found:
        raise ValueError
    if not found[1] and not found[2]:
        return int(cell)
    value = float(cell)
    if value in (float("inf"), float("-inf")):
        raise ValueError
    return value


def _boolean(name: str, true: Sequence[str] | None, false: Sequence[str] | None) -> tuple[str, Convert]:
    if true is None and false is None:
        known = {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False)}
        return "true or false", lambda cell: _known(known, cell.lower())
    table = {**dict.fromkeys(true or TRUE, True), **dict.fromkeys(false or FALSE, False)}
    doubled = set(true or TRUE) & set(false or FALSE)
    if doubled:
        raise InvalidPipeline(f"columns: {name}: {sorted(doubled)[0]!r} would be both true and false")
    return f"one of {', '.join(map(repr, table))}", lambda cell: _known(table, cell)


def _known(table: Mapping[str, bool], cell: str) -> bool:
    if cell not in table:
        raise ValueError
    return table[cell]


def _datetime(name: str, format: str | None) -> tuple[str, Convert]:
    """Dates become ISO 8601, without a zone where the file tells none."""
    if format is None:
        return "a date in ISO 8601", lambda cell: datetime.fromisoformat(cell).isoformat()
    try:
        datetime.strptime(datetime(2001, 2, 3, 4, 5, 6).strftime(format), format)  # noqa: DTZ001, DTZ007
    except ValueError as error:
        raise InvalidPipeline(f"columns: {name}: {format!r} is no format of dates: {error}") from error
    return f"a date like {format}", lambda cell: datetime.strptime(cell, format).isoformat()  # noqa: DTZ007
