"""What starting costs: `engine --version`, a run of 100 rows, and `check` of 200 fields after import."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import check, data
from benchmarks.contenders import ENGINE, PIPELINES, RUN
from benchmarks.measure import ROOT, Cost, in_turn


def costs(rounds: int) -> Iterator[tuple[str, Cost]]:
    """Whole processes by name, the median of the rounds; `check` is of CPU only, the best of them."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        environ = {"PYTHONPATH": str(ROOT), "INPUT": str(data.people(100)), "OUTPUT": str(place / "out.jsonl")}
        pipeline = str(PIPELINES / "j1.yaml")
        jobs = {
            "engine --version": [*ENGINE, "--version"],
            "engine check, J1's file": [*ENGINE, "check", pipeline],
            "engine run, 100 rows": [*ENGINE, "run", *RUN, pipeline],
        }
        found = in_turn(rounds, *((command, place, environ) for command in jobs.values()))
        yield from zip(jobs, found, strict=True)
    least = check.least(rounds)
    yield "check of 200 fields, after import", Cost(least, least, 0.0)
