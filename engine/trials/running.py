"""One trial: the real run of a pipeline, from given records to vendors that answer in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from engine.config.pipeline import Pipeline
from engine.errors import EngineError
from engine.model import Mapped, Rows
from engine.registry import Registry
from engine.runners.local import Options, run_pipeline
from engine.runners.pretended import pretended
from engine.runtime.clock import FakeClock
from engine.runtime.deadletters import read_letters
from engine.runtime.lanes import Item
from engine.runtime.plan import MappingPlan, Plan
from engine.runtime.transport import Pretend
from engine.runtime.work import Work
from engine.trials.given import Case, arranged, decoded
from engine.trials.vendors import Sent, Vendors, script


@dataclass(frozen=True)
class Made:
    """A payload and the number, from 1, of the record it came from."""

    payload: Any
    record: int


@dataclass(frozen=True)
class Seen:
    """A micro-batch as a mapping saw it."""

    plan: MappingPlan
    rows: Rows
    result: Mapped
    lookups: Mapping[str, Sequence[Any]]


@dataclass
class Trial:
    """What became of a case. `report` is that of the run; empty where it could not begin, and `error` says why."""

    payloads: dict[str, list[Made]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    requests: list[Sent] = field(default_factory=list)
    letters: list[dict[str, Any]] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    error: EngineError | None = None
    plan: Plan | None = None

    @property
    def status(self) -> str:
        return str(self.report.get("status", "failed"))


def attempt(pipeline: Pipeline, registry: Registry, case: Case, secrets: tuple[str, ...] = ()) -> Trial:
    """Runs a case. Time stands still but for waits, and chance is the same each time."""
    trial = Trial({name: [] for name in pipeline.mappings})
    clock = FakeClock()
    vendors = Vendors(clock, script(case.vendor))
    with TemporaryDirectory(prefix="engine-trial-") as folder:
        unaddressed = pretended(pipeline, registry)  # what vendors answer here they answer at their own addresses
        arranged_pipeline, arranged_registry = arranged(unaddressed, registry, case, Path(folder))
        options = Options(
            clock=clock, chance=Random(0), secrets=secrets,  # noqa: S311 - chance that must repeat
            prepare=lambda work: _watch(work, trial),
            transport=lambda _, clock: Pretend(vendors.handle, clock),
        )  # fmt: skip
        try:
            outcome = run_pipeline(arranged_pipeline, arranged_registry, options)
            trial.report, trial.error = outcome.report, outcome.error
        except EngineError as error:
            trial.error = error
        path = arranged_pipeline.dead_letters.path
        trial.letters = list(read_letters(path)) if path.exists() else []
    trial.letters.sort(key=lambda letter: (letter["source"], letter["origin"]["line"]))
    trial.requests = vendors.sent
    return trial


def _watch(work: Work, trial: Trial) -> None:
    trial.plan = work.plan

    def keep(plan: MappingPlan, rows: Rows, result: Mapped, items: list[Item], lookups: Mapping[str, Any]) -> None:
        made = [Made(decoded(bytes(item.body)), rows.locate(item.row)[0]) for item in items]
        trial.payloads[plan.spec.name] += made
        trial.seen.append(Seen(plan, rows, result, lookups))

    work.feed.watch = keep
