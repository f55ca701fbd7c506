"""Every fault of the list has a measure and tests that exist; each measure holds in its short form."""

import ast
from pathlib import Path

import pytest

from tests.reliability.__main__ import BEGIN, END, line, table, written
from tests.reliability.matrix import MATRIX, MEASURES
from tests.reliability.row import Row, Size

ROOT = Path(__file__).parent.parent.parent
MEASURED_ELSEWHERE = {"F20"}  # by tests of a server that cuts: what the engine sends is not at stake


def names_in(path):
    return {node.name for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)}


def test_the_list_is_whole():
    assert [fault.number for fault in MATRIX] == [f"F{n}" for n in range(1, 28)]
    for fault in MATRIX:
        assert fault.tests and fault.promise
        assert fault.measures or fault.number in MEASURED_ELSEWHERE


@pytest.mark.parametrize("node", sorted({node for fault in MATRIX for node in fault.tests}))
def test_the_tests_that_are_named_exist(node):
    file, _, name = node.partition("::")
    path = ROOT / file
    assert path.is_file()
    assert not name or name in names_in(path)


@pytest.mark.crash
@pytest.mark.parametrize("measure", MEASURES, ids=lambda one: f"{one.__module__.rpartition('.')[2]}-{one.__name__}")
def test_measured(measure, tmp_path):
    rows = list(measure(tmp_path / "work", Size()))
    if not rows:
        pytest.skip("this machine does not let us")
    assert {row.number for row in rows} <= set(MEASURES[measure])
    for row in rows:
        assert not row.breaches, f"{row.fault}: {row}"


def test_a_breach_shows():
    good = Row("F1", "kill -9", trials=3, allowed=5)
    bad = [Row("F1", "never tried"), Row("F1", "x", trials=1, lost=1), Row("F1", "x", trials=1, unexcused=1)]
    assert not good.breaches and all(row.breaches for row in bad)
    good.check(False, "the path was not named")
    assert good.breaches == 1 and "**1 wrong.**" in line(good)


def test_the_page_keeps_what_people_wrote(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    rows = [Row("F2", "two", trials=1), Row("F1", "one", trials=2000)]
    for _ in range(2):
        written(page, table(rows, Size(), "make reliability"))
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}") and text.endswith(f"{END}\nafter\n") and "old" not in text
    assert text.index("| F1 | one | 2,000 |") < text.index("| F2 | two | 1 |")
