"""Resuming: from every batch end and from every row, plain and packed; and noticing that a file changed."""

from __future__ import annotations

import zlib

import pytest

from engine.errors import Refused
from engine.model import Position
from tests.sources.helpers import PACK, batches, rows_with_places, source

CSV = b"\xef\xbb\xbfsep=,\na,b\n" + b"".join(
    b'%d,"x\ny%d"\n\n' % (n, n) if n % 7 == 0 else b"bad\n" if n % 101 == 0 else b"%d,v\n" % n for n in range(3000)
)
JSONL = b"".join(b'{"n":%d}\n' % n if n % 101 else b"\nbad\n" for n in range(3000))
FILES = {"a.csv": CSV, "a.jsonl": JSONL}


@pytest.mark.parametrize("kind", PACK)
@pytest.mark.parametrize("name", FILES)
def test_resuming_at_the_end_of_any_batch(tmp_path, name, kind):
    read = source(tmp_path, PACK[kind](FILES[name]), name)
    everything = rows_with_places(read)
    done = 0
    for rows in batches(read):
        assert rows_with_places(read, rows.start) == everything[done:]
        done += len(rows)
    assert rows_with_places(read, batches(read)[-1].end) == []


@pytest.mark.parametrize("name", FILES)
def test_resuming_at_any_row(tmp_path, name):
    data = FILES[name]
    read = source(tmp_path, data, name)
    everything = rows_with_places(read)
    for row in range(0, len(everything), 37):
        _, line, offset = everything[row]
        start = Position(row, line, offset, zlib.crc32(data[:offset]))
        assert rows_with_places(read, start) == everything[row:]
        assert batches(read, start)[-1].end == batches(read)[-1].end


def test_boundaries_depend_on_nothing_but_the_start(tmp_path):
    read = source(tmp_path, CSV)
    assert [rows.end for rows in batches(read)] == [rows.end for rows in batches(read)]
    packed = source(tmp_path, PACK["gz"](CSV), "b.csv")
    assert [rows.end for rows in batches(packed)] == [rows.end for rows in batches(read)]


@pytest.mark.parametrize("kind", PACK)
def test_the_checksum_tells_whether_what_was_read_is_still_there(tmp_path, kind):
    pack = PACK[kind]
    read = source(tmp_path, pack(CSV))
    position = batches(read)[3].end
    assert read.checksum("a.csv", position.offset) == position.check
    assert read.checksum("a.csv", 0) == Position().check
    changed = CSV.replace(b"\n5,v", b"\n6,v")
    for data, same in ((CSV + b"9,new\n", True), (changed, False), (CSV[: position.offset - 1], False), (b"", False)):
        now = source(tmp_path, pack(data) if data else b"").checksum("a.csv", position.offset)
        assert (now == position.check) is same


@pytest.mark.parametrize("kind", PACK)
def test_a_file_that_became_shorter_is_refused(tmp_path, kind):
    read = source(tmp_path, PACK[kind](CSV))
    end = batches(read)[-1].end
    with pytest.raises(Refused, match="shorter than the"):
        batches(source(tmp_path, PACK[kind](CSV[:1000])), end)


def test_a_file_that_grew_goes_on(tmp_path):
    read = source(tmp_path, b"a,b\n1,2")
    end = batches(read)[-1].end
    assert end == Position(1, 2, 7, zlib.crc32(b"a,b\n1,2"))
    assert rows_with_places(source(tmp_path, b"a,b\n1,2\n3,4\n"), end) == [(["3", "4"], 3, 8)]


def test_a_start_at_zero_is_the_beginning(tmp_path):
    read = source(tmp_path, b"a,b\n1,2\n")
    assert rows_with_places(read, Position()) == rows_with_places(read) == [(["1", "2"], 2, 4)]
