"""Whole runs in a world of memory: thousands of schedules of rows, faults, deaths and disks from one seed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.reliability.row import Row, Size, timed
from tests.simulation import summary


def schedules(folder: Path, size: Size) -> Iterator[Row]:
    """One row per fault of the simulator."""
    count = 10_000 if size.large else 200
    began = Row("", "")
    with timed(began):
        found = summary(count, size.seed)
    for one in {one.fault: one for one in found}.values():
        if one.trials:
            name = "no fault" if one.fault == "none" else one.fault
            row = Row("sim", f"simulated; {name}", one.trials, one.lost, one.repeated, one.unexcused, one.misfiled)
            row.note, row.seconds = "seconds are those of the simulation", one.seconds
            yield row
