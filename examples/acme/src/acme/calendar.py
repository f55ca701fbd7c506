"""A source: the days of a year, one record each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, ClassVar

from engine.plugin import InvalidPipeline, Position, Rows

BATCH = 200


class Calendar:
    """Each day of `year` as `{day, weekday}`."""

    schema: ClassVar[dict[str, Any]] = {
        "title": "Acme calendar",
        "description": "The days of a year.",
        "type": "object",
        "additionalProperties": False,
        "required": ["year"],
        "properties": {
            "year": {"title": "Year", "description": "Which year.", "type": "integer", "minimum": 1, "maximum": 9998,
                     "examples": [2024]},
        },
    }  # fmt: skip

    def __init__(self, year: int) -> None:
        if not 1 <= year <= 9998:
            raise InvalidPipeline(f"year is {year}: no calendar has it")
        first = date(year, 1, 1)
        self._name = str(year)
        self._days = [first + timedelta(n) for n in range((date(year + 1, 1, 1) - first).days)]

    def partitions(self) -> list[str]:
        return [self._name]

    def columns(self, partition: str) -> tuple[str, ...]:
        return ("day", "weekday")

    def read(self, partition: str, start: Position | None) -> Iterator[Rows]:
        for at in range(start.row if start else 0, len(self._days), BATCH):
            some = self._days[at : at + BATCH]
            records = [[day.isoformat(), day.strftime("%A")] for day in some]
            end = at + len(some)
            yield Rows(partition, Position(at, at + 1), Position(end, end + 1), self.columns(partition), records,
                       lambda row, at=at: (at + row + 1, 0))  # fmt: skip

    def checksum(self, partition: str, offset: int) -> int:
        return 0  # a year does not change
