"""How findings are shown: carets under what they mean, nothing that could fool a terminal."""

import pytest

from engine.config.messages import Finding, Place, did_you_mean, nearest, printable
from tests.config.demo import read


def shown(source, column, length=1, **more):
    return Finding("x", "wrong", "a.yaml", 3, column, length, source=source, **more).render().split("\n")


def test_the_headline():
    finding = Finding(
        "unknown-field",
        'crm.update_user has no field "emial"',
        "pipelines/shop.yaml",
        14,
        9,
        5,
        'did you mean "email"?',
    )
    assert finding.render() == (
        'pipelines/shop.yaml:14:9: error[unknown-field]: crm.update_user has no field "emial"; did you mean "email"?'
    )
    assert Finding("no-file", "the file does not exist", "x.yaml", severity="warning").render() == (
        "x.yaml: warning[no-file]: the file does not exist"
    )


def test_the_line_and_the_caret():
    assert shown("  emial: x", 3, 5)[1:] == ["    3 |   emial: x", "      |   ^^^^^"]


def test_tabs_and_wide_characters():
    assert shown("\tkey: x", 2, 3)[1:] == ["    3 |     key: x", "      |     ^^^"]
    assert shown("名前: x", 5, 1)[2] == "      | " + " " * 6 + "^"
    assert shown("名前: x", 1, 2)[2] == "      | ^^^^"
    assert shown("e\u0301a: x", 3, 1)[2] == "      |  ^"


def test_the_caret_stays_within_the_line():
    assert shown("abc", 4, 10)[2] == "      |    ^"
    long = shown("x" * 5000, 4000, 3)
    assert len(long[1]) < 200
    assert long[1].index("x") + long[2].count(" ") >= len(long[2]) - 3


def test_control_characters_are_escaped():
    evil = "\x1b[31m\x00\x07\u202e\u2028\x9b"
    finding = Finding("x", evil, evil, 1, 1, 1, evil, related=Place(1, 1, evil), source=evil)
    assert not set(finding.render()) & (set(evil) - set("[31m"))
    assert printable("a\nb") == "a\\x0ab"


def test_json():
    finding = Finding("x", "wrong", "a.yaml", 3, 2, 1, "mend it", "warning", Place(1, 2, "first here"), "src")
    assert finding.to_json() == {
        "code": "x",
        "severity": "warning",
        "message": "wrong",
        "hint": "mend it",
        "file": "a.yaml",
        "line": 3,
        "column": 2,
        "length": 1,
        "related": {"line": 1, "column": 2, "note": "first here"},
    }


@pytest.mark.parametrize(
    ("word", "known", "answer"),
    [
        ("emial", ["email", "userId"], "email"),
        ("userID", ["email", "userId"], "userId"),
        ("user_id", ["email", "userId"], "userId"),
        ("zzz", ["email"], ""),
        ("", ["email"], ""),
        (7, ["email"], ""),
        ("x" * 100_000, ["email"], ""),
    ],
)
def test_the_nearest_name(word, known, answer):
    assert nearest(word, known) == answer


def test_hints_of_names():
    assert did_you_mean("emial", ["email"]) == 'did you mean "email"?'
    assert did_you_mean("q", ["a", "b"]) == "known: a, b"
    assert did_you_mean("q", []) == ""
    assert did_you_mean("?", [f"name{i}" for i in range(20)]).endswith(" …")


def test_findings_come_in_the_order_of_the_file():
    findings = read("zzz: 1\nname: a b\nyyy: 2\n").findings
    assert [finding.line for finding in findings] == sorted(finding.line for finding in findings)
    assert len(findings) == 3


def test_names_in_findings_are_safe_to_print():
    loaded = read('vars: {"a\\e[31m\\u202e": 1}\n"\\e]0;x\\a": 2\n')
    text = "".join(finding.render() for finding in loaded.findings)
    assert loaded.findings
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_a_login_in_an_address_is_not_shown():
    text = """version: 1
name: shop
sources: {people: {type: file, path: "https://ada:opensesame@example.org/x.csv", kye: id}}
sinks: {out: {type: stdout}}
mappings: {all: {from: people, to: out, fields: {a: 1}}}
"""
    (finding,) = read(text).findings
    assert finding.code == "unknown-key" and "opensesame" not in finding.render() and "ada" not in finding.render()
    assert finding.source[finding.column - 1 :].startswith("kye")
