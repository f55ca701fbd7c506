"""Compressed files: told by content, read whole or not at all."""

from __future__ import annotations

import gzip
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import EngineError, InvalidPipeline, Refused
from tests.sources.helpers import PACK, batches, records, source

ROWS = [[str(n), "x" * (n % 50)] for n in range(20_000)]
TEXT = b"a,b\n" + b"".join(",".join(row).encode() + b"\n" for row in ROWS)
KINDS = [kind for kind in PACK if kind]


def read_until_refused(read):
    found = []
    with pytest.raises(Refused) as told:
        for rows in read.read(read.partitions()[0], None):
            found += rows.records
    return found, str(told.value)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_told_by_content_not_by_name(tmp_path, kind, name):
    assert records(source(tmp_path, PACK[kind](TEXT), name)) == ROWS


def test_a_plain_file_may_be_called_gz(tmp_path):
    assert records(source(tmp_path, TEXT, "a.csv.gz")) == ROWS


@pytest.mark.parametrize("kind", KINDS)
def test_concatenated_members(tmp_path, kind):
    pack = PACK[kind]
    data = pack(TEXT[:50_000]) + pack(b"") + pack(TEXT[50_000:])
    assert records(source(tmp_path, data)) == ROWS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("left", [0.5, 0.99])
def test_cut_short_is_refused_after_what_came_before(tmp_path, kind, left):
    data = PACK[kind](TEXT)
    found, said = read_until_refused(source(tmp_path, data[: int(len(data) * left)]))
    assert found == ROWS[: len(found)]
    assert "a.csv is incomplete" in said


@pytest.mark.parametrize("kind", KINDS)
def test_the_last_byte_matters(tmp_path, kind):
    data = PACK[kind](TEXT)
    found, said = read_until_refused(source(tmp_path, data[:-1]))
    assert "incomplete" in said
    assert len(found) <= len(ROWS)


def test_bad_checksum(tmp_path):
    data = bytearray(gzip.compress(TEXT))
    data[-6] ^= 1
    found, said = read_until_refused(source(tmp_path, bytes(data)))
    assert "incomplete or damaged" in said
    assert found == ROWS[: len(found)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_bit_never_passes_unseen(tmp_path, kind):
    data = bytearray(PACK[kind](TEXT))
    if kind == "zst":
        import zstandard

        data = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(TEXT))
    data[len(data) // 2] ^= 0x10
    found, _ = read_until_refused(source(tmp_path, bytes(data)))
    assert len(found) < len(ROWS) + 1


@pytest.mark.parametrize("kind", KINDS)
def test_something_behind_the_end_is_refused_and_zeros_are_not(tmp_path, kind):
    found, said = read_until_refused(source(tmp_path, PACK[kind](TEXT) + b"rubbish"))
    assert "does not belong" in said
    assert len(found) > len(ROWS) - 800  # what is left is the block that was being put together
    assert records(source(tmp_path, PACK[kind](TEXT) + b"\0" * 5000)) == ROWS


@pytest.mark.parametrize("kind", KINDS)
def test_a_bomb_is_read_in_little_memory(tmp_path, kind):
    bomb = PACK[kind](b"a,b\n" + b"1,2\n" * 4_000_000)  # 16 MB
    read = source(tmp_path, bomb)
    [name] = read.partitions()
    tracemalloc.start()
    count = sum(len(rows) for rows, _ in zip(read.read(name, None), range(600), strict=False))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count > 100_000
    assert peak < 12e6  # of which xz has a dictionary of 8 MiB


def test_an_empty_packed_file_is_worth_a_warning(tmp_path, caplog):
    read = source(tmp_path, b"", "a.csv.gz", on_empty="warn")
    assert batches(read) == []
    assert [note.code for note in read.notes] == ["empty-file"]
    assert "a.csv.gz holds no rows" in caplog.text
    with pytest.raises(Refused, match="on_empty"):
        batches(source(tmp_path, b"", "a.csv.gz", on_empty="fail"))
    assert batches(source(tmp_path, b"", "a.csv.gz", on_empty="ok")) == []


def test_compression_that_was_named_must_be_there(tmp_path):
    with pytest.raises(Refused, match="is not gz: its content is not compressed"):
        records(source(tmp_path, TEXT, compression="gz"))
    with pytest.raises(Refused, match="its content is bz2"):
        records(source(tmp_path, PACK["bz2"](TEXT), compression="gzip"))


def test_a_workbook_is_told_from_text(tmp_path):
    with pytest.raises(InvalidPipeline, match="zip archive or an Excel workbook"):
        records(source(tmp_path, b"PK\x03\x04" + b"\0" * 100, format="csv"))


def test_a_missing_library_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(InvalidPipeline, match=r"engine\[zstd\]"):
        records(source(tmp_path, PACK["zst"](TEXT)))


@settings(max_examples=200, deadline=None)
@given(kind=st.sampled_from(KINDS), data=st.data())
def test_any_damage_gives_rows_or_one_of_our_errors(kind, data):
    packed = bytearray(PACK[kind](TEXT[:3000]))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(packed) - 1))
        packed[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        try:
            records(source(Path(folder), bytes(packed)))
        except EngineError as error:
            assert str(error)
