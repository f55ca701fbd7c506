"""The `file` source: delimited text, JSON Lines and JSON arrays, from paths, patterns, addresses and stdin."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from engine.plugin import InvalidPipeline, Note, Position, Refused, Rows
from engine.sources.arrays import JsonArray
from engine.sources.blocks import Read
from engine.sources.delimited import Layout, Table, checked_names
from engine.sources.jsonl import JsonLines
from engine.sources.packed import CHOICES, unpacked
from engine.sources.places import Place, opened, places
from engine.sources.text import checked_encoding

FORMATS = {"csv": ",", "tsv": "\t", "jsonl": "", "json": ""}
SUFFIXES = {"csv": "csv", "tsv": "tsv", "tab": "tsv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "json"}
PACKED_SUFFIXES = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd")
RAGGED = ("error", "pad", "truncate")
ON_EMPTY = ("ok", "warn", "fail")

log = logging.getLogger(__name__)


class Reader(Protocol):
    """One opened file of some format."""

    @property
    def columns(self) -> tuple[str, ...] | None: ...

    def resume(self, start: Position, seek: Callable[[int], Read] | None) -> None: ...

    def batches(self, start: Position | None) -> Iterator[Rows]: ...


class FileSource:
    """Rows of one file or of all files that a pattern matches, in the order of their names.

    Every cell of CSV and TSV is text ("" when empty), or None where `null_values` or padding says so; records of
    JSONL and JSON are objects. `base` is the folder that relative paths start from. `notes` gathers warnings.
    """

    def __init__(
        self,
        path: str,
        format: str | None = None,
        encoding: str = "utf-8",
        compression: str = "auto",
        delimiter: str | None = None,
        quote: str | None = '"',
        escape: str | None = None,
        header: bool | Sequence[str] | None = None,
        null_values: Sequence[str] = (),
        ragged: str | Mapping[str, str] = "error",
        skip_rows: int = 0,
        comment: str | None = None,
        max_line: int = 4 * 1024 * 1024,
        on_empty: str = "warn",
        schema: Sequence[str] | Mapping[str, object] | None = None,
        base: str = "",
    ) -> None:
        self.path, self.base = path, base
        self.encoding = checked_encoding(encoding)
        self.format = _one_of("format", format, tuple(FORMATS)) if format else None
        self.compression = _one_of("compression", compression, CHOICES)
        self.max_line = _at_least("max_line", max_line, 1)
        self.on_empty = _one_of("on_empty", on_empty, ON_EMPTY)
        self.expected = tuple(schema or ())
        self.notes: list[Note] = []
        mode, extra = _ragged(ragged)
        self.layout = Layout(
            delimiter=_character("delimiter", delimiter),
            quote=_character("quote", quote or None),
            escape=_character("escape", escape),
            header=_header(header),
            null_values=frozenset(null_values),
            ragged=mode,
            extra=extra,
            skip_rows=_at_least("skip_rows", skip_rows, 0),
            comment=comment or None,
        )
        self._places: dict[str, Place] | None = None
        self._stdin: Reader | None = None  # what was read of it cannot be read again

    # --- what the engine asks --------------------------------------------------------------------------------

    def partitions(self) -> list[str]:
        """The names of the files, sorted. Raises `InvalidPipeline` where there is none."""
        found = places(self.path, self.base)
        for place in found:
            self._format(place.name)
        self._places = {place.name: place for place in found}
        return list(self._places)

    def columns(self, partition: str) -> tuple[str, ...] | None:
        """The columns of a delimited file by its header; None for JSON, and for an empty file without a header."""
        if self._format(partition) in ("jsonl", "json"):
            return None
        with self._reader(partition) as (reader, _):
            return reader.columns

    def read(self, partition: str, start: Position | None = None) -> Iterator[Rows]:
        """Micro-batches of some 200 rows from `start` on; positions count unpacked bytes."""
        if start is not None and start.offset and self._place(partition).kind == "stdin":
            raise Refused("standard input cannot be resumed; run with --fresh and feed it from its beginning")
        some = start is not None and start.row > 0
        with self._reader(partition) as (reader, seek):
            if start is not None:
                reader.resume(start, seek)
            for rows in reader.batches(start):
                some = True
                yield rows
        if not some:
            self._empty(partition)

    def checksum(self, partition: str, offset: int) -> int | None:
        """The CRC-32 of the first `offset` bytes, unpacked; None where there are fewer."""
        if self._place(partition).kind == "stdin":
            raise Refused("standard input cannot be resumed; run with --fresh and feed it from its beginning")
        left, check = offset, 0
        with opened(self._place(partition)) as file:
            read, _ = unpacked(file.read, self.compression, partition)
            while left and (data := read(min(left, 1 << 20))[:left]):
                check = zlib.crc32(data, check)
                left -= len(data)
        return check if left == 0 else None

    # --- how a file is opened ----------------------------------------------------------------------------------

    def _place(self, partition: str) -> Place:
        if self._places is None:
            self.partitions()
        place = (self._places or {}).get(partition)
        if place is None:
            raise Refused(f"{partition} is gone: path {self.path!r} does not name it any more")
        return place

    def _format(self, name: str) -> str:
        if self.format:
            return self.format
        plain = name.lower()
        for suffix in PACKED_SUFFIXES:
            plain = plain.removesuffix(suffix)
        found = SUFFIXES.get(plain.rpartition(".")[2]) if "." in plain else None
        if found is None:
            raise InvalidPipeline(f"format: the name {name!r} does not tell; write format: {' | '.join(FORMATS)}")
        return _one_of("format", found, tuple(FORMATS))

    @contextmanager
    def _reader(self, partition: str) -> Iterator[tuple[Reader, Callable[[int], Read] | None]]:
        """A reader at the first row, and how to seek where that is possible."""
        place = self._place(partition)
        if place.kind == "stdin" and self._stdin is not None:
            yield self._stdin, None
            return
        with opened(place) as file:
            read, packed = unpacked(
                file.read if place.kind != "stdin" else _at_once(file), self.compression, partition
            )
            reader = self._new_reader(read, partition)
            if place.kind == "stdin":
                self._stdin = reader
            yield reader, None if packed or place.kind != "local" else _seeker(file, partition)

    def _new_reader(self, read: Read, name: str) -> Reader:
        kind = self._format(name)
        if kind == "json":
            return JsonArray(read, name, self.encoding, self.max_line)
        if kind == "jsonl":
            return JsonLines(read, name, self.encoding, self.max_line)
        table = Table(read, name, self.encoding, self.max_line, self.layout, FORMATS[kind])
        missing = [column for column in self.expected if table.columns is not None and column not in table.columns]
        if missing:
            there = ", ".join(table.columns or ())
            raise InvalidPipeline(f"schema: {name} has no column {', '.join(map(repr, missing))}; it has {there}")
        return table

    def _empty(self, partition: str) -> None:
        if self.on_empty == "fail":
            raise Refused(f"{partition} holds no rows, and on_empty is fail")
        if self.on_empty == "warn":
            self.notes.append(Note("empty-file", f"{partition} holds no rows"))
            log.warning("%s holds no rows", partition)


def _seeker(file: BinaryIO, name: str) -> Callable[[int], Read]:
    def seek(offset: int) -> Read:
        if file.seek(0, 2) < offset:
            raise Refused(f"{name} is shorter than the {offset} bytes that were read before")
        file.seek(offset)
        return file.read

    return seek


def _at_once(file: BinaryIO) -> Read:
    """What a pipe has to give now, without waiting for a whole block."""
    read1: Read = getattr(file, "read1", file.read)
    return read1


# --- settings -------------------------------------------------------------------------------------------------------


def _one_of(setting: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise InvalidPipeline(f"{setting}: {value!r} is none of {', '.join(choices)}")
    return value


def _at_least(setting: str, value: int, least: int) -> int:
    if not isinstance(value, int) or value < least:
        raise InvalidPipeline(f"{setting}: {value!r} is not a whole number of at least {least}")
    return value


def _character(setting: str, value: str | None) -> str | None:
    if value is not None and (len(value) != 1 or value in "\r\n\0"):
        raise InvalidPipeline(f"{setting}: {value!r} is not one character")
    return value


def _header(header: bool | Sequence[str] | None) -> bool | tuple[str, ...] | None:
    if isinstance(header, str):
        raise InvalidPipeline(f"header: {header!r} is not a list of names, nor false")
    return header if header is None or isinstance(header, bool) else checked_names(header, "header")


def _ragged(ragged: str | Mapping[str, str]) -> tuple[str, str | None]:
    if isinstance(ragged, Mapping):
        extra = ragged.get("extra")
        if set(ragged) != {"extra"} or not isinstance(extra, str) or not extra:
            raise InvalidPipeline("ragged: write error, pad, truncate or {extra: a column for surplus cells}")
        return "extra", extra
    return _one_of("ragged", ragged, RAGGED), None
