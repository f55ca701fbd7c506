"""Examples of codes, carried out: a file or a part of one with its data and tests, an expression, a command, a script."""

import contextlib
import json
import re
from pathlib import Path

from engine.commands.files import all_findings
from engine.commands.test import run_tests
from engine.config.load import load
from engine.errors import EngineError, RecordError
from engine.explanations import FRAME, explanations
from engine.model import Stream
from engine.registry import Registry, pretend_world
from engine.runners.local import Options, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.deadletters import read_letters
from engine.runtime.transport import Pretend
from tests.mapping.support import value_of

DATA = re.compile(r"^--- (\S+)\n", re.MULTILINE)
RECORD = {"text": "x" * 400_000}
"""What expressions of examples see as `record`."""


def framed(text):
    """An example with what stands around it."""
    missing = [line for word, line in FRAME.items() if not re.search(rf"(?m)^{word}:", text)]
    return text.rstrip("\n") + "\n" + "\n".join(missing) + "\n"


def outcome(folder, example, environ):
    """The codes that come of an example, and the differences of its tests."""
    if example.startswith("{{"):
        return of_value(example), []
    example, _, command = example.partition("\n$ ")
    fault = re.search(r"--fault '(.*)'", command)
    text, *data = DATA.split(example)
    for name, content in zip(data[::2], data[1::2], strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    path = folder / "example.yaml"
    path.write_text(framed(text), "utf-8")
    registry = Registry.builtin()
    loaded = load(path, registry, environ=environ, sandbox=True, sending=False)
    assert loaded.pipeline is not None, [finding.render() for finding in loaded.findings]
    wrong = [finding.render() for finding in all_findings(loaded, registry) if finding.is_error]
    assert not wrong, wrong
    if loaded.pipeline.tests:
        return of_tests(loaded, registry)
    return of_run(loaded.pipeline, registry, [json.loads(fault[1])] if fault else []), []


def of_value(expression):
    try:
        with contextlib.suppress(KeyError):  # an omitted field has no value
            value_of(expression, RECORD)
    except RecordError as error:
        return {error.code}
    return set()


def of_tests(loaded, registry):
    found, wrong = set(), []
    for tested in run_tests(loaded.pipeline, registry, loaded.secrets):
        trial = tested.trial
        found |= {letter["code"] for letter in trial.letters} | coded(trial.report, trial.error)
        found |= {"test-failed"} if tested.wrong else set()
        mappings = trial.report.get("mappings", {}).values()
        found |= {"panic"} if any(counts["dropped"] for counts in mappings) else set()
        wrong += tested.wrong
    return found, wrong


def of_run(pipeline, registry, faults):
    """Runs it against the pretend vendors."""
    clock = FakeClock()
    world = pretend_world(clock, faults)

    def ask(request):
        if isinstance(request.body, Stream):
            b"".join(request.body.chunks())
        return world.handle(request)

    try:
        done = run_pipeline(pipeline, registry, Options(clock=clock, transport=lambda *_: Pretend(ask, clock)))
    except EngineError as error:
        return coded({}, error)
    path = Path(pipeline.dead_letters.path)
    letters = read_letters(path) if path.exists() else []
    return {letter["code"] for letter in letters} | coded(done.report, done.error)


def coded(report, error):
    """The codes of warnings and of what halted the run."""
    said = " ".join(report.get("warnings", {}))
    found = {code for code in explanations() if re.search(rf"(?<![\w-]){code}(?![\w-])", said)}
    return found | ({error.code} if hasattr(error, "code") else set())
