"""Small words in which the tests of the file source are written."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import Any

import zstandard

from engine.model import Position, Rows
from engine.sources.files import FileSource

PACK = {
    "": lambda data: data,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


def source(folder: Path, data: bytes, name: str = "a.csv", **settings: Any) -> FileSource:
    (folder / name).write_bytes(data)
    return FileSource(path=name, base=str(folder), **{"on_empty": "ok", **settings})


def batches(source: FileSource, start: Position | None = None) -> list[Rows]:
    return [rows for name in source.partitions() for rows in source.read(name, start)]


def records(source: FileSource, start: Position | None = None) -> list[Any]:
    return [record for rows in batches(source, start) for record in rows.records]


def bad(source: FileSource, start: Position | None = None) -> list[tuple[str, int, int]]:
    """Code, line and offset of every malformed row."""
    return [(m.code, *rows.locate(m.row)) for rows in batches(source, start) for m in rows.malformed]


def rows_with_places(source: FileSource, start: Position | None = None) -> list[tuple[Any, int, int]]:
    """Every row in order (a record, or the code of a malformed row) with its line and offset."""
    found: list[tuple[Any, int, int]] = []
    for rows in batches(source, start):
        contents: dict[int, Any] = {rows.row(i): record for i, record in enumerate(rows.records)}
        contents |= {m.row: m.code for m in rows.malformed}
        assert sorted(contents) == list(range(len(rows)))
        found += [(contents[i], *rows.locate(i)) for i in range(len(rows))]
    return found


def check_cover(source: FileSource, data: bytes, begin: int) -> None:
    """The batches cover every byte from `begin` on exactly once, and their positions are true."""
    at, row, blank = begin, 0, data
    for rows in batches(source):
        assert rows.start.offset == at
        assert rows.start.row == row
        for position in (rows.start, rows.end):
            assert position.check == zlib.crc32(data[: position.offset])
        at, row = rows.end.offset, rows.end.row
        assert len(rows) == len(rows.records) + len(rows.malformed) > 0
    blank = data[at:]
    assert not blank.strip(), "only blank lines may stay behind"
