"""A source's key is a column that it has, as far as that can be known."""

import pytest

from engine.config.load import parse
from engine.config.pipeline import SourceSpec
from engine.registry import Registry
from engine.runners.findings import all_findings
from engine.runtime.keys import key_problems


def spec(key):
    return SourceSpec("people", "file", {}, key)


def test_a_column_is_a_key():
    assert key_problems(spec("id"), [("id", "email"), None]) == []
    assert key_problems(spec(None), [("id",)]) == []
    assert key_problems(spec("id"), [None]) == []


def test_what_is_no_column_is_told_with_the_nearest_one():
    (problem,) = key_problems(spec("idd"), [("id", "email")])
    assert (problem.code, problem.path, problem.hint) == (
        "unknown-column",
        ("sources", "people", "key"),
        'did you mean "id"?',
    )
    assert "idd" in problem.message


@pytest.mark.parametrize(("header", "reason"), [("id,id", "more than one column"), ("id,", "has no name")])
def test_a_header_that_a_run_refuses_is_found_beforehand(tmp_path, header, reason):
    (tmp_path / "people.csv").write_text(f"{header}\n1,2\n", "utf-8")
    text = (
        "version: 1\nname: demo\nsources: {people: {type: file, path: people.csv}}\nsinks: {out: {type: stdout}}\n"
        "mappings: {all: {from: people, to: out, fields: {a: 1}}}\n"
    )
    loaded = parse(text, "demo.yaml", Registry.builtin(), environ={}, path=tmp_path / "demo.yaml")
    (finding,) = all_findings(loaded, Registry.builtin())
    assert (finding.code, finding.line) == ("bad-setting", 3)
    assert reason in finding.message
