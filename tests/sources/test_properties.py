"""What must hold for any rows and any bytes."""

from __future__ import annotations

import csv
import io
import tempfile
import zlib
from pathlib import Path

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.model import Position
from engine.sources import lines
from tests.sources.helpers import check_cover, records, rows_with_places, source

cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12) | st.sampled_from(
    ["", '"', '""', "\n", "\r\n", "\r", ",", '",', '"\n"', "a\nb", " ", "#", "\u2028", "é", "\ufeff"]
)
several = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def written(rows, line_end, quoting, delimiter):
    """With CR LF for its line end csv's writer quotes both characters in cells; with LF alone it forgets CR."""
    text = ""
    for row in (["a", "b", "c"], *rows):
        line = io.StringIO(newline="")
        csv.writer(line, lineterminator="\r\n", quoting=quoting, delimiter=delimiter).writerow(row)
        text += line.getvalue()[:-2] + line_end
    return text


@several
@given(
    rows=st.lists(st.tuples(cells, cells, cells), max_size=30),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"]),
    block=st.sampled_from([7, 64, 4096]),
)
def test_what_was_written_is_read_and_resuming_at_any_row_reads_on(
    rows, line_end, quoting, delimiter, encoding, block
):
    data = written(rows, line_end, quoting, delimiter).encode(encoding)
    with tempfile.TemporaryDirectory() as folder, small_blocks(block):
        read = source(Path(folder), data, delimiter=delimiter, encoding=encoding.removesuffix("-sig"))
        everything = rows_with_places(read)
        assert [record for record, _, _ in everything] == [list(row) for row in rows]
        for number, (_, line, offset) in enumerate(everything):
            start = Position(number, line, offset, zlib.crc32(data[:offset]))
            assert rows_with_places(read, start) == everything[number:]
        if everything:
            check_cover(read, data, everything[0][2]) if encoding == "utf-8" else None


@several
@given(
    objects=st.lists(
        st.dictionaries(
            st.text(st.characters(codec="utf-8"), max_size=5),
            st.recursive(
                st.none()
                | st.booleans()
                | st.integers()
                | st.floats(allow_nan=False, allow_infinity=False)
                | st.text(st.characters(codec="utf-8"), max_size=8),
                lambda inner: st.lists(inner, max_size=3),
            ),
            max_size=4,
        ),
        max_size=30,
    ),
    block=st.sampled_from([7, 4096]),
)
def test_objects_arrive_exactly(objects, block):
    data = b"".join(msgspec.json.encode(value) + b"\n" for value in objects)
    with tempfile.TemporaryDirectory() as folder, small_blocks(block):
        assert records(source(Path(folder), data, "a.jsonl")) == objects


@several
@given(
    data=st.binary(max_size=300)
    | st.lists(
        st.sampled_from(
            [b'"', b",", b"\n", b"\r", b"\0", b"a", b"\xff", b"\xfe\xff", b"#", b"\\", b"{", b"}", b"\xef\xbb\xbf"]
        ),
        max_size=120,
    ).map(b"".join),
    name=st.sampled_from(["a.csv", "a.tsv", "a.jsonl"]),
    cap=st.sampled_from([1, 3, 20, 4096]),
    block=st.sampled_from([1, 7, 4096]),
    more=st.sampled_from(
        [{}, {"header": ["a", "b"]}, {"comment": "#", "escape": "\\"}, {"quote": None}, {"header": False}]
    ),
)
def test_any_bytes_give_rows_or_one_of_our_errors_and_never_lose_their_place(data, name, cap, block, more):
    with tempfile.TemporaryDirectory() as folder, small_blocks(block):
        read = source(Path(folder), data, name, max_line=cap, **more)
        try:
            everything = rows_with_places(read)
        except EngineError as error:
            assert str(error)
            return
        for number in range(0, len(everything), 5):
            _, line, offset = everything[number]
            start = Position(number, line, offset, zlib.crc32(data[:offset]))
            assert rows_with_places(read, start) == everything[number:]


class small_blocks:
    """Blocks of about so many bytes, so that records span them."""

    def __init__(self, size):
        self.size = size

    def __enter__(self):
        self.kept = lines.SMALLEST, lines.FIRST, lines.LARGEST
        lines.SMALLEST = lines.FIRST = lines.LARGEST = self.size

    def __exit__(self, *_):
        lines.SMALLEST, lines.FIRST, lines.LARGEST = self.kept
