"""A pipeline file from Python: check it, see what it would do, run it.

import engine

job = engine.load("shop.yaml", env="prod", set={"min_ltv": 25})
for finding in job.check():
    print(finding.headline())
report = job.run()
print(report.exit_code, report.delivered, report.dead_letters)

The file is read anew by each of these calls. Nothing is printed and no signal is touched, unless you ask. A wrong
file, setting or name raises `InvalidPipeline` (with `findings`); a pipeline that another run holds, or whose state or
source does not fit, `Refused`; what cannot begin, `Halt`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from engine.config.load import Loaded
from engine.config.load import load as read
from engine.config.messages import Finding
from engine.config.overlay import AsItIs
from engine.config.pipeline import Pipeline
from engine.errors import EngineError, InvalidPipeline
from engine.model import WireRequest
from engine.registry import Registry, pretend_world
from engine.runners.findings import DUMMY_RUN, all_findings
from engine.runners.local import Options, Outcome, PlanFailed, run_pipeline
from engine.runners.pretended import pretended
from engine.runners.replay import replay, still_open
from engine.runners.requests import shown
from engine.runtime.clock import Clock, SystemClock
from engine.runtime.deadletters import read_letters
from engine.runtime.events import Observer, Silent
from engine.runtime.masks import Masker
from engine.runtime.plan import Plan as RunPlan
from engine.runtime.plan import build
from engine.runtime.sinks import SinkAction, VendorSink
from engine.runtime.transport import Dry, Pretend, Transport

Transports = Callable[[int, Clock], Transport]


def load(
    path: str | os.PathLike[str], *, env: str | None = None, set: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None, state: str | os.PathLike[str] | None = None,
) -> Job:  # fmt: skip
    """A pipeline file. `env` names one of its environments; `set` overrides its vars, each with the type it has here.

    `environ` is where `${X}` come from (the process's own); `state` is a directory for checkpoints in place of the
    file's. Never raises for what the file says: `check` tells it.
    """
    return Job(Path(path), env, dict(set or {}), environ, None if state is None else Path(state))


@dataclass
class Job:
    """A pipeline file and how it is looked at."""

    path: Path
    env: str | None = None
    set: dict[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] | None = field(default=None, repr=False)
    state: Path | None = None

    def check(self) -> list[Finding]:
        """Everything that is known to be wrong, in the file's order; `is_error` tells errors from warnings."""
        return self._checked(sandbox=False, sending=False)[1]

    def plan(self, *, sample: int = 0) -> Plan:
        """What a run would do. With `sample` also the exact requests of the first so many rows of each source.

        Nothing is sent and no key is needed; keys that are there are masked. Raises `InvalidPipeline`.
        """
        pipeline, secrets = self._pipeline(sandbox=False, sending=False)
        plan, problems = build(pipeline, Registry.installed(), DUMMY_RUN)
        if plan is None:
            raise PlanFailed(problems)
        requests = self._rehearsed(pipeline, secrets, sample) if sample > 0 else []
        return _described(plan, requests)

    def run(
        self, *, limit: int | None = None, fresh: bool = False, sandbox: bool = False,
        faults: Sequence[Mapping[str, Any]] = (), signals: bool = False, observer: Observer | None = None,
        transport: Transports | None = None, clock: Clock | None = None, chance: Random | None = None,
    ) -> Report:  # fmt: skip
        """Runs it, or resumes where an earlier start was cut off. What happens once it has begun is in the report.

        `limit` is in rows per source; `fresh` forgets the checkpoint; `sandbox` sends to pretend vendors in this
        process, with `faults`. With `signals` SIGINT and SIGTERM interrupt it in order (main thread only). `observer`
        has `progress(progress)` and `say(text)`. `transport`, `clock` and `chance` are for tests.
        """
        pipeline, secrets = self._pipeline(sandbox=sandbox, sending=True)
        options = self._options(secrets, sandbox, faults, signals, transport, clock, chance)
        options.limit, options.fresh, options.observer = limit, fresh, observer or Silent()
        return Report(run_pipeline(pipeline, Registry.installed(), options), pipeline, Masker(secrets))

    def replay(
        self, ids: Sequence[str] = (), *, sandbox: bool = False, faults: Sequence[Mapping[str, Any]] = (),
        signals: bool = False, transport: Transports | None = None, clock: Clock | None = None,
        chance: Random | None = None,
    ) -> Report | None:  # fmt: skip
        """Sends dead letters again, with the mapping as it is now; None where there was nothing to send.

        `ids` are those of letters, or beginnings of them. It may overwrite newer data at the vendor.
        """
        pipeline, secrets = self._pipeline(sandbox=sandbox, sending=True)
        options = self._options(secrets, sandbox, faults, signals, transport, clock, chance)
        found = replay(pipeline, Registry.installed(), options, ids)
        return None if found.outcome is None else Report(found.outcome, pipeline, Masker(secrets))

    def dead_letters(self) -> Iterator[dict[str, Any]]:
        """All that were refused and that no replay has settled, the oldest first. Raises `InvalidPipeline`."""
        pipeline, _ = self._pipeline(sandbox=True, sending=False)
        path = pipeline.dead_letters.path
        yield from map(dict, still_open(pipeline, read_letters(path))[0] if path.exists() else ())

    # --- how ------------------------------------------------------------------------------------------------

    def _checked(self, *, sandbox: bool, sending: bool) -> tuple[Loaded, list[Finding]]:
        registry = Registry.installed()
        sets = {name: _as_it_is(name, value) for name, value in self.set.items()}
        loaded = read(
            self.path, registry, sets=sets, env=self.env, sandbox=sandbox, sending=sending,
            environ=os.environ if self.environ is None else self.environ,
        )  # fmt: skip
        return loaded, all_findings(loaded, registry)

    def _pipeline(self, *, sandbox: bool, sending: bool) -> tuple[Pipeline, tuple[str, ...]]:
        loaded, findings = self._checked(sandbox=sandbox, sending=sending)
        errors = [finding for finding in findings if finding.is_error]
        if loaded.pipeline is None or errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise InvalidPipeline(f"{errors[0].headline()}{more}", findings=findings)
        pipeline = pretended(loaded.pipeline, Registry.installed()) if sandbox else loaded.pipeline
        return (pipeline if self.state is None else replace(pipeline, state=self.state.absolute())), loaded.secrets

    def _options(
        self, secrets: tuple[str, ...], sandbox: bool, faults: Sequence[Mapping[str, Any]], signals: bool,
        transport: Transports | None, clock: Clock | None, chance: Random | None,
    ) -> Options:  # fmt: skip
        if faults and not sandbox:
            raise InvalidPipeline("faults are for the pretend vendors: add sandbox=True")
        if sandbox and transport is None:
            transport = lambda _, clock: Pretend(pretend_world(clock, [dict(f) for f in faults]).handle, clock)  # noqa: E731
        return Options(
            secrets=secrets, signals=signals, transport=transport, clock=clock or SystemClock(),
            chance=chance or Random(), own_process=False,  # noqa: S311 - jitter, and the names of runs
        )  # fmt: skip

    def _rehearsed(self, pipeline: Pipeline, secrets: tuple[str, ...], sample: int) -> list[dict[str, Any]]:
        requests: list[dict[str, Any]] = []
        mask = Masker(secrets)

        def write_down(request: WireRequest) -> None:
            requests.append(msgspec.json.decode(shown(request, mask)))

        options = Options(limit=sample, dry=True, secrets=secrets, own_process=False)
        options.transport = lambda _, clock: Dry(write_down)
        outcome = run_pipeline(pipeline, Registry.installed(), options)
        if outcome.error is not None:
            raise outcome.error
        return requests


class Report:
    """What a run came to. `exit_code` is that of the command; `data` is the run report, as `--report` writes it.

    `error` is what halted it, or None: a vendor that stays away, too many errors, a source that broke off.
    """

    def __init__(self, outcome: Outcome, pipeline: Pipeline, mask: Masker) -> None:
        self.exit_code, self.error = outcome.exit, outcome.error
        self.data: dict[str, Any] = msgspec.json.decode(mask.json(msgspec.json.encode(outcome.report).decode()))
        self._letters = pipeline.dead_letters.path

    @property
    def status(self) -> str:
        """`succeeded`, `partial`, `halted`, `interrupted` or `failed`."""
        return str(self.data["status"])

    @property
    def ok(self) -> bool:
        """Was every record delivered, or left out because the file says so?"""
        return self.exit_code == 0

    @property
    def mappings(self) -> dict[str, dict[str, Any]]:
        """The counts of each mapping: `records`, `filtered`, `failed`, `delivered`, `rejected`, `dropped`, …"""
        return dict(self.data["mappings"])

    @property
    def delivered(self) -> int:
        """Payloads that were delivered, by all mappings."""
        return sum(counts["delivered"] for counts in self.mappings.values())

    @property
    def dead_letters(self) -> int:
        """How many were refused."""
        return int(self.data["dead_letters"]["count"])

    def letters(self) -> Iterator[dict[str, Any]]:
        """The dead letters of this run: record, payload, code and reason of each."""
        if self._letters.exists():
            run = self.data["run_id"]
            yield from (letter for letter in read_letters(self._letters) if letter["run_id"] == run)

    def raise_for_halt(self) -> Report:
        """The report; raises what halted the run, if anything did."""
        if self.error is not None:
            raise self.error
        return self

    def __repr__(self) -> str:
        return f"<Report: {self.status}, {self.delivered} delivered, {self.dead_letters} refused>"


@dataclass(frozen=True)
class Plan:
    """What a run would do, as plain values. Sizes in bytes, times in seconds, rates in requests a second.

    `requests` are those of the sample: `method`, `url`, `headers`, `body`.
    """

    pipeline: str
    sources: dict[str, dict[str, Any]]
    lookups: dict[str, dict[str, Any]]
    sinks: dict[str, dict[str, Any]]
    mappings: dict[str, dict[str, Any]]
    state: Path
    dead_letters: Path
    requests: list[dict[str, Any]]


def _as_it_is(name: str, value: Any) -> AsItIs:
    if value is None or isinstance(value, (str, int, float, bool)):
        return AsItIs(value)
    raise InvalidPipeline(f"set: {name} is a {type(value).__name__}; a var is text, a number, true, false or null")


def _described(plan: RunPlan, requests: list[dict[str, Any]]) -> Plan:
    pipeline = plan.pipeline
    return Plan(
        pipeline.name,
        {name: _source(name, plan) for name in plan.sources},
        {name: {"type": one.spec.type, "rate": one.bucket.rate} for name, one in plan.lookups.items()},
        {name: _sink(pipeline.sinks[name].type, sink) for name, sink in plan.sinks.items()},
        {name: {"from": one.spec.source, "to": one.spec.sink, "action": one.spec.action, "when": one.spec.when,
                "each": one.spec.each, "fields": one.spec.fields}
         for name, one in plan.mappings.items()},
        pipeline.state, pipeline.dead_letters.path, requests,
    )  # fmt: skip


def _source(name: str, plan: RunPlan) -> dict[str, Any]:
    """Its parts as far as they can be known: a vendor's reports are, once they are fetched."""
    spec = plan.sources[name].spec
    try:
        parts = plan.sources[name].source.partitions()
    except (EngineError, OSError):
        parts = []
    return {"type": spec.type, "mode": spec.mode, "key": spec.key, "partitions": parts}


def _sink(type: str, sink: Any) -> dict[str, Any]:
    if not isinstance(sink, VendorSink):
        return {"type": type}
    return {
        "type": type, "address": sink.vendor.base_url, "order": sink.lanes.order, "timeout": sink.timeout,
        "concurrency": len(sink.lanes.lanes), "retry": msgspec.to_builtins(sink.retry),
        "actions": {name: _action(action) for name, action in sink.actions.items()},
    }  # fmt: skip


def _action(action: SinkAction) -> dict[str, Any]:
    return {
        "max_records": action.max_records,
        "max_bytes": action.max_bytes,
        "rate": action.bucket.rate,
    }
