"""Rows that are cut by `split` are those that csv would have read, whatever stands around them."""

from __future__ import annotations

import csv
import io
from random import Random

import pytest

from engine.sources.blocks import Spots
from tests.sources.helpers import bad, records, source

CELLS = ["", "a", "ä b", " x ", '"q"', '"a,b"', '"a\nb"', '"say ""hi"""', '"\n1,2,3\n"', "7", '""', '"x\n"']


def written(seed: int) -> str:
    """300 rows of three cells, a few of them quoted, some over several lines that look like rows."""
    chance = Random(seed)
    plain = [cell for cell in CELLS if '"' not in cell]
    share = chance.choice((0.0, 0.02, 0.2, 1.0))
    rows = [[chance.choice(CELLS if chance.random() < share else plain) for _ in range(3)] for _ in range(300)]
    return "a,b,c\n" + "".join(",".join(row) + "\n" for row in rows)


@pytest.mark.parametrize("seed", range(20))
def test_the_same_cells_as_csv(tmp_path, seed):
    text = written(seed)
    found = source(tmp_path, text.encode())
    assert records(found) == list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]
    assert bad(found) == []


@pytest.mark.parametrize(
    ("row", "code"),
    [('1,"x"y,3', "quoting"), ("1,2", "cells"), ("1,2,3,4", "cells"), ('1,"2,3', "quoting"), ("1,\0,3", "nul")],
)
def test_a_bad_row_among_plain_ones(tmp_path, row, code):
    text = "a,b,c\n" + "1,2,3\n" * 50 + row + "\n" + "4,5,6\n" * 3
    found = source(tmp_path, text.encode())
    assert [code for code, _, _ in bad(found)] == [code]
    assert len(records(found)) == 53


def test_a_quote_within_an_unquoted_cell_is_a_character(tmp_path):
    found = source(tmp_path, ("a,b,c\n" + "1,2,3\n" * 50 + '1,5" x 7",3\n').encode())
    assert records(found)[-1] == ["1", '5" x 7"', "3"]


def test_a_cell_left_open_in_a_line_with_pairs_of_quotes(tmp_path):
    """It ends where its quote is closed, which is not in the next line with quotes alone."""
    plain = "1,2,3\n" * 20
    text = "a,b,c\n" + plain + 'x"y,"z\n' + plain + 'w",v"u\n' + plain
    found = source(tmp_path, text.encode())
    assert records(found) == list(csv.reader(io.StringIO(text, newline=""), strict=True))[1:]
    assert bad(found) == []


@pytest.mark.parametrize("block", [b"", b"\n", b"a", b"a\nbc\n", b"a\nbc", b"\n\nx\n\n", b"abc\n" * 300])
def test_a_row_is_where_it_is_however_often_one_asks(block):
    lines = block.splitlines(keepends=True)
    expected = [(7 + at, 100 + sum(map(len, lines[:at]))) for at in range(len(lines) + 1)]
    patient = Spots(block, b"\n", 7, 100)
    for at in [*range(len(lines)), *range(len(lines))]:
        assert patient(at) == Spots(block, b"\n", 7, 100)(at) == expected[at]
    if lines:
        assert Spots(block, b"\n", 7, 100)(len(lines))[1] == 100 + len(block)
