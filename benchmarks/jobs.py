"""The jobs, and who takes part in each."""

from __future__ import annotations

from benchmarks import data
from benchmarks.contenders import PEERS, Job, Task, engine, peer, program

OURS = engine()
FLOOR = peer("floor")
POLARS = peer("polars", POLARS_MAX_THREADS="1")
DUCKDB = peer("duckdb")


def _miller(task: Task) -> list[str]:
    kind = ["--icsv", "--ojsonl"] if task.job == "j1" else ["--ijsonl", "--ojsonl"]
    script = PEERS / f"miller_{task.job}.mlr"
    return [*kind, "--from", str(task.source), "--records-per-batch", "500", "put", "-q", "-f", str(script)]


JINJA = peer("jinja")
MILLER = program("miller", "mlr", _miller)

JOBS = {
    job.name: job
    for job in (
        Job("j1", "CSV rows to nested JSON lines", data.people, (100_000, 500_000, 500),
            (OURS, FLOOR, DUCKDB, POLARS, MILLER)),
        Job("j1-start", "the same with few rows, start-up included", data.people, (50_000, 50_000, 500),
            (OURS, FLOOR, DUCKDB, POLARS, JINJA), work="j1"),
        Job("j2", "nested JSON lines to JSON lines", data.orders, (50_000, 200_000, 500),
            (OURS, FLOOR, DUCKDB, POLARS, MILLER)),
    )
}  # fmt: skip
