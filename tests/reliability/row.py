"""One line of the table: a fault, how often it was tried, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Row:
    """`wrong` says what was not as it should have been; `note` what the figures cannot say."""

    number: str
    fault: str
    trials: int = 0
    lost: int = 0
    allowed: int = 0  # payloads sent again that had to be: their answer could not have been read
    unexcused: int = 0  # payloads sent again for no such reason
    misfiled: int = 0  # good ones among the dead letters, bad ones not there, sums that do not hold
    seconds: float = 0.0
    note: str = ""
    wrong: list[str] = field(default_factory=list)

    @property
    def breaches(self) -> int:
        return self.lost + self.unexcused + self.misfiled + len(self.wrong) + (self.trials == 0)

    def check(self, true: object, what: str) -> None:
        """One more thing that must hold."""
        if not true:
            self.wrong.append(what)


@dataclass(frozen=True)
class Size:
    """How much of everything: a test takes little, the campaign all."""

    kills: int = 5
    step: int = 40  # every so many durable calls
    seed: int = 1
    times: int = 1  # repetitions of what is tried at several moments
    large: bool = False  # files of hundreds of megabytes, too


LONG = Size(kills=1000, step=1, times=5, large=True)


@contextmanager
def timed(row: Row) -> Iterator[Row]:
    began = time.monotonic()
    try:
        yield row
    finally:
        row.seconds += time.monotonic() - began


def places(folder: Path) -> Iterator[Path]:
    """New empty folders, one after the other."""
    number = 0
    while True:
        number += 1
        place = folder / str(number)
        place.mkdir(parents=True)
        yield place
