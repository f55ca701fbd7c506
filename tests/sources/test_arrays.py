"""One JSON array: exact in every layout, resumable, and never short without an error."""

from __future__ import annotations

import json
import tempfile
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import EngineError, InvalidPipeline, Refused
from engine.model import Position
from engine.sources.arrays import JsonArray
from tests.sources.helpers import PACK, bad, batches, records, rows_with_places, source
from tests.sources.test_properties import small_blocks

OBJECTS = [{"id": n, "text": 'a},{"b', "list": [{"x": 1}, {"x": [2, "]"]}], "big": 10**40 + n} for n in range(3000)]
LAYOUTS = {
    "compact": {"separators": (",", ":")},
    "spaced": {},
    "pretty": {"indent": 2},
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", PACK)
def test_layouts(tmp_path, layout, kind):
    data = json.dumps(OBJECTS, **LAYOUTS[layout]).encode()
    read = source(tmp_path, PACK[kind](data), "a.json")
    assert read.columns("a.json") is None
    assert records(read) == OBJECTS
    everything = rows_with_places(read)
    for rows in batches(read)[::3]:
        assert rows_with_places(read, rows.end) == everything[rows.end.row :]
        assert rows.end.check == zlib.crc32(data[: rows.end.offset])
        assert read.checksum("a.json", rows.end.offset) == rows.end.check


def test_places_are_those_of_the_elements(tmp_path):
    data = b'\xef\xbb\xbf \n[ {"a": 1},\n\n {"a": "},{"} \n , 7, {"a": NaN}, {}]\n'
    read = source(tmp_path, data, "a.json")
    found = [({"a": 1}, 2), ({"a": "},{"}, 4), ("not-an-object", 5), ("json", 5), ({}, 5)]
    assert [(record, line) for record, line, _ in rows_with_places(read)] == found
    starts = [data.index(text) for text in (b'{"a": 1}', b'{"a": "},', b"7", b'{"a": N', b"{}")]
    assert [offset for _, _, offset in rows_with_places(read)] == starts


@pytest.mark.parametrize("data", [b"[]", b" [ \n ] ", b"", b"  "])
def test_nothing(tmp_path, data):
    assert batches(source(tmp_path, data, "a.json")) == []


def test_one_bad_element_costs_that_element_alone(tmp_path):
    parts = [b'{"n":%d}' % n for n in range(2000)]
    parts[700] = b'{"n":+1}'
    parts[900] = b'{"n":"\xff"}'
    read = source(tmp_path, b"[" + b",".join(parts) + b"]", "a.json")
    assert len(records(read)) == 1998
    assert [code for code, _, _ in bad(read)] == ["json", "encoding"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'[{"a":1},{"a":2}', "not closed"),
        (b'[{"a":1},', "not closed"),
        (b'[{"a":1},{"a"', "not closed"),
        (b'[{"a":1},{"a":"x', "not closed"),
        (b"[", "not closed"),
        (b'[{"a":1},]', "an element is missing"),
        (b'[,{"a":1}]', "an element is missing"),
        (b'[{"a":1},,{"a":1}]', "an element is missing"),
        (b'[{"a":1}] x', "something follows the end"),
        (b'[{"a":1}][{"a":2}]', "something follows the end"),
        (b'[{"a":1}}', "incomplete or damaged"),
        (b'[{"a":"' + b"x" * 5000 + b'"}]', "longer than max_line"),
    ],
)
def test_what_is_cut_short_or_damaged_is_refused(tmp_path, data, said):
    with pytest.raises(Refused, match=said):
        records(source(tmp_path, data, "a.json", max_line=1000))


@pytest.mark.parametrize("data", [b'{"a":1}\n{"a":2}\n', b"a,b\n"])
def test_what_is_no_array_says_so(tmp_path, data):
    with pytest.raises(InvalidPipeline, match="write format: jsonl"):
        records(source(tmp_path, data, "a.json"))


values = st.recursive(
    st.none()
    | st.integers()
    | st.text(st.characters(codec="utf-8"), max_size=5)
    | st.sampled_from(["},{", "]", '"', "\\"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "},{"]), inner, max_size=2),
    max_leaves=6,
)
several = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@several
@given(
    objects=st.lists(
        st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), values, max_size=3), max_size=30
    ),
    layout=st.sampled_from(list(LAYOUTS.values())),
    block=st.sampled_from([5, 40, 4096]),
)
def test_any_objects_arrive_and_resuming_at_any_row_reads_on(objects, layout, block):
    data = json.dumps(objects, ensure_ascii=False, **layout).encode()
    with tempfile.TemporaryDirectory() as folder, small_blocks(block):
        read = source(Path(folder), data, "a.json")
        everything = rows_with_places(read)
        assert [record for record, _, _ in everything] == objects
        for number, (_, line, offset) in enumerate(everything):
            start = Position(number, line, offset, zlib.crc32(data[:offset]))
            assert rows_with_places(read, start) == everything[number:]


@several
@given(
    data=st.lists(
        st.sampled_from([b"[", b"]", b"{", b"}", b",", b'"', b"\\", b"1", b" ", b"\n", b"\xff", b'{"a":1}']),
        max_size=60,
    ),
    block=st.sampled_from([1, 7, 4096]),
)
def test_any_bytes_give_the_array_that_they_are_or_one_of_our_errors(data, block):
    data = b"[" + b"".join(data)
    with tempfile.TemporaryDirectory() as folder, small_blocks(block):
        read = source(Path(folder), data, "a.json")
        try:
            found = rows_with_places(read)
        except EngineError:
            found = None
        try:
            expected = json.loads(data)
        except ValueError:
            assert found is None or any(isinstance(row, str) for row, _, _ in found)
        else:
            assert found is not None
            assert [row for row, _, _ in found] == [e if isinstance(e, dict) else "not-an-object" for e in expected]


def test_an_element_as_long_as_the_cap_is_taken(tmp_path):
    element = b'{"a":"' + b"x" * 49_992 + b'"}'
    data = b"[" + b" , ".join([b'{"a":1}', element, b'{"a":2}']) + b"]"
    assert len(records(source(tmp_path, data, "a.json", max_line=len(element)))) == 3


def test_memory_stays_flat():
    parts = iter([b"[", *[(b'{"a":"' + b"x" * 90 + b'"},') * 1000] * 300, b'{"a":"}"}]'])
    reader = JsonArray(lambda size: next(parts, b""), "a.json", "utf-8", 1 << 20)
    tracemalloc.start()
    count = sum(len(rows) for rows in reader.batches(None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 300_001
    assert peak < 4e6
