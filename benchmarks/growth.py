"""Time and memory as the data grow: J1 at several sizes, and J3 with a vendor that is far away."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.contenders import Job
from benchmarks.jobs import FAILING, JOBS, OURS
from benchmarks.measure import Cost
from benchmarks.turns import alone

SIZES = ((10_000, 100_000), (10_000, 100_000, 1_000_000, 10_000_000), (500, 1_000))
FAR_SIZES = ((10_000, 50_000), (50_000, 500_000, 2_000_000), (500,))


def costs(which: int) -> Iterator[tuple[str, int, Cost]]:
    """Job, rows and cost of one run each; `which`: usual, `--all` or `--short` sizes."""
    for rows in SIZES[which]:
        yield "j1", rows, alone(JOBS["j1"], OURS, rows)
    for rows in SIZES[which][:3]:
        yield "j1, 1 % fails", rows, alone(JOBS["safety"], FAILING, rows)
    far: Job = JOBS["j3-far"]
    for rows in FAR_SIZES[which]:
        yield "j3, 50 ms away, 16 in flight", rows, alone(far, OURS, rows)
