"""The table of mistakes on the page of comparison is what the tools do now: ours always, the peers' where installed."""

import re
from pathlib import Path

import pytest

from benchmarks.mistakes.kinds import KINDS, PROJECTS, Mistake
from benchmarks.mistakes.measure import judged, outcomes
from benchmarks.mistakes.table import BEGIN, _cell, written
from benchmarks.mistakes.tools import Said, tools, without_frames

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "comparison.md").read_text("utf-8")


def column(tool):
    """What the page says of a tool: mistake → cell."""
    table = PAGE.partition(BEGIN)[2].partition("| **found")[0]
    head, _, *rows = [re.split(r" *\| *", line.strip("| ")) for line in table.split("\n") if line.startswith("|")]
    at = head.index(tool.name)
    return {row[0]: row[at] for row in rows}


@pytest.mark.parametrize("tool", tools(), ids=lambda tool: tool.name)
def test_the_page_says_what_the_tool_does(tool):
    if not tool.installed:
        pytest.skip("make bench-setup installs it")
    found = list(outcomes(tool))
    assert {KINDS[one.kind]: _cell(one.kind, one) for one in found} == column(tool)


def test_nothing_is_passed_over_here():
    ours = column(tools()[0])
    assert len(ours) == len(KINDS) >= 9
    assert all(cell.startswith("found: file, line, column") for name, cell in ours.items() if "at once" not in name)
    assert next(cell for name, cell in ours.items() if "at once" in name) == "names 5 of 5"


@pytest.mark.parametrize("tool", tools(), ids=lambda tool: tool.name)
def test_every_mistake_can_be_made_in_the_project(tool):
    folder = PROJECTS / tool.name.lower().partition(" ")[0]
    for kind, mistake in tool.mistakes.items():
        text = (folder / mistake.file).read_text("utf-8")
        assert (mistake.applied(text) != text) == (not mistake.unset), kind
        assert mistake.lines(text)
    assert tool.mistakes.keys() == KINDS.keys()


def test_only_a_right_place_counts():
    text, mistake = "a: 1\nb: 2\nc: 3\n", Mistake("x.yml", (("c: 3", "d: 3"),), ("d",), "c")

    def says(words):
        return judged("key", mistake, Said("check", 1, True, words), text)

    assert mistake.lines(text) == {2, 3}
    right = says('x.yml:3:1: no "d"; did you mean "c"?')
    assert (right.file, right.line, right.column, right.named, right.mend) == (True, True, True, 1, True)
    wrong = says("x.yml:1:1: something about dc")
    assert (wrong.file, wrong.line, wrong.column, wrong.named, wrong.mend) == (True, False, False, 0, False)
    assert says('in "x.yml", line 3').line
    assert not says(without_frames('  File "/opt/tool/x.py", line 3, in read')).line


def test_the_page_keeps_its_words_around_the_table():
    page = f"before\n{BEGIN}\nold\n<!-- end of what is made -->\nafter\n"
    assert written(page, "new") == f"before\n{BEGIN}\n\nnew\n\n<!-- end of what is made -->\nafter\n"
    with pytest.raises(SystemExit):
        written("no marks", "new")
