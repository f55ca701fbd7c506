"""How payloads stand in a file. A format gives bytes to append, and tells which payloads it cannot hold.

What a format remembers between payloads is in `state`, a JSON value, so that writing goes on where it was cut off.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from engine.plugin import Payloads, Refused, Verdict, rejected

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet would run


class Format(Protocol):
    state: dict[str, Any]

    def encode(self, payloads: Payloads) -> tuple[bytes, dict[int, Verdict]]:
        """The bytes to append, and a verdict for each payload that is not in them."""
        ...

    def tail(self) -> bytes:
        """What stands at the end of a finished file (or is all of it, if nothing was written)."""
        ...

    def joint(self, state: dict[str, Any]) -> tuple[bytes, int]:
        """What to append before a part of the same file that another wrote, and how many of its bytes to leave out.

        `state` is what its format remembers. A table's other parts have no header.
        """
        ...


class JsonLinesFormat:
    """The encoded payloads as they are, each with a line feed."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}

    def encode(self, payloads: Payloads) -> tuple[bytes, dict[int, Verdict]]:
        return b"\n".join([*payloads.bodies, b""]), {}

    def tail(self) -> bytes:
        return b""

    def joint(self, state: dict[str, Any]) -> tuple[bytes, int]:
        return b"", 0


class JsonArrayFormat:
    """One array, an element a line."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {"begun": False}

    def encode(self, payloads: Payloads) -> tuple[bytes, dict[int, Verdict]]:
        if not payloads.bodies:
            return b"", {}
        start = b",\n" if self.state["begun"] else b"[\n"
        self.state = {"begun": True}
        return start + b",\n".join(payloads.bodies), {}

    def tail(self) -> bytes:
        return b"\n]\n" if self.state["begun"] else b"[]\n"

    def joint(self, state: dict[str, Any]) -> tuple[bytes, int]:
        first = not self.state["begun"]
        self.state = {"begun": bool(state["begun"]) or not first}
        return (b"", 0) if first or not state["begun"] else (b",\n", 2)


class TableFormat:
    """Rows under the columns given, or under the keys of the first payload.

    null and a missing key are an empty cell. A payload that is no map, has a key without a column, or (unless
    `nested` is `json`) holds a list or a map is rejected.
    """

    def __init__(
        self, delimiter: str, columns: Sequence[str] | None, header: bool, formula_guard: bool, nested: str
    ) -> None:
        self.state: dict[str, Any] = {"columns": list(columns) if columns is not None else None, "begun": False}
        self._declared = self.state["columns"]
        self._header, self._guard, self._nested = header, formula_guard, nested
        self._lines: list[str] = []
        self._writer = csv.writer(self, delimiter=delimiter, lineterminator="\r\n")  # so it quotes both in cells

    def encode(self, payloads: Payloads) -> tuple[bytes, dict[int, Verdict]]:
        verdicts: dict[int, Verdict] = {}
        for index, payload in enumerate(payloads):
            row = self._row(payload)
            if isinstance(row, Verdict):
                verdicts[index] = row
                continue
            self._begin()
            self._writer.writerow(row)
        return self._taken(), verdicts

    def tail(self) -> bytes:
        if self.state["columns"] is None:
            return b""
        self._begin()
        return self._taken()

    def joint(self, state: dict[str, Any]) -> tuple[bytes, int]:
        return self.tail(), 0

    def write(self, line: str) -> None:
        """Takes a line from csv's writer."""
        self._lines.append(line[:-2] + "\n")

    def _begin(self) -> None:
        if not self.state["begun"]:
            self.state = {**self.state, "begun": True}
            if self._header:
                self._writer.writerow([self._cell(name) for name in self.state["columns"]])

    def _taken(self) -> bytes:
        text = "".join(self._lines)
        self._lines.clear()
        return text.encode()

    def _row(self, payload: Any) -> list[Any] | Verdict:
        if not isinstance(payload, dict) or not payload:
            return rejected("not-a-map", "a row of CSV needs a map with at least one key")
        columns = self.state["columns"] or list(payload)
        unknown = [key for key in payload if key not in columns]
        if unknown:
            known = ", ".join(map(repr, columns))
            return rejected("unknown-column", f"the file has no column {unknown[0]!r}; its columns are {known}")
        nested = [key for key, value in payload.items() if isinstance(value, (dict, list))]
        if nested and self._nested != "json":
            return rejected(
                "nested-value", f"{nested[0]!r} is a list or a map, which a cell cannot hold; nested: json would"
            )
        self.state["columns"] = columns
        return [self._cell(payload.get(column)) for column in columns]

    def _cell(self, value: Any) -> str:
        if isinstance(value, str):
            return f"'{value}" if self._guard and value.startswith(FORMULA) else value
        return "" if value is None else msgspec.json.encode(value).decode()


def restored(chosen: Format, state: dict[str, Any]) -> None:
    """Lets a format go on from what it remembered; refuses what another setting remembered."""
    if set(state) != set(chosen.state):
        raise Refused("the settings of the file sink changed since the run was cut off; start it with --fresh")
    chosen.state = dict(state)
