"""The CSV corpus: what real exports hold, and what becomes of it."""

from __future__ import annotations

import pytest

from engine.errors import InvalidPipeline
from tests.sources.helpers import bad, batches, check_cover, records, rows_with_places, source

CORPUS = {
    "plain": (b"a,b\n1,2\n3,4\n", [["1", "2"], ["3", "4"]]),
    "no final line end": (b"a,b\n1,2", [["1", "2"]]),
    "crlf": (b"a,b\r\n1,2\r\n3,4\r\n", [["1", "2"], ["3", "4"]]),
    "cr only": (b"a,b\r1,2\r3,4\r", [["1", "2"], ["3", "4"]]),
    "cr only, quoted header": (b'"a","b"\r"1","2"\r', [["1", "2"]]),
    "quoted line feed": (b'a,b\n1,"x\ny"\n3,4\n', [["1", "x\ny"], ["3", "4"]]),
    "quoted crlf is kept": (b'a,b\r\n1,"x\r\ny"\r\n', [["1", "x\r\ny"]]),
    "quoted carriage return": (b'a,b\n1,"x\ry"\n', [["1", "x\ry"]]),
    "quoted blank lines": (b'a,b\n1,"\n\n\n"\n', [["1", "\n\n\n"]]),
    "header with a line feed": (b'a,"b\nc"\n1,2\n', [["1", "2"]]),
    "doubled quotes": (b'a,b\n1,"x ""y"" z"\n', [["1", 'x "y" z']]),
    "quote inside a bare cell": (b'a,b\n1,5" pipe\n', [["1", '5" pipe']]),
    "empty cells": (b'a,b\n,\n"",""\n', [["", ""], ["", ""]]),
    "spaces are kept": (b"a,b\n ' , ok \n", [[" ' ", " ok "]]),
    "blank lines": (b"a,b\n\n1,2\n\r\n\n3,4\n\n\n", [["1", "2"], ["3", "4"]]),
    "blank lines before the header": (b"\n\na,b\n1,2\n", [["1", "2"]]),
    "other line separators are text": ("a,b\n1,x\u2028y\x0b\x0c\x85z\n".encode(), [["1", "x\u2028y\x0b\x0c\x85z"]]),
    "everything stays text": (b"a,b\n00123,1e5\nNone,True\n", [["00123", "1e5"], ["None", "True"]]),
    "utf-8 mark": (b"\xef\xbb\xbfa,b\n1,\xc3\xa9\n", [["1", "é"]]),
    "utf-16 le": ("\ufeffa,b\n1,\u010a\u0a0d\n".encode("utf-16-le"), [["1", "\u010a\u0a0d"]]),
    "utf-16 be": ("\ufeffa,b\n1,\u0a00\u000b\n".encode("utf-16-be"), [["1", "\u0a00\u000b"]]),
    "utf-16, quoted": ('\ufeffa,b\n1,"x\n\u0a0a\u0d0a"\n'.encode("utf-16-le"), [["1", "x\n\u0a0a\u0d0a"]]),
    "utf-32": ("\ufeffa,b\n1,é\n".encode("utf-32-le"), [["1", "é"]]),
    "excel's separator line": (b"sep=;\r\na;b\r\n1,5;2\r\n", [["1,5", "2"]]),
    "header alone": (b"a,b\n", []),
    "empty": (b"", []),
    "line ends alone": (b"\n\r\n\n", []),
}


@pytest.mark.parametrize("name", CORPUS)
def test_corpus(tmp_path, name):
    data, expected = CORPUS[name]
    read = source(tmp_path, data)
    assert records(read) == expected
    assert bad(read) == []


@pytest.mark.parametrize("name", [name for name, (data, rows) in CORPUS.items() if rows])
def test_corpus_is_covered_byte_by_byte(tmp_path, name):
    data, _ = CORPUS[name]
    read = source(tmp_path, data)
    begin = batches(read)[0].start.offset
    check_cover(read, data, begin)


def test_positions_count_from_the_file_s_first_line(tmp_path):
    read = source(tmp_path, b'\xef\xbb\xbfa,b\n\n1,"x\ny"\n3,4\n')
    assert rows_with_places(read) == [(["1", "x\ny"], 3, 8), (["3", "4"], 5, 16)]
    assert batches(read)[-1].end.line == 6


def test_positions_in_a_block_of_plain_lines_with_blank_ones(tmp_path):
    read = source(tmp_path, b"a,b\n1,2\n\n3,4\n")
    assert rows_with_places(read) == [(["1", "2"], 2, 4), (["3", "4"], 4, 9)]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"1", "cells"),
        (b"1,2,3", "cells"),
        (b'1,"x"y', "quoting"),
        (b"1,\xff", "encoding"),
        (b"1,\0", "nul"),
        (b"1,a\rb", "quoting"),
        (b'1,"never closed', "quoting"),
        (b"1," + b"x" * 300, "line-too-long"),
    ],
)
@pytest.mark.parametrize("place", ["first", "middle", "last", "last, without line end"])
def test_one_bad_line_costs_that_line_alone(tmp_path, line, code, place):
    good = [b"%d,v" % n for n in range(1000)]
    at = {"first": 0, "middle": 500}.get(place, 1000)
    lines = [b"a,b", *good[:at], line, *good[at:]]
    data = b"\n".join(lines) + (b"" if "without" in place else b"\n")
    read = source(tmp_path, data, max_line=200)
    assert [row[0] for row in records(read)] == [str(n) for n in range(1000)]
    assert bad(read) == [(code, at + 2, sum(len(line) + 1 for line in lines[: at + 1]))]
    check_cover(read, data, 4)


def test_a_malformed_row_shows_its_text_and_what_would_do(tmp_path):
    [rows] = batches(source(tmp_path, b'a,b\n1,"x"y\n2,\xff\n3\n'))
    assert [m.raw.strip() for m in rows.malformed] == ['1,"x"y', "2,\ufffd", "3"]
    assert "doubled" in rows.malformed[0].reason
    assert "not utf-8" in rows.malformed[1].reason
    assert rows.malformed[2].reason == "the row has 1 cells, the header 2"


def test_an_unclosed_quote_longer_than_the_cap_costs_one_line(tmp_path):
    lines = [b"a,b", b'1,"open', *(b"%d,v" % n for n in range(5000)), b"x,y"]
    read = source(tmp_path, b"\n".join(lines) + b"\n", max_line=1000)
    assert bad(read) == [("quoting", 2, 4)]
    assert len(records(read)) == 5001


def test_an_unclosed_quote_before_a_giant_line(tmp_path):
    data = b'a,b\n1,"open\n' + b"z" * 5000 + b"\n3,4\n"
    read = source(tmp_path, data, max_line=1000)
    assert bad(read) == [("quoting", 2, 4), ("line-too-long", 3, 12)]
    assert records(read) == [["3", "4"]]
    check_cover(read, data, 4)


def test_a_record_of_several_lines_may_be_as_long_as_the_cap_and_no_longer(tmp_path):
    fits = b'1,"' + b"x\n" * 48 + b'"\n'
    read = source(tmp_path, b"a,b\n" + fits + b"2,y\n", max_line=len(fits) - 1)
    assert [row[0] for row in records(read)] == ["1", "2"]
    read = source(tmp_path, b"a,b\n" + fits + b"2,y\n", max_line=len(fits) - 2)
    assert bad(read)[0] == ("quoting", 2, 4)
    assert records(read) == [["2", "y"]]


def test_a_bad_byte_in_a_record_of_several_lines_costs_the_record(tmp_path):
    read = source(tmp_path, b'a,b\n1,"x\n\xff,y\nz"\n3,4\n')
    assert rows_with_places(read) == [("encoding", 2, 4), (["3", "4"], 5, 16)]


def test_a_cell_of_200_kb(tmp_path):
    read = source(tmp_path, b"a,b\n1," + b"x" * 200_000 + b'\n2,"' + b"y\n" * 100_000 + b'"\n3,4\n')
    assert [len(row[1]) for row in records(read)] == [200_000, 200_000, 1]


@pytest.mark.parametrize(
    ("ragged", "columns", "expected", "codes"),
    [
        ("error", ("a", "b"), [["1", "2"]], ["cells", "cells"]),
        ("pad", ("a", "b"), [["1", None], ["1", "2"]], ["cells"]),
        ("truncate", ("a", "b"), [["1", None], ["1", "2"], ["1", "2"]], []),
        ({"extra": "rest"}, ("a", "b", "rest"), [["1", None, []], ["1", "2", []], ["1", "2", ["3", "4"]]], []),
    ],
)
@pytest.mark.parametrize("quoted", [b"", b'"x\ny","z"\n'])
def test_ragged_rows(tmp_path, ragged, columns, expected, codes, quoted):
    read = source(tmp_path, b"a,b\n1\n1,2\n1,2,3,4\n" + quoted, ragged=ragged)
    also = [["x\ny", "z", []][: len(columns)]] if quoted else []
    assert records(read) == expected + also
    assert [code for code, _, _ in bad(read)] == codes
    assert {rows.columns for rows in batches(read)} == {columns}


def test_null_values_are_null_and_nothing_else_is(tmp_path):
    data = b'a,b\n,NULL\n"NULL",x\n'
    assert records(source(tmp_path, data)) == [["", "NULL"], ["NULL", "x"]]
    assert records(source(tmp_path, data, null_values=["", "NULL"])) == [[None, None], [None, "x"]]


def test_header_given_skipped_lines_and_comments(tmp_path):
    data = b"report of today\n# made by hand\n1,2\n#3,4\n5,6\n"
    read = source(tmp_path, data, header=["a", "b"], skip_rows=1, comment="#")
    assert rows_with_places(read) == [(["1", "2"], 3, 31), (["5", "6"], 5, 40)]
    check_cover(read, data, 16)


def test_a_comment_sign_inside_a_record_is_text(tmp_path):
    read = source(tmp_path, b'a,b\n1,"x\n# y"\n2,#z\n', comment="#")
    assert records(read) == [["1", "x\n# y"], ["2", "#z"]]


def test_columns_without_a_header_are_numbered(tmp_path):
    read = source(tmp_path, b"1,2\n3,4\n", header=False)
    assert read.columns("a.csv") == ("column_1", "column_2")
    assert records(read) == [["1", "2"], ["3", "4"]]


@pytest.mark.parametrize(
    ("data", "settings", "expected"),
    [
        (b"1\t2\n", {"header": ["a", "b"], "format": "tsv"}, [["1", "2"]]),
        (b"1|x\\|y\n", {"header": ["a", "b"], "delimiter": "|", "escape": "\\"}, [["1", "x|y"]]),
        (b"1,x\\\ny\n", {"header": ["a", "b"], "escape": "\\"}, [["1", "x\ny"]]),
        (b"1,'x,y'\n", {"header": ["a", "b"], "quote": "'"}, [["1", "x,y"]]),
        (b'1,"x\n', {"header": ["a", "b"], "quote": None}, [["1", '"x']]),
        (b"1,\xe9\n", {"header": ["a", "b"], "encoding": "cp1252"}, [["1", "é"]]),
        ("1,\u00e9\n".encode("utf-16-le"), {"header": ["a", "b"], "encoding": "utf-16"}, [["1", "é"]]),
        (b"1,\x83\x5c\n", {"header": ["a", "b"], "encoding": "shift_jis"}, [["1", "ソ"]]),
    ],
)
def test_dialects(tmp_path, data, settings, expected):
    assert records(source(tmp_path, data, **settings)) == expected


@pytest.mark.parametrize(
    ("data", "settings", "said"),
    [
        (b"a,b,a\n", {}, "more than one column is called 'a'"),
        (b"a,,b\n", {}, "column 2 has no name"),
        (b"a,b,\n1,2,\n", {}, "does each line end in a delimiter?"),
        (b"a;b\n1;2\n", {}, "did you mean delimiter: ';'?"),
        (b"a\tb\n1\t2\n", {}, "did you mean delimiter: '\\t'?"),
        (b'a,"b"c\n', {}, "the header cannot be read"),
        (b"a,\xe9\n", {}, "not utf-8"),
        (b"a,b\n", {"ragged": {"extra": "b"}}, "choose another name"),
        (b"a,b\n", {"schema": ["a", "c"]}, "no column 'c'; it has a, b"),
        (b"x" * 100 + b"\n", {"max_line": 50}, "the header is longer than max_line"),
        (b'1,"x"y\n', {"header": False}, "name the columns"),
    ],
)
def test_a_header_that_cannot_serve(tmp_path, data, settings, said):
    read = source(tmp_path, data, **settings)
    with pytest.raises(InvalidPipeline) as told:
        read.columns("a.csv")
    assert said in str(told.value)
    assert "a.csv" in str(told.value)


def test_a_single_column_may_hold_semicolons_when_the_delimiter_is_named(tmp_path):
    assert records(source(tmp_path, b"a;b\n1;2\n", delimiter=",")) == [["1;2"]]
    assert records(source(tmp_path, b"a;b\n1;2\n", delimiter=";")) == [["1", "2"]]


def test_batches_are_small_however_long_or_short_the_lines_are(tmp_path):
    lines = [b"a,b"] + [b"1,2"] * 20_000 + [b"1," + b"x" * 20_000] * 300 + [b"3,4"] * 20_000
    sizes = [len(rows) for rows in batches(source(tmp_path, b"\n".join(lines)))]
    assert sum(sizes) == 40_300
    assert max(sizes) <= 400
    assert sum(size < 25 for size in sizes) < len(sizes) / 10


def test_a_mark_within_the_file_stays_and_is_told_of(tmp_path):
    found = source(tmp_path, "\ufeffid,email\n1,a\n2,b\n\ufeffid,email\n3,c\n".encode())
    assert [record[0] for record in records(found)] == ["1", "2", "\ufeffid", "3"]
    (note,) = found.notes
    assert note.code == "mark-inside" and note.text.startswith("a.csv:4:")


def test_a_mark_at_the_beginning_is_none_to_tell_of(tmp_path):
    found = source(tmp_path, "\ufeffid,email\n1,a\n".encode())
    assert [record[0] for record in records(found)] == ["1"] and found.notes == []
