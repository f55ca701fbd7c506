"""Everything that runs of the benchmarks found, kept in `.bench/findings.json` until the same job runs again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.jobs import JOBS
from benchmarks.measure import ROOT, Cost
from benchmarks.turns import Outcome

KEPT = ROOT / ".bench" / "findings.json"


@dataclass
class Findings:
    """`jobs` and `starts` by name, `growth` as (job, rows, cost), `profiles` as job → stage → µs a record."""

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

    def keep(self, path: Path = KEPT) -> None:
        jobs = {
            name: {"rows": o.rows, "rounds": o.rounds, "when": o.when, "costs": o.costs, "left_out": o.left_out}
            for name, o in self.jobs.items()
        }
        rest = {"starts": self.starts, "growth": self.growth, "profiles": self.profiles, "notes": self.notes}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(msgspec.json.encode({"jobs": jobs, **rest}))

    @classmethod
    def kept(cls, path: Path = KEPT) -> Findings:
        """What earlier runs found; nothing, where there were none."""
        if not path.exists():
            return cls()
        said: dict[str, Any] = msgspec.json.decode(path.read_bytes())
        jobs = {
            name: Outcome(JOBS[name], **(said["jobs"][name] | {"costs": _costs(said["jobs"][name]["costs"])}))
            for name in JOBS
            if name in said["jobs"]
        }
        growth = [(job, rows, Cost(**cost)) for job, rows, cost in said["growth"]]
        return cls(jobs, _costs(said["starts"]), growth, said["profiles"], said["notes"])


def _costs(said: dict[str, Any]) -> dict[str, Cost]:
    return {name: Cost(**cost) for name, cost in said.items()}
