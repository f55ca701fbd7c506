"""Every code is explained; every wrong example shows its code and every right one none; the page is up to date."""

import ast
import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from engine.commands.explain import markdown
from engine.commands.files import all_findings
from engine.config.load import load
from engine.errors import RecordError
from engine.explanations import FRAME, explanations
from engine.registry import Registry
from tests.mapping.support import value_of
from tests.test_docs import ROOT

ALL = [one for many in explanations().values() for one in many]
FILES = [one for one in ALL if one.chapter in ("files", "expressions")]
VALUES = [one for one in ALL if one.chapter == "records" and one.wrong]
COMMANDS = {"text/plain": None}
PIPELINE = """\
vars: {least: 1}
environments: {prod: {vars: {least: 2}}}
"""


def framed(text):
    """An example with what stands around it."""
    missing = [line for word, line in FRAME.items() if not re.search(rf"(?m)^{word}:", text)]
    return text.rstrip("\n") + "\n" + "\n".join(missing) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "customers.csv").write_text("id,email,name,age,country\n7,ada@shop.test,Ada,36,FR\n")
    (tmp_path / "key.txt").write_text("0123456789abcdef\n")
    (tmp_path / "pipeline.yaml").write_text(framed(PIPELINE))
    long = (
        'mappings: {all: {from: customers, to: out, fields: {a: "{{ ' + "record.age ~ " * 3000 + 'record.age }}"}}}\n'
    )
    (tmp_path / "too-long.yaml").write_text(framed(long))
    return tmp_path


ENVIRON = {"ITERABLE_API_KEY": "0123456789abcdef", "HOME": "/home/somebody"}


def codes(folder, example):
    """The codes that `check` finds in an example: a file, or a command."""
    if example.startswith("$ "):
        return shown(folder, example[2:].strip())
    path = folder / "example.yaml"
    path.write_text(framed(example))
    loaded = load(path, Registry.builtin(), environ=ENVIRON, sending=False)
    return [finding.code for finding in all_findings(loaded, Registry.builtin())]


def shown(folder, script):
    command = folder / "engine"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m engine "$@"\n')
    command.chmod(0o755)
    env = {**ENVIRON, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, text=True, capture_output=True, timeout=60)
    assert "Traceback" not in done.stderr
    return re.findall(r"(?:error|warning)\[([a-z0-9-]+)\]", done.stderr)


@pytest.mark.parametrize("said", FILES, ids=lambda said: f"{said.chapter}-{said.code}")
def test_wrong_and_right_examples_of_files(folder, said):
    assert said.wrong
    assert said.right
    if said.wrong.startswith("A plugin's schema: "):
        assert_schemas(said)
        return
    assert said.code in codes(folder, said.wrong)
    assert codes(folder, said.right) == []


def assert_schemas(said):
    def found(example):
        schema = json.loads(example.removeprefix("A plugin's schema: "))

        class Strange:
            def __init__(self, **settings): ...

        Strange.schema = {"type": "object", "properties": {"x": schema}, "$defs": {"other": {}}}
        registry = Registry.builtin().with_plugin("sinks", "strange", Strange)
        from engine.config.load import parse

        text = framed("sinks: {out: {type: strange}}")
        return [f.code for f in parse(text, "x.yaml", registry, environ=ENVIRON).findings]

    assert said.code in found(said.wrong)
    assert found(said.right) == []


@pytest.mark.parametrize("said", VALUES, ids=lambda said: said.code)
def test_wrong_and_right_examples_of_records(said):
    with pytest.raises(RecordError) as raised:
        value_of(said.wrong, {})
    assert raised.value.code == said.code
    with contextlib.suppress(KeyError):  # an omitted field has no value
        value_of(said.right, {})


# --- nothing is left out ----------------------------------------------------------------------------------------------

CALLS = {
    "Problem": 0, "Flaw": 0, "Finding": 0, "Trouble": 0, "problem": 0, "Unreadable": 0, "_wrong": 0, "_flaw": 0,
    "RecordError": 0, "rejected": 0, "unknown": 0, "Malformed": 1, "Failure": 0, "Split": 0, "Note": 0, "Bad": 0,
    "Verdict": 1, "dropped": 0,
}  # fmt: skip
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)*")
NO_CODES = {
    "again",  # sent again: nobody sees it
    "forgotten",  # dropped: an erased person is named nowhere
}
PYTHON_ONLY = ("engine/python/", "engine/sandbox/", "engine/vendors/buckets/")
"""Rooms whose codes stay within: Python callers see them as exceptions, deciders' findings come as notes."""


def written_codes():
    """Code → where, for every code that is written as a literal in the package."""
    for path in sorted((ROOT / "engine").rglob("*.py")):
        place = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or place.startswith(PYTHON_ONLY):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            at = CALLS.get(name)
            # in a config or mapping room `_wrong` takes the code first; elsewhere it is somebody's own helper
            if at is not None and len(node.args) > at and (name != "_wrong" or place == "engine/mapping/tree.py"):
                yield from ((word, place) for word in words(node.args[at]))
            if name == "Halt":
                yield from ((word, place) for k in node.keywords if k.arg == "code" for word in words(k.value))


def words(node):
    options = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
    for option in options:
        if isinstance(option, ast.Constant) and isinstance(option.value, str) and CODE.fullmatch(option.value):
            yield option.value


def test_every_code_of_the_package_is_explained():
    found = dict(written_codes())
    assert len(found) > 100
    silent = {code: place for code, place in found.items() if code not in explanations() and code not in NO_CODES}
    assert not silent


def test_codes_of_the_corpus_are_explained():
    from tests.config.test_wrong import cases

    seen = {expected[0] for case in cases() for expected in case.values[1]}
    assert seen <= set(explanations())


def test_the_page_of_all_codes_is_up_to_date():
    assert (ROOT / "docs" / "codes.md").read_text("utf-8") == markdown()


# --- the command and SARIF ----------------------------------------------------------------------------------------------


def test_a_code_is_explained_on_the_terminal(tmp_path):
    def engine(*arguments):
        command = [sys.executable, "-m", "engine", *arguments]
        return subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, timeout=60)

    done = engine("explain", "invalid-identifier")
    assert done.returncode == 0
    assert "| trim | lower" in done.stdout
    both = engine("explain", "missing-field").stdout
    assert "wrong:" in both
    assert "Expressions and mappings".lower() in both
    assert "Records that a mapping cannot use".lower() in both
    near = engine("explain", "unknown-feild")
    assert near.returncode == 2
    assert "did you mean unknown-field?" in near.stderr


def test_findings_as_sarif(folder):
    (folder / "wrong.yaml").write_text(framed("vars: {a: 1, b: 2, a: 3}\nnmae: x\n"))
    command = [sys.executable, "-m", "engine", "check", "wrong.yaml", "--format", "sarif"]
    done = subprocess.run(
        command, cwd=folder, text=True, capture_output=True, timeout=60, env={**os.environ, **ENVIRON}
    )
    assert done.returncode == 2
    log = json.loads(done.stdout)
    jsonschema.validate(log, json.loads((Path(__file__).parent / "sarif-shape.json").read_text()))
    first, second = log["runs"][0]["results"]
    assert (first["ruleId"], second["ruleId"]) == ("duplicate-key", "unknown-key")
    region = {"startLine": 1, "startColumn": 20, "endColumn": 21}
    place = {"artifactLocation": {"uri": "wrong.yaml"}, "region": region}
    assert first["locations"] == [{"physicalLocation": place}]
    assert first["relatedLocations"][0]["physicalLocation"]["region"]["startColumn"] == 8
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert rules[second["ruleIndex"]]["id"] == "unknown-key"
