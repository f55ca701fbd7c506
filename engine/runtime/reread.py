"""Records that leave memory when all is made of them, and come back for a dead letter.

The bytes of a micro-batch are kept for its positions; cells and objects take many times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.model import Rows


def let_go(rows: Rows) -> None:
    """The records leave memory, where their source can read them again."""
    if rows.again is not None:
        rows.records = Reread(rows.again, len(rows.records))


class Reread(Sequence[Any]):
    """Records that have left memory: whoever still asks has them read again, all of them once."""

    __slots__ = ("_again", "_count", "_found")

    def __init__(self, again: Callable[[], list[Any]], count: int) -> None:
        self._again, self._count = again, count
        self._found: list[Any] | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: Any) -> Any:
        if self._found is None:
            self._found = self._again()
        return self._found[index]
