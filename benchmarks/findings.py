"""Everything that one run of the benchmarks found."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.measure import Cost
from benchmarks.turns import Outcome


@dataclass
class Findings:
    """`jobs` by name, `starts` by name, `growth` as (job, rows, cost), `profiles` as job → stage → µs a record."""

    jobs: dict[str, Outcome] = field(default_factory=dict)
    starts: dict[str, Cost] = field(default_factory=dict)
    growth: list[tuple[str, int, Cost]] = field(default_factory=list)
    profiles: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def cost(self, job: str, name: str = "ours") -> Cost | None:
        """What a contender's run of a job cost; None where it did not run."""
        outcome = self.jobs.get(job)
        return outcome.costs.get(name) if outcome else None

    def ratio(self, job: str, one: str, other: str, what: str = "cpu") -> float | None:
        """`one`'s figure over `other`'s, of one run."""
        mine, theirs = self.cost(job, one), self.cost(job, other)
        return getattr(mine, what) / getattr(theirs, what) if mine and theirs else None
