"""`engine test`: the `tests:` of pipeline files; nothing leaves the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import click
import msgspec

from engine.commands.files import all_findings, parse_sets
from engine.config.document import Document
from engine.config.load import Loaded, load
from engine.config.messages import Finding
from engine.config.nodes import Path as NodePath
from engine.config.pipeline import Pipeline
from engine.console import json_text, several, stderr, stdout
from engine.errors import InvalidPipeline
from engine.model import Problem
from engine.registry import Registry
from engine.runtime.masks import Masker
from engine.runtime.plan import build
from engine.trials.comparing import Difference, differences
from engine.trials.coverage import missed, unsaid
from engine.trials.editing import Edit, aliased, edited, with_test
from engine.trials.given import Case
from engine.trials.running import Trial, attempt
from engine.trials.vendors import mistaken

DUMMY_RUN = {"id": "0000000000000000", "started_at": "2000-01-01T00:00:00.000Z"}


@dataclass(frozen=True)
class Tested:
    """A test of a file, what became of it, and where that is not what was expected."""

    name: str
    trial: Trial
    wrong: list[Difference]


def test_files(
    files: Sequence[Path], sets: Sequence[str], env: str | None, coverage: bool, accept: bool, record: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """0 where all tests pass, 1 where one fails, 2 where a file is wrong."""
    registry, worst, count, failed = Registry.installed(), 0, 0, 0
    for file in files:
        loaded = load(file, registry, sets=parse_sets(sets), env=env, environ=os.environ, sandbox=True, sending=False)
        findings = [*all_findings(loaded, registry), *_mistaken(loaded)]
        for finding in findings:
            stderr(finding.render())
        if loaded.pipeline is None or loaded.document is None or any(finding.is_error for finding in findings):
            worst = 2
            continue
        if record is not None:
            _record(file, loaded.pipeline, loaded.document, registry, record)
            continue
        tested = run_tests(loaded.pipeline, registry, loaded.secrets)
        if accept:
            tested = _accepted(file, loaded.document, tested)
        _tell(tested, loaded.document, as_json, Masker(loaded.secrets))
        if coverage:
            _cover(loaded.pipeline, loaded.document, tested)
        count, failed = count + len(tested), failed + sum(bool(one.wrong) for one in tested)
    if record is None:
        stderr(f"{several(count, 'test')}, {failed or 'none'} failed" if count else "no tests")
    return max(worst, 1 if failed else 0)


def run_tests(pipeline: Pipeline, registry: Registry, secrets: tuple[str, ...] = ()) -> list[Tested]:
    """All tests of a pipeline, in order."""
    found = []
    for at, test in enumerate(pipeline.tests):
        trial = attempt(pipeline, registry, case_of(test, pipeline), secrets)
        found.append(Tested(test["name"], trial, differences(test["expect"], trial, ("tests", at, "expect"))))
    return found


def case_of(test: Mapping[str, Any], pipeline: Pipeline) -> Case:
    """What a test of the file gives."""
    given = test["given"]
    records = given if isinstance(given, dict) else {next(iter(pipeline.sources)): given}
    return Case(records, test.get("lookups", {}), test.get("vars", {}), _answers(test))


def _answers(test: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A list is given in order; a single answer always."""
    said = test.get("vendor", [])
    return [{"times": "always", **said}] if isinstance(said, dict) else list(said)


def _mistaken(loaded: Loaded) -> Iterator[Finding]:
    """Answers of vendors that mean nothing."""
    for at, test in enumerate(loaded.pipeline.tests if loaded.pipeline is not None else ()):
        for position, reason in mistaken(_answers(test)):
            step = (position,) if isinstance(test["vendor"], list) else ()
            assert loaded.document is not None
            yield loaded.document.place(Problem("bad-value", reason, ("tests", at, "vendor", *step)))


# --- what is told -------------------------------------------------------------------------------------------


def _tell(tested: Sequence[Tested], document: Document, as_json: bool, mask: Masker) -> None:
    for one in tested:
        findings = [_finding(difference, document) for difference in one.wrong]
        if as_json:
            found = {"file": document.name, "test": one.name, "passed": not one.wrong,
                     "differences": [finding.to_json() for finding in findings]}  # fmt: skip
            stdout(mask.json(json_text(found)) + "\n")
        stderr(f"{'failed' if one.wrong else 'ok    '}  {one.name}")
        for difference, finding in zip(one.wrong, findings, strict=True):
            stderr(mask(_with_more(finding.render(), difference.message)))


def _finding(difference: Difference, document: Document) -> Finding:
    return document.place(Problem("test-failed", difference.message.partition("\n")[0], difference.path))


def _with_more(rendered: str, message: str) -> str:
    """The lines of the message after the first stand below the excerpt."""
    more = message.split("\n")[1:]
    return "\n".join([rendered, *(f"      = {line}" for line in more)])


def _cover(pipeline: Pipeline, document: Document, tested: Sequence[Tested]) -> None:
    found = list(missed(pipeline, [one.trial for one in tested]))
    for path, message in found:
        stderr(document.place(Problem("not-covered", message, path, warning=True)).headline())
    stderr(
        f"{several(len(found), 'thing')} no test reaches" if found else "every field, branch and answer is reached"
    )
    for name, spec in pipeline.mappings.items():
        if codes := unsaid(name, [one.trial for one in tested]):
            stderr(f"      = {name}: {spec.sink} may refuse a payload in ways no test has: {', '.join(codes)}")


# --- what is written ----------------------------------------------------------------------------------------


def _accepted(file: Path, document: Document, tested: Sequence[Tested]) -> list[Tested]:
    """Writes what was found as what is expected; gives the tests with what could not be renewed."""
    edits, kept = [], set()
    for one in (one for each in tested for one in each.wrong if one.has_value):
        path = one.edit or one.path
        if (place := aliased(document.root, path)) is None:
            edits.append(Edit(path, one.found))
        else:
            kept.add(path)
            stderr(_by_alias(document, path, *place).headline())
    if edits:
        _write(file, edited(document.text, document.root, edits), document)
        stderr(f"{file}: {several(len(edits), 'expectation')} renewed; look at the change before you commit it")

    def renewed(one: Difference) -> bool:
        return one.has_value and (one.edit or one.path) not in kept

    return [replace(each, wrong=[one for one in each.wrong if not renewed(one)]) for each in tested]


def _by_alias(document: Document, path: NodePath, used: int, written: int) -> Finding:
    """A value that others use, too, is for a person to change."""
    (line, column), (source, at) = document.line_column(used), document.line_column(written)
    message = f"{'.'.join(map(str, path))} comes by an alias and is not renewed"
    hint = f"change it at {document.name}:{source}:{at}, where it is written, or write it out here"
    return Finding("test-failed", message, document.name, line, column, hint=hint, severity="warning")


def _record(file: Path, pipeline: Pipeline, document: Document, registry: Registry, record: str) -> None:
    """Writes a test from the first records of the sources, or from a file of records."""
    records = _sample(pipeline, registry, record)
    trial = attempt(pipeline, registry, Case(records))
    given: Any = records if len(pipeline.sources) > 1 else next(iter(records.values()))
    expect: dict[str, Any] = {name: [one.payload for one in made] for name, made in trial.payloads.items()}
    if trial.letters:
        expect["dead_letters"] = [
            {word: letter[word] for word in ("mapping", "stage", "code") if letter[word]} for letter in trial.letters
        ]  # fmt: skip
    test = {"name": f"recorded {len(pipeline.tests) + 1}", "given": given, "expect": expect}
    _write(file, with_test(document.text, document.root, test), document)
    count = sum(map(len, records.values()))
    stderr(f"{file}: a test with {several(count, 'record')} is written; they are real data: mask what is personal")


def _sample(pipeline: Pipeline, registry: Registry, record: str) -> dict[str, list[Any]]:
    if record.isdecimal():
        plan, problems = build(pipeline, registry, DUMMY_RUN)
        if plan is None:
            raise InvalidPipeline("; ".join(problem.message for problem in problems))
        return {name: list(_first(source.source, int(record))) for name, source in plan.sources.items()}
    try:
        lines = Path(record).read_bytes().splitlines()
        return {next(iter(pipeline.sources)): [msgspec.json.decode(line) for line in lines if line.strip()]}
    except (OSError, msgspec.DecodeError) as error:
        raise InvalidPipeline(
            f"{record} is neither a number nor a file of records, one JSON object a line"
        ) from error


def _first(source: Any, count: int) -> Iterator[Any]:
    rows = (part for partition in source.partitions() for part in source.read(partition, None))
    return islice((part.record(at) for part in rows for at in range(len(part.records))), count)


def _write(file: Path, text: str, document: Document) -> None:
    """Replaces the file at once; refuses where somebody changed it meanwhile."""
    raw = file.read_bytes()
    mark = b"\xef\xbb\xbf" if raw.startswith(b"\xef\xbb\xbf") else b""
    if raw.removeprefix(mark).decode("utf-8") != document.text:
        raise click.ClickException(f"{file} changed meanwhile; nothing is written")
    part = file.with_name(file.name + ".part")
    part.write_bytes(mark + text.encode("utf-8"))
    part.chmod(file.stat().st_mode & 0o777)
    part.replace(file)
