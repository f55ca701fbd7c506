"""Every case of `wrong.txt`: all findings, each at its line, column and length, with its hint."""

import re
from pathlib import Path

import pytest

from tests.config.demo import read

EXPECTED = re.compile(r"--- (\S+) (\d+):(\d+) (\d+) (.+)")


def cases():
    text = (Path(__file__).parent / "wrong.txt").read_text("utf-8")
    for part in text.split("\n=== ")[1:]:
        name, _, body = part.partition("\n")
        lines = body.split("\n")
        content = [line for line in lines if not line.startswith("--- ")]
        expected = [EXPECTED.fullmatch(line).groups() for line in lines if line.startswith("--- ")]
        yield pytest.param("\n".join(content).rstrip("\n"), expected, id=name)


@pytest.mark.parametrize(("text", "expected"), list(cases()))
def test_a_wrong_file_is_explained(text, expected):
    loaded = read(text)
    found = [(f.code, f.line, f.column, f.length) for f in loaded.findings]
    assert found == [(code, int(line), int(column), int(length)) for code, line, column, length, _ in expected], [
        finding.render() for finding in loaded.findings
    ]
    for finding, (*_, hint) in zip(loaded.findings, expected, strict=True):
        assert hint == "-" or hint in finding.hint
    assert (loaded.pipeline is None) == any(finding.is_error for finding in loaded.findings)


def test_the_corpus_is_not_small():
    assert len(list(cases())) >= 120
