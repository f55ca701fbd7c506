"""Dialects of CSV: delimiters of any length, quoting, what is skipped, and types of columns."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidPipeline
from engine.sources.blocks import CHUNK
from engine.sources.delimited import Layout, Table
from tests.sources.helpers import bad, batches, check_cover, records, rows_with_places, source


@pytest.mark.parametrize("delimiter", ["||", ";;", "<->", "\t\t", " | "])
@pytest.mark.parametrize("comment", [None, "#"])
def test_a_delimiter_of_several_characters(tmp_path, delimiter, comment):
    d = delimiter
    text = f'a{d}b\n1{d}x\n"2{d}3"{d}"y\n{d}"\n#4{d}""\n5\n6{d}7\n'
    read = source(tmp_path, text.encode(), delimiter=d, comment=comment)
    found = [row for row in records(read) if row[0] != "#4"]
    assert found == [["1", "x"], [f"2{d}3", f"y\n{d}"], ["6", "7"]]
    check_cover(read, text.encode(), len(f"a{d}b\n"))
    [(code, line, offset)] = bad(read)
    assert (code, line, text.encode()[offset:][:1]) == ("cells", 6, b"5")
    [raw] = [m.raw for rows in batches(read) for m in rows.malformed]
    assert raw.strip() == "5"


def test_what_stands_for_a_long_delimiter_costs_only_its_own_row(tmp_path):
    read = source(tmp_path, "a||b\n1||\ufdd0\n2||x\n".encode(), delimiter="||")
    assert records(read) == [["2", "x"]]
    assert bad(read) == [("encoding", 2, 5)]
    assert records(source(tmp_path, "a,b\n1,\ufdd0\n".encode())) == [["1", "\ufdd0"]]


cells = st.text(st.sampled_from('ab|"\n\\ ;'), max_size=6)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.tuples(cells, cells), max_size=30), size=st.sampled_from([7, 64, CHUNK]))
def test_long_delimiters_read_what_csv_reads_with_short_ones(rows, size):
    out = io.StringIO()
    csv.writer(out, delimiter=",", lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([("x", "y"), *rows])
    data = out.getvalue().replace('","', '"||"').encode()
    expected = [list(row) for row in rows]
    if any('","' in cell or "," in cell for row in rows for cell in row):
        return
    stream = io.BytesIO(data)
    table = Table(lambda n: stream.read(min(n, size)), "a", "utf-8", 1 << 20, Layout(delimiter="||"), ",")
    assert [record for batch in table.batches(None) for record in batch.records] == expected


def test_escapes_without_doubled_quotes(tmp_path):
    text = b'a,b\n"x\\"y",1\n"x""y",2\n'
    read = source(tmp_path, text, escape="\\", double_quote=False)
    assert records(read) == [['x"y', "1"]]
    [malformed] = [m for rows in batches(read) for m in rows.malformed]
    assert malformed.code == "quoting"
    assert malformed.reason.endswith("a quote inside a cell stands behind \\")
    assert records(source(tmp_path, text, escape="\\")) == [['x"y', "1"], ['x"y', "2"]]


def test_trim_takes_white_space_off_cells_and_names(tmp_path):
    text = b' a , b\n 1 , "x, y "\n\t , 2 \n'
    assert records(source(tmp_path, text, trim=True, null_values=[""])) == [["1", "x, y"], [None, "2"]]
    read = source(tmp_path, text, trim=True)
    assert read.columns("a.csv") == ("a", "b")
    plain = source(tmp_path, b"a,b\n 1 ,2\n")
    assert records(plain) == [[" 1 ", "2"]]


def test_lines_after_the_header_are_skipped(tmp_path):
    text = b"export of today\na,b\n---,---\n1,2\n"
    read = source(tmp_path, text, skip_rows=1, skip_rows_after_header=1)
    assert rows_with_places(read) == [(["1", "2"], 4, text.index(b"1,2"))]
    read = source(tmp_path, b"x\ny\n1,2\n", header=["a", "b"], skip_rows=1, skip_rows_after_header=1)
    assert records(read) == [["1", "2"]]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n \n"])
@pytest.mark.parametrize("rows", [0, 1, 2, 40_000])
def test_a_footer_is_no_row(tmp_path, end, rows):
    body = b"a,b\n" + b"".join(b"%d,v\n" % n for n in range(rows))
    data = body + b"TOTAL,%d,,\n# end" % rows + end
    read = source(tmp_path, data, skip_footer=2)
    assert records(read) == [[str(n), "v"] for n in range(rows)]
    assert bad(read) == []
    check_cover(read, body, 4)
    if rows:
        start = batches(read)[0].end
        assert records(read, start) == [[str(n), "v"] for n in range(start.row, rows)]


def test_a_file_that_is_all_footer_has_no_rows(tmp_path):
    assert records(source(tmp_path, b"x\ny", skip_footer=9)) == []


def test_a_footer_needs_narrow_line_ends(tmp_path):
    with pytest.raises(InvalidPipeline, match="utf-16"):
        records(source(tmp_path, "a,b\n1,2\n".encode("utf-16"), skip_footer=1))


# --- types ----------------------------------------------------------------------------------------------------

TYPED = {
    "n": "integer",
    "x": "number",
    "vip": {"type": "boolean", "true_values": ["Y"], "false_values": ["N"]},
    "on": "boolean",
    "day": {"type": "datetime", "format": "%d.%m.%Y"},
    "at": "datetime",
    "id": "text",
}
HEADER = b"n,x,vip,on,day,at,id,free\n"


def test_columns_have_types(tmp_path):
    rows = (
        b"007,1.10,Y,Yes,31.12.2024,2024-01-01T10:00:00+02:00,007,1e5\n"
        b"-12345678901234567890123,12345678901234567890123,N,0,01.02.2003,2024-01-01,None,True\n"
    )
    assert records(source(tmp_path, HEADER + rows, columns=TYPED)) == [
        [7, 1.1, True, True, "2024-12-31T00:00:00", "2024-01-01T10:00:00+02:00", "007", "1e5"],
        [
            -12345678901234567890123, 12345678901234567890123, False, False, "2003-02-01T00:00:00",
            "2024-01-01T00:00:00", "None", "True",
        ],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("n", ["", " 1", "1.0", "1_000", "0x10", "1e3", "٣", "9" * 5000, "--1", "nan"]),
        ("x", ["", "1,5", "nan", "inf", "1e999", ".5", "5.", "1 ", "0x1", "٣"]),
        ("vip", ["y", "true", "1", ""]),
        ("on", ["2", "", "wahr"]),
        ("day", ["2024-12-31", "31.02.2024", "", "31.12.2024 "]),
        ("at", ["yesterday", "", "31.12.2024"]),
    ],
)
def test_a_cell_of_another_type_makes_its_row_malformed(tmp_path, column, cells):
    text = f"{column},b\n" + "".join(f'"{cell}","z\n"\n' for cell in cells)
    read = source(tmp_path, text.encode(), columns={column: TYPED[column]})
    found = [m for rows in batches(read) for m in rows.malformed]
    assert records(read) == []
    assert [m.code for m in found] == ["column-type"] * len(cells)
    for malformed, cell in zip(found, cells, strict=True):
        assert f"column {column!r}: {cell[:100]!r} is not " in malformed.reason
        assert malformed.raw == f'"{cell}","z\n"'[:4096]


def test_null_stays_null_and_other_rows_go_on(tmp_path):
    read = source(tmp_path, b"a,n\nx,1\ny,\nz,q\nw,4\n", columns={"n": "integer"}, null_values=[""])
    assert records(read) == [["x", 1], ["y", None], ["w", 4]]
    assert bad(read) == [("column-type", 4, 11)]


def test_a_type_for_a_column_that_is_not_there(tmp_path):
    with pytest.raises(InvalidPipeline, match=r"columns: a\.csv has no column 'c'; it has a, b"):
        records(source(tmp_path, b"a,b\n", columns={"c": "integer"}))
    with pytest.raises(InvalidPipeline, match="columns: it is for csv and tsv"):
        records(source(tmp_path, b"{}", "a.jsonl", columns={"c": "integer"}))
