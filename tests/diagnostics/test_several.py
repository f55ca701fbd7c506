"""Files with several mistakes: all are found in one pass, each at its place, and nothing that only follows from them."""

import re
from pathlib import Path

import pytest
import yaml

from engine.config.load import load, parse
from engine.registry import Registry
from engine.runners.findings import all_findings
from tests.test_docs import PAGES, blocks

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
EXPECTED = re.compile(r"--- (\S+) (\d+):(\d+) (\d+) (.+)")
SKELETON = {
    "version": "version: 1",
    "name": "name: demo",
    "sources": "sources: {people: {type: file, path: people.csv, key: id}}",
    "sinks": 'sinks: {crm: {type: iterable, api_key: "${KEY}"}, out: {type: stdout}}',
    "mappings": 'mappings: {all: {from: people, to: out, fields: "{{ record }}"}}',
}
ENVIRON = {"KEY": "0123456789abcdef", "WORD": "word"}


def cases():
    for part in (HERE / "several.txt").read_text("utf-8").split("\n=== ")[1:]:
        name, _, body = part.partition("\n")
        lines = body.split("\n")
        content = "\n".join(line for line in lines if not line.startswith("--- ")).rstrip("\n")
        expected = [EXPECTED.fullmatch(line).groups() for line in lines if line.startswith("--- ")]
        yield pytest.param(content, expected, id=name)


def found(text, folder):
    """All findings about a text that was made whole; `people.csv` is there."""
    (folder / "people.csv").write_text("id,email,name,age,country\n7,ada@shop.test,Ada,36,FR\n")
    missing = [line for word, line in SKELETON.items() if not re.search(rf"(?m)^{word}:", text)]
    text = "\n".join([text, *missing, ""])
    registry = Registry.builtin()
    loaded = parse(text, "demo.yaml", registry, environ=ENVIRON, path=folder / "demo.yaml")
    return all_findings(loaded, registry)


@pytest.mark.parametrize(("text", "expected"), list(cases()))
def test_all_mistakes_are_found_at_once(text, expected, tmp_path):
    findings = found(text, tmp_path)
    places = [(f.code, f.line, f.column, f.length) for f in findings]
    assert places == [(code, int(line), int(column), int(length)) for code, line, column, length, _ in expected], [
        finding.render() for finding in findings
    ]
    for finding, (*_, hint) in zip(findings, expected, strict=True):
        assert finding.hint == "" if hint == "-" else hint in finding.hint


def test_there_are_enough_of_them():
    from tests.diagnostics.test_wrong import cases as single

    several = [case.values[1] for case in cases()]
    assert sum(len(expected) > 1 for expected in several) >= 15
    assert sum(map(len, several)) >= 100
    assert len(several) + len(list(single())) >= 120


# --- and no false alarm ---------------------------------------------------------------------------------------------

PIPELINES = sorted(
    path
    for place in (
        "pipelines",
        "engine/template",
        "benchmarks",
    )  # examples/acme: where it is installed, by its own test
    for path in (ROOT / place).rglob("*.y*ml")
    if ".engine" not in path.parts and "sinks:" in path.read_text("utf-8")
)


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_false_alarm_on_an_example_of_the_repository(path):
    registry = Registry.installed()
    loaded = load(path, registry, environ={}, sandbox=True, sending=False)
    found = [f for f in all_findings(loaded, registry) if f.is_error and f.code != "unset-variable"]
    assert [finding.render() for finding in found] == []


def test_there_are_examples_to_be_alarmed_by():
    assert len(PIPELINES) >= 15
    shown = [text for page in PAGES for _, language, words, text in blocks(page) if language == "yaml"]
    assert len(shown) >= 10  # test_docs has each of them checked clean
    assert all(yaml.safe_load(text) for text in shown)
