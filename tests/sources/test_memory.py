"""Memory stays flat: for a giant line, and for any number of rows."""

from __future__ import annotations

import tracemalloc

import pytest

from engine.sources.blocks import CHUNK
from engine.sources.delimited import Layout, Table
from engine.sources.jsonl import JsonLines

CAP = 256 * 1024


class Stream:
    """Bytes that are made while they are read: `head`, then `filler` up to `size` bytes, then `tail`."""

    def __init__(self, head, filler, size, tail):
        self.parts = iter([head, *[filler * (CHUNK // len(filler))] * (size // CHUNK), tail])

    def read(self, size):
        return next(self.parts, b"")


def peak_of(reader):
    tracemalloc.start()
    read = malformed = 0
    last = None
    for rows in reader.batches(None):
        read += len(rows.records)
        malformed += len(rows.malformed)
        last = rows
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak, read, malformed, last


@pytest.mark.parametrize("filler", [b"x", b'"', b",", b'""x'])
def test_a_line_of_100_mb_is_skipped(filler):
    stream = Stream(b"a,b\n1,2\n3,", filler, 100_000_000, b"\n5,6\n")
    table = Table(stream.read, "a.csv", "utf-8", CAP, Layout(), ",")
    peak, read, malformed, last = peak_of(table)
    assert (read, malformed) == (2, 1)
    assert last.records[-1] == ["5", "6"]
    assert last.end.offset > 99_000_000
    assert peak < 8 * CAP


def test_a_giant_line_of_json_is_skipped():
    stream = Stream(b'{"a":1}\n{"b":"', b"x", 100_000_000, b'"}\n{"a":2}\n')
    peak, read, malformed, last = peak_of(JsonLines(stream.read, "a.jsonl", "utf-8", CAP))
    assert (read, malformed) == (2, 1)
    assert last.records[-1] == {"a": 2}
    assert peak < 8 * CAP


def test_an_open_quote_before_many_lines():
    stream = Stream(b'a,b\n1,"', b"x,y\n" * 8, 1_400_000, b"5,6\n")
    peak, read, malformed, last = peak_of(Table(stream.read, "a.csv", "utf-8", CAP, Layout(), ","))
    assert malformed == 1
    assert last.records[-1] == ["5", "6"]
    assert read > 300_000
    assert peak < 48 * CAP  # lines of four bytes, each an object of its own


def test_many_rows():
    small, large = (
        peak_of(Table(Stream(b"a,b\n", b"1,2\n", size, b"").read, "a.csv", "utf-8", CAP, Layout(), ","))[0]
        for size in (270_000, 1_400_000)
    )
    assert large < small + CHUNK
