"""Every code is explained; every wrong example shows its code and every right one none; the page is up to date."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from engine.commands.explain import markdown
from engine.commands.files import all_findings
from engine.config.load import load
from engine.explanations import explanations
from engine.registry import Registry
from tests.commands.examples import framed, outcome
from tests.test_docs import ROOT

ALL = [one for many in explanations().values() for one in many]
FILES = [one for one in ALL if one.chapter in ("files", "expressions")]
RUNS = [one for one in ALL if one.chapter not in ("files", "expressions")]
SITUATIONS = {
    "tls", "request", "disk", "state", "upload", "stdout-closed", "length-unknown", "too-many-files", "no-model",
    "worker-lost", "key-changed", "pace-damaged", "pace-alone", "name-shared", "bad-expression", "visitor-id", "hit-kind", "hit-visitor", "flag-default",
}  # fmt: skip
"""Codes whose examples are told, not carried out: they take another machine, a full disk, a script of one's own."""
PIPELINE = """\
vars: {least: 1}
environments: {prod: {vars: {least: 2}}}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "customers.csv").write_text(
        "id,email,name,age,country,since\n7,ada@shop.test,Ada,36,FR,2026-01-31T12:00:00Z\n"
    )
    (tmp_path / "key.txt").write_text("0123456789abcdef\n")
    (tmp_path / "pipeline.yaml").write_text(framed(PIPELINE))
    tested = f"{PIPELINE}tests: [{{name: all, given: [{{id: '7'}}], expect: {{all: [{{id: '7'}}]}}}}]\n"
    (tmp_path / "tested.yaml").write_text(framed(tested))
    long = (
        'mappings: {all: {from: customers, to: out, fields: {a: "{{ ' + "record.age ~ " * 3000 + 'record.age }}"}}}\n'
    )
    (tmp_path / "too-long.yaml").write_text(framed(long))
    return tmp_path


ENVIRON = {"ITERABLE_API_KEY": "0123456789abcdef", "HOME": "/home/somebody"}
ACCOUNTS = {"FS_ENV_ID": "env", "FS_API_KEY": "0123456789abcdef", "LUMIDATUM_TOKEN": "0123456789abcdef"}


def codes(folder, example):
    """The codes that `check` finds in an example: a file, or a command."""
    if example.startswith("$ "):
        return shown(folder, example[2:].strip())
    path = folder / "example.yaml"
    path.write_text(framed(example))
    loaded = load(path, Registry.builtin(), environ=ENVIRON, sending=False)
    return [finding.code for finding in all_findings(loaded, Registry.builtin())]


def shown(folder, script):
    return re.findall(r"(?:error|warning)\[([a-z0-9-]+)\]", carried_out(folder, script).stderr)


def carried_out(folder, script):
    command = folder / "engine"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m engine "$@"\n')
    command.chmod(0o755)
    env = {**ENVIRON, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, text=True, capture_output=True, timeout=60)
    assert "Traceback" not in done.stderr
    return done


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


@pytest.mark.parametrize("said", RUNS, ids=lambda said: f"{said.chapter}-{said.code}")
def test_wrong_and_right_examples_of_runs(folder, said, capfd):
    """The wrong one comes to its code and, where it has tests, as they expect; the right one does not."""
    assert said.wrong
    assert said.right
    if said.code in SITUATIONS and said.wrong.startswith(("$ ", ">>> ")):
        assert said.right.startswith(said.wrong[:2])
        return
    for example, is_wrong in ((said.wrong, True), (said.right, False)):
        here = Path(shutil.copytree(folder, folder.with_name(f"{folder.name}-{is_wrong}")))
        if example.startswith("$ "):
            found, differences = words_of(here, example[2:]), []
        else:
            found, differences = outcome(here, example, {**ENVIRON, **ACCOUNTS})
        assert (said.code in found) == is_wrong, found
        assert bool(differences) == (is_wrong and said.code == "test-failed"), differences


def words_of(folder, script):
    """The words of what a command says to people."""
    return set(re.findall(r"[a-z0-9-]+", carried_out(folder, script).stderr))


def test_what_is_only_told_has_a_code_and_the_rest_is_carried_out():
    assert {one.code for one in RUNS} >= SITUATIONS
    told = [one for one in RUNS if one.code in SITUATIONS and one.wrong.startswith(("$ ", ">>> "))]
    assert len(told) < len(RUNS) / 4


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
    from tests.diagnostics.test_wrong import cases

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
