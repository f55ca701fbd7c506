"""JSON Lines: what is taken, what is refused, and that nothing changes on the way."""

from __future__ import annotations

import pytest

from tests.sources.helpers import bad, batches, check_cover, records, rows_with_places, source

TAKEN = {
    "object": (b'{"a":1}', {"a": 1}),
    "spaces around": (b' \t{"a" : 1} \r', {"a": 1}),
    "integer of 40 digits": (b'{"a":' + b"1234567890" * 4 + b"}", {"a": int("1234567890" * 4)}),
    "negative integer beyond 64 bits": (b'{"a":-98765432109876543210}', {"a": -98765432109876543210}),
    "texts that look like numbers": (b'{"a":"1e5","b":"00123"}', {"a": "1e5", "b": "00123"}),
    "float": (b'{"a":0.1,"b":1e5,"c":-0.0}', {"a": 0.1, "b": 1e5, "c": -0.0}),
    "escapes": (b'{"a":"\\u00e9\\n\\ud83d\\ude00\\u2028"}', {"a": "é\n😀\u2028"}),
    "utf-8": ('{"é":"😀"}'.encode(), {"é": "😀"}),
    "nested": (b'{"a":[{"b":[]},null,true]}', {"a": [{"b": []}, None, True]}),
    "nested 200 deep": (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", None),
    "empty": (b"{}", {}),
}
REFUSED = {
    "list": (b"[1]", "not-an-object"),
    "text": (b'"x"', "not-an-object"),
    "number": (b"1", "not-an-object"),
    "null": (b"null", "not-an-object"),
    "NaN": (b'{"a":NaN}', "json"),
    "Infinity": (b'{"a":-Infinity}', "json"),
    "float beyond range": (b'{"a":1e999}', "json"),
    "integer of 5000 digits": (b'{"a":' + b"1" * 5000 + b"}", "json"),
    "cut off": (b'{"a":1', "json"),
    "two objects": (b'{"a":1}{"b":2}', "json"),
    "single quotes": (b"{'a':1}", "json"),
    "trailing comma": (b'{"a":1,}', "json"),
    "leading zero": (b'{"a":01}', "json"),
    "comment": (b'{"a":1} // x', "json"),
    "lone surrogate": (b'{"a":"\\ud800"}', "json"),
    "control character in a text": (b'{"a":"\x01"}', "json"),
    "NUL": (b'{"a":1}\0', "json"),
    "bad utf-8": (b'{"a":"\xff"}', "encoding"),
    "bad utf-8 in a key": (b'{"\xff":1}', "encoding"),
    "byte-order mark in the middle": (b'\xef\xbb\xbf{"a":1}', "json"),
    "too deep": (b'{"a":' * 100_000, "json"),
    "too long": (b'{"a":"' + b"x" * 1_000_000 + b'"}', "line-too-long"),
    "rubbish": (b"\x80\x81", "json"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_taken(tmp_path, name):
    line, expected = TAKEN[name]
    [record] = records(source(tmp_path, line + b"\n", "a.jsonl"))
    if expected is not None:
        assert record == expected
        assert [type(value) for value in record.values()] == [type(value) for value in expected.values()]


@pytest.mark.parametrize("name", REFUSED)
def test_one_bad_line_costs_that_line_alone(tmp_path, name):
    line, code = REFUSED[name]
    lines = [b'{"n":%d}' % n for n in range(1000)]
    data = b"\n".join([*lines[:500], line, *lines[500:]]) + b"\n"
    read = source(tmp_path, data, "a.jsonl", max_line=900_000)
    assert [record["n"] for record in records(read)] == list(range(1000))
    assert bad(read) == [(code, 501, sum(len(line) + 1 for line in lines[:500]))]
    check_cover(read, data, 0)


def test_a_list_points_to_the_format_for_arrays(tmp_path):
    [rows] = batches(source(tmp_path, b'[{"a":1}]\n', "a.jsonl"))
    assert "format: json" in rows.malformed[0].reason
    assert rows.malformed[0].raw == '[{"a":1}]\n'


def test_blank_lines_and_mark_are_no_rows_but_count(tmp_path):
    read = source(tmp_path, b'\xef\xbb\xbf\n{"a":1}\n\n \r\n{"a":2}', "a.jsonl")
    assert rows_with_places(read) == [({"a": 1}, 2, 4), ({"a": 2}, 5, 16)]
    assert read.columns("a.jsonl") is None
    assert {rows.columns for rows in batches(read)} == {None}


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "cp1252"])
def test_other_encodings(tmp_path, encoding):
    mark = "" if encoding == "cp1252" else "\ufeff"
    text = mark + '{"a":"é"}\n\n{"a":"x"}\nrubbish\n'
    declared = {"encoding": encoding} if not mark else {}
    read = source(tmp_path, text.encode(encoding), "a.ndjson", **declared)
    width = len("x".encode(encoding))
    first = len(mark) * width
    expected = [({"a": "é"}, 1, first), ({"a": "x"}, 3, first + 11 * width), ("json", 4, first + 21 * width)]
    assert rows_with_places(read) == expected
