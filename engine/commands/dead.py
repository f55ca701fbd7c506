"""`engine dead`: what was refused and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.commands.files import load_all, pipeline_of
from engine.commands.run import transport_for
from engine.config.messages import printable
from engine.config.pipeline import Pipeline
from engine.console import json_text, several, stderr, stdout
from engine.errors import InvalidPipeline
from engine.registry import Registry
from engine.runners.local import Options
from engine.runners.replay import Replay, replay, still_open
from engine.runtime.clock import iso
from engine.runtime.deadletters import field_of, read_letters
from engine.runtime.masks import Masker
from engine.runtime.state import State


def list_letters(file: Path, every: bool, as_json: bool) -> int:
    """Groups by mapping, code and field; the newest run's only, unless `every`."""
    letters, earlier = _letters(file, every)
    groups = Counter(map(_group, letters))
    examples = {_group(letter): letter for letter in reversed(letters)}  # the first of each
    for group, count in groups.most_common():
        name, stage, code, field = group
        origin, reason = examples[group]["origin"], examples[group]["reason"]
        if as_json:
            _json({"name": name, "stage": stage, "code": code, "field": field or None, "count": count,
                   "example": examples[group]})  # fmt: skip
        else:
            stdout(printable(f"{count:>7,}  {name}  {stage}  {code}  e.g. {place(origin)}: {reason}") + "\n")
    if not as_json:
        more = f"; {earlier:,} of earlier runs: --all" if earlier else ""
        stdout(f"{len(letters):>7,}  in all{more}\n" if letters else f"no dead letters{more}\n")
    return 0


def _group(letter: dict[str, Any]) -> tuple[str, str, str, str]:
    stage = letter["stage"]
    return letter["mapping"] or letter["source"], stage, letter["code"], field_of(stage, str(letter["reason"]))


def show_letters(file: Path, letter_id: str | None, as_json: bool) -> int:
    found = [x for x in _letters(file, True)[0] if letter_id is None or x["id"].startswith(letter_id)]
    if letter_id is not None and not found:
        raise InvalidPipeline(f"no dead letter has the id {letter_id}; `engine dead show {file}` lists them")
    for letter in found:
        if as_json:
            _json(letter)
        elif letter_id is not None:
            stdout(json_text(letter, indent=2) + "\n")
        else:
            where = f"{letter['mapping'] or letter['source']}  {letter['code']}"
            stdout(printable(f"{letter['id']}  {place(letter['origin'])}  {where}  {letter['reason']}") + "\n")
    return 0


def _letters(file: Path, every: bool) -> tuple[list[dict[str, Any]], int]:
    """Those of a pipeline file, or of a file of dead letters itself; and how many of earlier runs are left out.

    Those that a replay delivered are gone. The newest run's are shown, and what a replay since could not mend.
    """
    pipeline = None if file.suffix == ".jsonl" else pipeline_of(file)
    path = file if pipeline is None else pipeline.dead_letters.path
    letters: list[Any] = list(read_letters(path)) if path.exists() else []
    replays: set[str] = set()
    if pipeline is not None and letters:
        letters, replays = still_open(pipeline, letters)
    if every:
        return letters, 0
    began = None if pipeline is None else _last_start(pipeline)
    if began is not None:
        shown = [letter for letter in letters if letter["at"] >= began]
    else:
        newest = next((letter["run_id"] for letter in reversed(letters) if letter["run_id"] not in replays), None)
        shown = [letter for letter in letters if letter["run_id"] == newest or letter["run_id"] in replays]
    return shown, len(letters) - len(shown)


def _last_start(pipeline: Pipeline) -> str | None:
    """When the newest run began, be it finished or not; None where the state knows of none."""
    state = State(pipeline.state, pipeline.name, looking=True)
    try:
        if not state.path.exists():
            return None
        head, _ = state.load()
        return iso(head.started_at) if head else next((run["started_at"] for run in state.history(1)), None)
    finally:
        state.close()


def place(origin: dict[str, Any]) -> str:
    return f"{origin['file']}:{origin['line']}"


def _json(value: Any) -> None:
    stdout(json_text(value) + "\n")


def replay_letters(
    file: Path, ids: Sequence[str], dry_run: bool, sandbox: bool, faults: Sequence[str], sets: Sequence[str],
    env: str | None, state: Path | None, as_json: bool,
) -> int:  # fmt: skip
    """Sends the letters again; 0 where all that were sent are delivered, 1 where some were refused again."""
    registry = Registry.installed()
    loaded = load_all([file], registry, sets, env, sandbox=sandbox, sending=not dry_run)
    if loaded is None:
        return 2
    ((pipeline, secrets),) = loaded
    pipeline = pipeline if state is None else replace(pipeline, state=state.absolute())
    if not dry_run:
        stderr(f"{pipeline.name}: replaying may overwrite what the vendors were sent since; --dry-run shows it first")
    options = Options(
        secrets=secrets, dry=dry_run, signals=True, transport=transport_for(sandbox, faults, dry_run, secrets)
    )
    found = replay(pipeline, registry, options, ids)
    _tell_replay(pipeline.name, found, Masker(secrets), as_json, dry_run)
    return found.outcome.exit if found.outcome is not None else 0


def _tell_replay(name: str, found: Replay, mask: Masker, as_json: bool, dry_run: bool) -> None:
    outcome = found.outcome
    if as_json and not dry_run:
        said = {"pipeline": name, "letters": found.chosen, "delivered": found.delivered, "refused": found.again,
                "left": dict(found.left), "run": outcome.report if outcome else None}  # fmt: skip
        stdout(mask.json(json_text(said)) + "\n")
    for reason, count in found.left.items():
        stderr(f"{name}: {several(count, 'dead letter')} left: {reason}")
    if outcome is None:
        stderr(f"{name}: nothing to replay")
    elif dry_run:
        stderr(f"{name}: {several(found.chosen, 'dead letter')} would be sent again as above; nothing was sent")
    elif outcome.error is not None:
        stderr(mask(f"{name}: {outcome.report['status']}: {outcome.error}; replay again to go on"))
    else:
        stderr(f"{name}: {several(found.chosen, 'dead letter')} replayed: {found.delivered:,} settled, "
               f"{found.again:,} refused again")  # fmt: skip
