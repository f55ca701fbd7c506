"""Many schedules: what they found, how often each fault struck, and the shortest schedule that still fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.simulation.points import MOMENTS, REFUSALS
from tests.simulation.schedule import DEEDS, Schedule, name_of
from tests.simulation.simulate import Result, simulate, virtual_world
from tests.simulation.witness import Finding

FAULTS = (
    *(f"crash {moment}" for moment in MOMENTS), "power cut", *REFUSALS, *map(name_of, DEEDS), "interrupt", "clock jump",
)  # fmt: skip
STRIDE = 1_000_003  # between the seeds of two campaigns
LOST, REPEATED, MISFILED = ("lost", "early"), ("resent", "doubled"), ("misfiled",)


@dataclass
class Failure:
    """A schedule that breaks a promise; `schedule` is as short as it could be made."""

    seed: int
    schedule: Schedule
    findings: list[Finding]

    def line(self) -> str:
        """How to see it again."""
        return f"python -m tests.simulation --replay '{self.schedule.line()}'"


@dataclass
class Row:
    """What schedules in which a fault struck came to. `seconds` are virtual."""

    fault: str
    trials: int = 0
    lost: int = 0
    repeated: int = 0  # sent again as it may be: what was not answered
    unexcused: int = 0  # sent again as it may not be
    misfiled: int = 0
    seconds: float = 0.0

    def add(self, result: Result) -> None:
        kinds = Counter(finding.kind for finding in result.findings)
        self.trials += 1
        self.lost += sum(kinds[kind] for kind in LOST)
        self.repeated += result.repeated
        self.unexcused += sum(kinds[kind] for kind in REPEATED)
        self.misfiled += sum(kinds[kind] for kind in MISFILED)
        self.seconds += result.seconds


@dataclass
class Campaign:
    """The sum of many schedules."""

    schedules: int = 0
    lives: int = 0
    requests: int = 0
    failures: list[Failure] = field(default_factory=list)
    fired: Counter[str] = field(default_factory=Counter)
    rows: dict[str, Row] = field(default_factory=dict)

    @property
    def silent(self) -> list[str]:
        """Faults that struck in no schedule: of them the campaign says nothing."""
        return [fault for fault in FAULTS if not self.fired[fault]]

    def add(self, result: Result) -> None:
        self.schedules += 1
        self.lives += result.lives
        self.requests += result.requests
        self.fired.update(result.fired)
        for fault in [fault for fault, times in result.fired.items() if times] or ["none"]:
            self.rows.setdefault(fault, Row(fault)).add(result)


def campaign(schedules: int, seed: int, *, most_failures: int = 3, seeds: Iterable[int] | None = None) -> Campaign:
    """Runs so many schedules and shortens the first that fail."""
    found = Campaign()
    with virtual_world():
        for number in seeds if seeds is not None else range(seed * STRIDE, seed * STRIDE + schedules):
            schedule = Schedule.drawn(number)
            result = simulate(schedule)
            found.add(result)
            if result.findings:
                found.failures.append(_failure(number, schedule, result))
                if len(found.failures) >= most_failures:
                    break
    return found


def _failure(seed: int, schedule: Schedule, result: Result) -> Failure:
    short = shortened(schedule, result.findings[0].kind)
    return Failure(seed, short, simulate(short).findings)


def shortened(schedule: Schedule, kind: str, tries: int = 600) -> Schedule:
    """The shortest schedule that is found from this one and still breaks the same promise."""
    while tries > 0:
        for less in schedule.shorter():
            tries -= 1
            if any(finding.kind == kind for finding in simulate(less).findings):
                schedule = less
                break
            if tries <= 0:
                break
        else:
            break
    return schedule


def replay(line: str) -> Result:
    """Runs one schedule again: a number, or the line that a failure printed."""
    with virtual_world():
        return simulate(Schedule.read(line))


def summary(schedules: int, seed: int) -> list[Row]:
    """For the documentation: one row per fault, and of schedules without any, sorted by name."""
    done = campaign(schedules, seed)
    return [done.rows.get(fault, Row(fault)) for fault in ("none", *sorted(FAULTS))]


def told(done: Campaign) -> Iterator[str]:
    """The campaign in words."""
    yield f"{done.schedules:,} schedules, {done.lives:,} starts, {done.requests:,} requests"
    for failure in done.failures:
        yield f"seed {failure.seed}: {failure.findings[0].kind}: {failure.findings[0].text}"
        yield f"  {failure.line()}"
    if done.silent and done.schedules >= ENOUGH:
        yield f"never struck: {', '.join(done.silent)}"


ENOUGH = 2_000  # schedules, after which every fault must have struck


def failed(done: Campaign) -> bool:
    return bool(done.failures or (done.schedules >= ENOUGH and done.silent))


__all__ = ["Campaign", "Failure", "Row", "campaign", "failed", "replay", "summary", "told"]
