"""Types of data fields as the pretend Iterable keeps them: the first value of a field fixes its type for ever."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

DATE = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"( \d\d:\d\d:\d\d( [+-]\d\d:\d\d)?|T\d\d:\d\d:\d\d(\.\d{1,3})?(Z|[+-]\d\d:\d\d))?"
)  # fractions of a second only in the form with a T
WHOLE = re.compile(r"[+-]?\d+")
DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
LONGEST = 32_000  # characters of one value


def kind(value: Any) -> str:
    """The type that a first value fixes; empty for null and for an empty array, which fix none."""
    if isinstance(value, list):
        return next((found for found in map(kind, value) if found), "")
    if isinstance(value, str):
        return "date" if DATE.fullmatch(value) else "string"
    kinds: dict[type, str] = {bool: "boolean", int: "long", float: "double", dict: "object", type(None): ""}
    return kinds[type(value)]


def fits(value: Any, expected: str) -> bool:
    """Can a value be made the expected type?"""
    if isinstance(value, list):
        return all(fits(member, expected) for member in value)
    own = kind(value)
    if own in ("", expected):
        return True
    if expected == "string":
        return own != "object"
    if expected == "double":
        return own == "long" or (own == "string" and DECIMAL.fullmatch(value) is not None)
    if expected == "long":
        return (own == "double" and value.is_integer()) or (own == "string" and WHOLE.fullmatch(value) is not None)
    return expected == "boolean" and value in ("true", "false")


def leaves(fields: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Every field with its dotted name, those within objects too."""
    for name, value in fields.items():
        yield place + name, value
        if isinstance(value, dict):
            yield from leaves(value, f"{place}{name}.")


def too_long(fields: Mapping[str, Any]) -> bool:
    return any(isinstance(value, str) and len(value) > LONGEST for _, value in leaves(fields))


class Fields:
    """The fields of one category (`user`, `purchase`, or an event's name) and their types."""

    def __init__(self, category: str, limit: int) -> None:
        self.category, self.limit = category, limit
        self.types: dict[str, str] = {}

    def trial(self) -> Trial:
        return Trial(self)


class Trial:
    """What a request would add; nothing is kept before `keep`."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.new: dict[str, str] = {}
        self.mismatches: dict[str, dict[str, Any]] = {}

    def take(self, data: Mapping[str, Any]) -> None:
        """Checks the data fields of one row against what is known, and learns what is new."""
        known = self.fields.types
        for name, value in leaves(data):
            expected = known.get(name) or self.new.get(name)
            if expected is None:
                if found := kind(value):
                    self.new[name] = found
            elif not fits(value, expected):
                self.mismatches.setdefault(name, self._mismatch(value, expected))

    def _mismatch(self, value: Any, expected: str) -> dict[str, Any]:
        return {
            "incomingTypes": [kind(value)],
            "expectedType": expected,
            "category": self.fields.category,
            "offendingValue": value,
            "_type": "UnexpectedType",
        }

    @property
    def overfull(self) -> bool:
        return len(self.fields.types) + len(self.new) > self.fields.limit

    def keep(self) -> list[str]:
        """The names of the top-level fields that are new, which are known from now on."""
        self.fields.types.update(self.new)
        return [name for name in self.new if "." not in name]
