"""Time and memory as the data grow: J1 at several sizes, and J3 with a vendor that is far away."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contenders import Contender, Job
from benchmarks.jobs import FAILING, JOBS, OURS
from benchmarks.measure import Cost
from benchmarks.turns import alone

SIZES = ((10_000, 100_000), (10_000, 100_000, 1_000_000, 10_000_000), (500, 1_000))
FAR_SIZES = ((10_000, 50_000), (50_000, 500_000, 2_000_000), (500,))


def costs(which: int, most: int | None = None) -> Iterator[tuple[str, int, Cost]]:
    """Job, rows and cost of one run each; `which`: usual, `--all` or `--short` sizes, none above `most`."""
    runs: list[tuple[str, Job, Contender, int]] = [
        *(("j1", JOBS["j1"], OURS, rows) for rows in SIZES[which]),
        *(("j1, 1 % fails", JOBS["safety"], FAILING, rows) for rows in SIZES[which][:3]),
        *(("j3, 50 ms away, 16 in flight", JOBS["j3-far"], OURS, rows) for rows in FAR_SIZES[which]),
    ]
    for name, job, one, rows in runs:
        if most is None or rows <= most:
            yield name, rows, alone(job, one, rows)
