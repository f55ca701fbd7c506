"""`engine try`: one record through the mappings: every field with its line, value and type, and the requests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from engine.commands.files import all_findings, parse_sets
from engine.config.document import Document
from engine.config.load import load
from engine.config.nodes import Path as NodePath
from engine.config.pipeline import Pipeline
from engine.console import json_text, stderr, stdout
from engine.errors import EngineError, InvalidPipeline
from engine.model import Problem
from engine.registry import Registry
from engine.runtime.masks import Masker
from engine.trials.given import Case
from engine.trials.running import Trial, attempt
from engine.trials.tracing import OMITTED, Field, fields_of

SHOWN = 200  # characters of a value
EVERY = 0.3  # seconds between two looks at the file


def try_file(
    file: Path, record: str, mapping: str | None, lookups: str | None, sets: tuple[str, ...], env: str | None
) -> int:
    """0 where every mapping takes the record or leaves it out, 1 where one fails, 2 where the file is wrong."""
    registry = Registry.installed()
    loaded = load(file, registry, sets=parse_sets(sets), env=env, environ=os.environ, sandbox=True, sending=False)
    findings = all_findings(loaded, registry)
    for finding in findings:
        stderr(finding.render())
    if loaded.pipeline is None or loaded.document is None or any(finding.is_error for finding in findings):
        return 2
    pipeline = chosen(loaded.pipeline, mapping)
    given = read_json(record, "--record")
    if not isinstance(given, dict):
        raise InvalidPipeline("--record takes one JSON object, as the source would give it")
    by_hand = read_json(lookups, "--lookups") if lookups is not None else {}
    unknown = [name for name in by_hand if name not in pipeline.lookups]
    if unknown:
        raise InvalidPipeline(f"--lookups: there is no lookup {unknown[0]}; there are: {', '.join(pipeline.lookups)}")
    values = {name: [value] for name, value in by_hand.items()}
    trial = attempt(pipeline, registry, Case({name: [given] for name in pipeline.sources}, values), loaded.secrets)
    _tell(trial, loaded.document, Masker(loaded.secrets))
    return 1 if trial.letters or trial.status not in ("succeeded", "partial") else 0


def chosen(pipeline: Pipeline, mapping: str | None) -> Pipeline:
    """The pipeline with one mapping, or with those of one source."""
    if mapping is not None:
        if mapping not in pipeline.mappings:
            known = ", ".join(pipeline.mappings)
            raise InvalidPipeline(f"there is no mapping {mapping}; there are: {known}")
        return replace(pipeline, mappings={mapping: pipeline.mappings[mapping]})
    sources = {spec.source for spec in pipeline.mappings.values()}
    if len(sources) > 1:
        raise InvalidPipeline(f"say which mapping with --mapping: {', '.join(pipeline.mappings)}")
    return pipeline


def read_json(text: str, option: str) -> Any:
    """JSON from the command line, or from the file that `@path` names (`@-`: from stdin)."""
    if text.startswith("@"):
        try:
            text = sys.stdin.read() if text == "@-" else Path(text[1:]).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidPipeline(f"{option}: {text[1:]} cannot be read") from error
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidPipeline(f"{option} is not JSON: {error}") from None


def watch(file: Path, act: Callable[[], int], sleep: Callable[[float], None], more: Callable[[], bool]) -> int:
    """Acts now and whenever the file's content has changed, as long as there is `more`. Gives the last code."""
    content, code = _content(file), _guarded(act)
    while more():
        sleep(EVERY)
        now = _content(file)
        if now is not None and now != content:
            content = now
            stderr("")
            code = _guarded(act)
    return code


def _guarded(act: Callable[[], int]) -> int:
    """A mistake is told of, and the watch goes on."""
    try:
        return act()
    except EngineError as error:
        stderr(f"engine: {error}")
        return 2


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


# --- what is told -----------------------------------------------------------------------------------------------


def _tell(trial: Trial, document: Document, mask: Callable[[str], str]) -> None:
    def say(text: str) -> None:
        _say(mask(text))

    def complain(text: str) -> None:
        stderr(mask(text))

    places: dict[str, dict[str, NodePath]] = {}
    for seen in trial.seen:
        name = seen.plan.spec.name
        target = f"{seen.plan.spec.sink}.{seen.plan.spec.action}"
        fields = list(fields_of(seen))
        places.setdefault(name, {}).update({field.name: field.path for field in fields})
        say(f"{name} → {target}" if fields else f"{name} → {target}: left out by `when` or `skip`")
        for field in fields:
            say(_line(field, document))
            if field.failure is not None:
                reason = field.failure.reason.removeprefix(f"{field.failure.field}: ")
                start, length = field.at or (None, 1)
                problem = Problem(field.failure.code, f"{field.name}: {reason}", field.path, start, length)
                complain(document.place(problem).render())
    for letter in trial.letters:
        if letter["stage"] in ("payload", "vendor"):
            complain(_refusal(letter, places.get(letter["mapping"], {}), document))
    for request in trial.requests:
        say(f"{request.method} {request.url}")
        say(_pretty(request.body))
    if trial.error is not None:
        complain(f"the run ended: {trial.error}")


def _refusal(letter: dict[str, Any], places: dict[str, NodePath], document: Document) -> str:
    """Why a payload was refused: at the field that the reason begins with, where it is one of the mapping's."""
    name = letter["reason"].partition(": ")[0]
    while name and name not in places:
        name = name.rpartition(".")[0] if "." in name else ""
    hint = f"`engine explain {letter['code']}`"
    if not name:
        return f"{letter['mapping']}: {letter['code']}: {letter['reason']}; {hint}"
    return document.place(Problem(letter["code"], letter["reason"], places[name], hint=hint)).render()


def _line(field: Field, document: Document) -> str:
    place = document.place(Problem("", "", field.path))
    name = field.name if field.element is None else f"{field.name} [{field.element}]"
    if field.failure is not None:
        return f"{place.line:>5}  {name}: fails"
    if field.value is OMITTED:
        return f"{place.line:>5}  {name}: left out"
    return f"{place.line:>5}  {name}: {_shown(field.value)}  {field.kind}"


def _shown(value: Any) -> str:
    try:
        text = json_text(value)
    except (TypeError, OverflowError, UnicodeEncodeError, msgspec.MsgspecError):
        text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


def _pretty(body: Any) -> str:
    if isinstance(body, str):
        return body
    return json_text(body, indent=2) if body is not None else ""


def _say(text: str) -> None:
    stdout(text + "\n")
    sys.stdout.flush()
