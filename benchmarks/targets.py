"""M1 to M10: what is to be reached, judged by what a run found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.findings import Findings

LEDGER = ("ledger and books", "commit: heads of the ledger", "commit: checkpoint into the state")
EXTRAS = ("schema check of a payload", "encoding of a payload")  # of the profile, measured apart


@dataclass(frozen=True)
class Target:
    """`figure` is None where nothing was measured. `most`: the bound is not to be exceeded, else not undercut."""

    number: str
    what: str
    bound: float
    figure: Callable[[Findings], float | None]
    command: str
    most: bool = True
    unit: str = " x"

    def met(self, found: Findings) -> bool | None:
        value = self.figure(found)
        return None if value is None else value <= self.bound if self.most else value >= self.bound


def ours_over(job: str, peer: str, what: str = "cpu", ours: str = "ours") -> Callable[[Findings], float | None]:
    return lambda found: found.ratio(job, ours, peer, what)


def over_ours(job: str, peer: str) -> Callable[[Findings], float | None]:
    return lambda found: found.ratio(job, peer, "ours")


def started(name: str) -> Callable[[Findings], float | None]:
    return lambda found: found.starts[name].cpu if name in found.starts else None


def peak(found: Findings) -> float | None:
    return max((cost.peak for _, _, cost in found.growth), default=None)


def spread(found: Findings) -> float | None:
    """By how much the peak differs between the smallest and the largest run of a job, in percent: the worst job's."""
    peaks: dict[str, list[float]] = {}
    for job, rows, cost in found.growth:
        if rows >= 10_000:
            peaks.setdefault(job, []).append(cost.peak)
    return max(((max(some) / min(some) - 1) * 100 for some in peaks.values()), default=None)


def each_request(found: Findings) -> float | None:
    cost = found.cost("j4")
    return cost.cpu / found.jobs["j4"].rows * 1e6 if cost else None


def over_ideal(found: Findings) -> float | None:
    """Wall over what the latency alone takes with 64 in flight."""
    cost = found.cost("j4-far", "ours, fast")
    if cost is None:
        return None
    outcome = found.jobs["j4-far"]
    assert outcome.job.latency
    return cost.wall / (outcome.rows / outcome.job.in_flight * outcome.job.latency)


def more_with_failures(found: Findings) -> float | None:
    value = found.ratio("safety", "ours, 1 % fails", "ours")
    return None if value is None else (value - 1) * 100


def share(found: Findings, stages: tuple[str, ...]) -> float | None:
    """What these stages add to all the others of J1's profile, in percent."""
    profile = found.profiles.get("j1")
    if profile is None:
        return None
    spent = sum(profile.get(stage, 0.0) for stage in stages)
    rest = sum(value for stage, value in profile.items() if stage not in EXTRAS) - sum(
        profile.get(stage, 0.0) for stage in stages if stage not in EXTRAS
    )
    return spent / rest * 100


CHECK = "check of 200 fields, after import"
OF_FAR = ours_over("j3-far", "mapping alone", "wall")
OF_SINGLE = ours_over("j4", "h2load (sends only)", "cpu", "ours, fast")
J1, START, J2 = "j1 --all", "j1-start", "j2 --all"
TARGETS = (
    Target("M1", "J1: CPU over the floor's", 1.4, ours_over("j1", "floor"), J1),
    Target("M1", "J1: over DuckDB's", 2.0, ours_over("j1", "duckdb"), J1),
    Target("M1", "J1: over Polars'", 2.0, ours_over("j1", "polars"), J1),
    Target("M1", "J1: Miller's over ours", 5, over_ours("j1", "miller"), J1, most=False),
    Target("M2", "J1 with 50,000 rows: over DuckDB's", 1.2, ours_over("j1-start", "duckdb"), START),
    Target("M2", "… one Jinja expression a field over ours", 15, over_ours("j1-start", "jinja"), START, most=False),
    Target("M2", "… the Singer SDK's over ours", 30, over_ours("j1-start", "singer"), START, most=False),
    Target("M2", "… the Airbyte CDK's over ours", 50, over_ours("j1-start", "airbyte"), START, most=False),
    Target("M2", "… dlt's over ours", 7, over_ours("j1-start", "dlt"), START, most=False),
    Target("M2", "… Beam YAML's over ours", 12, over_ours("j1-start", "beam"), START, most=False),
    Target("M3", "J2: over the floor's", 1.3, ours_over("j2", "floor"), J2),
    Target("M3", "J2: over Polars'", 0.5, ours_over("j2", "polars"), J2),
    Target("M3", "J2: over DuckDB's", 1.7, ours_over("j2", "duckdb"), J2),
    Target("M3", "J2: Miller's over ours", 10, over_ours("j2", "miller"), J2, most=False),
    Target("M4", "peak memory, any size and latency", 80, peak, "growth --all", unit=" MB"),
    Target("M4", "… between 10,000 and millions of rows", 10, spread, "growth --all", unit=" %"),
    Target("M5", "J3: over the floor's", 1.5, ours_over("j3", "floor"), "j3 --all"),
    Target("M5", "J3: dlt's over ours", 8, over_ours("j3", "dlt"), "j3 --all", most=False),
    Target("M5", "J3: iterable-data-import's", 3, over_ours("j3", "iterable-data-import"), "j3 --all", most=False),
    Target("M5", "J3: drt's over ours", 5, over_ours("j3", "drt"), "j3 --all", most=False),
    Target("M6", "J3 at 50 ms: wall over the mapping's", 1.35, OF_FAR, "j3-far --all"),
    Target("M7", "J4, fast: over h2load's", 6, OF_SINGLE, "j4 --all"),
    Target("M7", "J4, default: CPU a request", 500, each_request, "j4 --all", unit=" µs"),
    Target("M8", "J4 at 20 ms, fast: wall over the ideal", 1.2, over_ideal, "j4-far --all"),
    Target("M9", "100 rows, from start to exit", 0.30, started("engine run, 100 rows"), "start", unit=" s"),
    Target("M9", "`engine --version`", 0.15, started("engine --version"), "start", unit=" s"),
    Target("M9", CHECK, 0.1, started(CHECK), "start", unit=" s"),
    Target("M10", "1 % of rows to dead letters", 15, more_with_failures, "safety --all", unit=" % more"),
    Target("M10", "payloads checked (profile)", 35, lambda f: share(f, EXTRAS[:1]), "profile", unit=" % more"),
    Target("M10", "ledger, books, checkpoints (profile)", 10, lambda f: share(f, LEDGER), "profile", unit=" % more"),
)  # fmt: skip


def judged(found: Findings) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Number, what, figure, bound, verdict and command of each target for which anything was measured."""
    for one in TARGETS:
        value = one.figure(found)
        if value is not None:
            bound = f"{'≤' if one.most else '≥'} {one.bound:g}{one.unit}"
            verdict = "met" if one.met(found) else "**not met**"
            yield (
                one.number,
                one.what,
                f"{value:.2f}{one.unit}",
                bound,
                verdict,
                f"`python -m benchmarks {one.command}`",
            )
