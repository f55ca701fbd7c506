"""`engine run`: check all files, then run one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from engine.commands.files import load_all
from engine.commands.reports import Reports
from engine.config.pipeline import Pipeline
from engine.console import LiveProgress, PlainProgress, report_text, stderr, stdout
from engine.errors import EngineError, Halt, InvalidPipeline, Refused
from engine.registry import Registry, pretend_world
from engine.runners.local import Options, Outcome, run_pipeline
from engine.runners.requests import shown
from engine.runtime.clock import Clock
from engine.runtime.disk import told
from engine.runtime.masks import Masker
from engine.runtime.transport import Dry, Pretend, Transport

Start = Callable[[Pipeline, Registry, Options], Outcome]


def run_files(
    files: Sequence[Path], sets: Sequence[str], env: str | None, sandbox: bool, faults: Sequence[str], dry_run: bool,
    limit: int | None, fresh: bool, state: Path | None, as_json: bool, report: Path | None, no_progress: bool,
    workers: int = 1,
) -> int:  # fmt: skip
    """The worst exit code of the runs; 2 and no run at all where a file is wrong."""
    if workers > 1 and dry_run:
        stderr("--workers: a dry run is one process's")
        workers = 1
    registry = Registry.installed()
    loaded = load_all(files, registry, sets, env, sandbox=sandbox, sending=not dry_run)
    if loaded is None:
        return 2
    worst, reports = 0, Reports(as_json, report)
    for pipeline, secrets in loaded:
        if state is not None:
            pipeline = replace(pipeline, state=state.absolute())
        options = Options(
            limit=limit, fresh=fresh, dry=dry_run, secrets=secrets, signals=True,
            transport=transport_for(sandbox, faults, dry_run, secrets),
        )  # fmt: skip
        start: Start = run_pipeline if workers == 1 else _shared(workers, faults if sandbox else None)
        show = partial(report_text, sandbox=sandbox, file=pipeline.path, limit=limit)
        code = _run_one(pipeline, registry, options, show, reports, no_progress, start)
        worst = max(worst, code)
        if code == 130:
            break
    return worst


def _shared(workers: int, faults: Sequence[str] | None) -> Start:
    """What runs a pipeline by several processes; `faults` are those of pretend vendors, if it is to be these."""
    from engine.runners.workers import run_workers  # late: one process needs nothing of it

    def start(pipeline: Pipeline, registry: Registry, options: Options) -> Outcome:
        vendors = None if faults is None else pretend_world(options.clock, parse_faults(faults)).handle
        return run_workers(pipeline, registry, options, workers, vendors)

    return start


def _run_one(
    pipeline: Pipeline, registry: Registry, options: Options, show: Callable[..., str],
    reports: Reports, no_progress: bool, start: Start,
) -> int:  # fmt: skip
    observer = _observer(no_progress)
    options.observer = observer
    mask = Masker(options.secrets)
    try:
        outcome = start(pipeline, registry, options)
    except (InvalidPipeline, Halt, Refused) as error:
        observer.close()
        return _could_not_begin(pipeline, error, reports, mask)
    observer.close()
    stderr(mask(show(outcome.report, outcome.examples)))
    reports.publish(outcome.report, mask)
    return outcome.exit


def _could_not_begin(pipeline: Pipeline, error: EngineError, reports: Reports, mask: Masker) -> int:
    stderr(mask(f"{pipeline.name}: {told(error) if isinstance(error, Halt) else error}"))
    status, code = ("halted", 3) if isinstance(error, Halt) else ("failed", 4 if isinstance(error, Refused) else 2)
    reports.publish({"pipeline": pipeline.name, "status": status, "error": {"reason": str(error)}}, mask)
    return code


def _observer(no_progress: bool) -> Any:
    if no_progress:
        return PlainProgress(lambda text: None)
    if sys.stderr.isatty():
        return LiveProgress(sys.stderr)
    return PlainProgress(stderr)


def transport_for(
    sandbox: bool, faults: Sequence[str], dry: bool, secrets: Sequence[str]
) -> Callable[[int, Clock], Transport] | None:
    """None: over the network."""
    if dry:
        mask = Masker(secrets)
        return lambda _, clock: Dry(lambda request: stdout(shown(request, mask) + "\n"))
    if sandbox:
        return lambda _, clock: Pretend(pretend_world(clock, parse_faults(faults)).handle, clock)
    if faults:
        raise InvalidPipeline("--fault is for the pretend vendors: add --sandbox")
    return None


def parse_faults(faults: Sequence[str]) -> list[Any]:
    """`--fault` values: each a JSON object, or a list of them."""
    parsed: list[Any] = []
    for text in faults:
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            raise InvalidPipeline(f"--fault is not JSON: {error}") from None
        except RecursionError:
            raise InvalidPipeline("--fault is nested too deeply: write one JSON object, or a list of them") from None
        parsed += value if isinstance(value, list) else [value]
    return parsed
