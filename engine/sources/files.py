"""The `file` source: delimited text, JSON Lines and JSON arrays, from paths, patterns, addresses and stdin."""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from engine.plugin import InvalidPipeline, Note, Position, Refused, Rows
from engine.sources.addresses import Web
from engine.sources.arrays import JsonArray
from engine.sources.blocks import Read
from engine.sources.cuts import BLOCK, Until, certainty, record_ends
from engine.sources.delimited import Layout, Table
from engine.sources.jsonl import JsonLines
from engine.sources.lines import LineReader
from engine.sources.packed import CHOICES, unpacked
from engine.sources.places import STDIN, Place, check_path, opened, places, seen_beforehand
from engine.sources.settings import at_least, character, delimiter_of, header_of, one_of, ragged_of, timeouts
from engine.sources.text import checked_encoding
from engine.sources.types import converters

FORMATS = {"csv": ",", "tsv": "\t", "jsonl": "", "json": ""}
SUFFIXES = {"csv": "csv", "tsv": "tsv", "tab": "tsv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "json"}
PACKED_SUFFIXES = (".gz", ".gzip", ".bz2", ".xz", ".zst", ".zstd")
ON_EMPTY = ("ok", "warn", "fail")
PLAIN = re.compile(r"utf-8|ascii|us-ascii|latin-?1|iso-?8859-\d+|cp125\d")  # a byte of a line end is nothing else

log = logging.getLogger(__name__)


class Reader(Protocol):
    """One opened file of some format."""

    @property
    def columns(self) -> tuple[str, ...] | None: ...

    def resume(self, start: Position, seek: Callable[[int], Read] | None) -> None: ...

    def batches(self, start: Position | None) -> Iterator[Rows]: ...


class FileSource:
    """Rows of one file or of all files that a pattern matches, in the order of their names.

    Every cell of CSV and TSV is text ("" when empty), or None where `null_values` or padding says so, unless
    `columns` gives it a type; records of JSONL and JSON are objects. `base` is where relative paths start.
    With `mode` append, a last line that is not written to its end is left for the next run. `notes` gathers warnings.
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
        double_quote: bool = True,
        header: bool | Sequence[str] | None = None,
        trim: bool = False,
        null_values: Sequence[str] = (),
        columns: Mapping[str, Any] | None = None,
        ragged: str | Mapping[str, str] = "error",
        skip_rows: int = 0,
        skip_rows_after_header: int = 0,
        skip_footer: int = 0,
        comment: str | None = None,
        duplicate_keys: str = "last",
        max_line: int = 4 * 1024 * 1024,
        on_empty: str = "warn",
        schema: Sequence[str] | Mapping[str, object] | None = None,
        timeout: Mapping[str, float] | None = None,
        retries: int = 5,
        require_length: bool = False,
        mode: str = "full",
        base: str = "",
    ) -> None:
        check_path(path)
        self.path, self.base = path, base
        self.encoding = checked_encoding(encoding)
        self.format = one_of("format", format, tuple(FORMATS)) if format else None
        self.compression = one_of("compression", compression, CHOICES)
        self.max_line = at_least("max_line", max_line, 1)
        self.on_empty = one_of("on_empty", on_empty, ON_EMPTY)
        self.unique = one_of("duplicate_keys", duplicate_keys, ("refuse", "last")) == "refuse"
        self.grows = one_of("mode", mode, ("full", "append")) == "append"
        self.declared = tuple(schema) if schema else None  # the columns, as far as no file tells
        self.notes: list[Note] = []
        ragged_mode, extra = ragged_of(ragged)
        self.layout = Layout(
            delimiter=delimiter_of(delimiter, quote, escape),
            quote=character("quote", quote or None),
            escape=character("escape", escape),
            double_quote=double_quote,
            header=header_of(header),
            trim=trim,
            null_values=frozenset(null_values),
            types=converters(columns),
            ragged=ragged_mode,
            extra=extra,
            skip_rows=at_least("skip_rows", skip_rows, 0),
            skip_rows_after_header=at_least("skip_rows_after_header", skip_rows_after_header, 0),
            skip_footer=at_least("skip_footer", skip_footer, 0),
            comment=comment or None,
        )
        if self.grows and (path == STDIN or skip_footer):
            what = "a footer" if skip_footer else "standard input"
            raise InvalidPipeline(f"mode: append goes on where a file ended; with {what} that is not possible")
        self.web = Web(*timeouts(timeout), at_least("retries", retries, 0), require_length, self._noted)
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

    def shapes(self) -> set[tuple[str, ...] | None]:
        """The sets of columns that a look of bounded cost finds; partitions are not settled by it."""
        try:
            found = seen_beforehand(self.path, self.base)
        except InvalidPipeline:  # a file that is not there yet: a run will say so
            return {None}
        self._places = {place.name: place for place in found}
        try:
            return {self.columns(name) for name in self._places} or {None}
        finally:
            self._places = None

    def columns(self, partition: str) -> tuple[str, ...] | None:
        """The columns of a delimited file by its header; None for JSON, and for an empty file without a header.

        Only files below the pipeline's folder are looked into: a file that is merely checked may be a stranger's, and
        nothing is fetched, nor taken from standard input, before it is read.
        """
        place = self._place(partition)
        if self._format(partition) in ("jsonl", "json") or not place.inside:
            return None
        with self._reader(partition) as (reader, _):
            return reader.columns

    def read(self, partition: str, start: Position | None = None, end: int | None = None) -> Iterator[Rows]:
        """Micro-batches of some 200 rows from `start` on; positions count unpacked bytes.

        `end`: an offset that `ends` gave, behind which nothing is read.
        """
        if start is not None and start.offset and self._place(partition).kind == "stdin":
            raise Refused("standard input cannot be resumed; run with --fresh and feed it from its beginning")
        some = end is not None or (start is not None and start.offset > 0)
        with self._reader(partition, end) as (reader, seek):
            if start is not None:
                reader.resume(start, seek)
            for rows in reader.batches(start):
                some = True
                yield rows
            if (marked := getattr(reader, "marked", None)) is not None:
                self._noted(Note("mark-inside", f"{partition}:{marked}: a byte order mark within the file"))
            unfinished = getattr(reader, "unfinished", None)
            if unfinished is not None:
                some = True
                self._noted(Note("unfinished-row", _left(partition, *unfinished)))
        if not some:
            self._empty(partition)

    def checksum(self, partition: str, offset: int) -> int | None:
        """The CRC-32 of the first `offset` bytes, unpacked; None where there are fewer."""
        if self._place(partition).kind == "stdin":
            raise Refused("standard input cannot be resumed; run with --fresh and feed it from its beginning")
        left, check = offset, 0
        with opened(self._place(partition), self.web) as file:
            read, _ = unpacked(file.read, self.compression, partition)
            while left and (data := read(min(left, 1 << 20))[:left]):
                check = zlib.crc32(data, check)
                left -= len(data)
        return check if left == 0 else None

    # --- shares of it ------------------------------------------------------------------------------------------

    def size(self, partition: str) -> int | None:
        """How many bytes a file has on this machine's disks; None where it lies elsewhere.

        Raises `InvalidPipeline` where several processes cannot read the source.
        """
        place = self._place(partition)
        if place.kind == "stdin":
            raise InvalidPipeline("standard input can be read by one process only; write it to a file first")
        if self.grows:
            raise InvalidPipeline(
                "mode: append keeps one position in each file, which several processes cannot share"
            )
        return Path(place.target).stat().st_size if place.kind == "local" else None

    def ends(self, partition: str, apart: int) -> Iterator[Position]:
        """Offsets at which `read` may end and begin, some `apart` bytes from one another; rows are not counted.

        Nothing where the file cannot be cut. Only what is certain to lie between two records is named.
        """
        with self._reader(partition) as (reader, seek):
            if seek is None or not isinstance(reader, LineReader) or not self._may_be_cut(reader):
                return
            certain, quote = _certainty(reader)
            block = max(1, min(apart, BLOCK, self.max_line))  # so no record in it is longer than a line may be
            yield from record_ends(seek(reader.begin.offset), reader.begin, block, quote, certain)

    def _may_be_cut(self, reader: LineReader) -> bool:
        layout = self.layout
        plain = reader.newline == "\n" and bool(PLAIN.fullmatch(reader.encoding.name))
        return plain and not (layout.escape or layout.comment or layout.skip_footer or self.grows)

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
            return self._fitting(self.format)
        plain = name.lower()
        for suffix in PACKED_SUFFIXES:
            plain = plain.removesuffix(suffix)
        found = SUFFIXES.get(plain.rpartition(".")[2]) if "." in plain else None
        if found is None:
            raise InvalidPipeline(f"format: the name {name!r} does not tell; write format: {' | '.join(FORMATS)}")
        return self._fitting(found)

    def _fitting(self, format: str) -> str:
        if format in ("jsonl", "json") and (self.layout.types or self.layout.skip_footer):
            word = "columns" if self.layout.types else "skip_footer"
            raise InvalidPipeline(f"{word}: it is for csv and tsv; the values of {format} have their types")
        return format

    @contextmanager
    def _reader(
        self, partition: str, end: int | None = None
    ) -> Iterator[tuple[Reader, Callable[[int], Read] | None]]:
        """A reader at the first row, and how to seek where that is possible."""
        place = self._place(partition)
        if place.kind == "stdin" and self._stdin is not None:
            yield self._stdin, None
            return
        with opened(place, self.web) as whole:
            file: Any = whole if end is None else Until(whole, end)
            read, packed = unpacked(
                file.read if place.kind != "stdin" else _at_once(file), self.compression, partition
            )
            reader = self._new_reader(read, partition)
            if place.kind == "stdin":
                self._stdin = reader
            yield reader, None if packed else _seeker(place, file)

    def _new_reader(self, read: Read, name: str) -> Reader:
        kind = self._format(name)
        if kind == "json":
            return JsonArray(read, name, self.encoding, self.max_line, unique=self.unique)
        if kind == "jsonl":
            return JsonLines(read, name, self.encoding, self.max_line, unique=self.unique, grows=self.grows)
        table = Table(read, name, self.encoding, self.max_line, self.layout, FORMATS[kind], self.grows)
        missing = [
            column for column in self.declared or () if table.columns is not None and column not in table.columns
        ]
        if missing:
            there = ", ".join(table.columns or ())
            raise InvalidPipeline(f"schema: {name} has no column {', '.join(map(repr, missing))}; it has {there}")
        return table

    def _empty(self, partition: str) -> None:
        if self.on_empty == "fail":
            raise Refused(f"{partition} holds no rows, and on_empty is fail")
        if self.on_empty == "warn":
            self._noted(Note("empty-file", f"{partition} holds no rows"))
            log.warning("%s holds no rows", partition)

    def _noted(self, note: Note) -> None:
        if note not in self.notes:
            self.notes.append(note)


def _certainty(reader: LineReader) -> tuple[Callable[[bytes], bool], bytes]:
    """What is certain of blocks of this file, and its quote, if it has one."""
    if not isinstance(reader, Table):
        return certainty(b"", b"", doubled=True), b""
    dialect, encoded = reader.dialect, reader.encoding.encoded
    delimiter = dialect.delimiter or dialect.csv["delimiter"]
    quote = encoded(dialect.csv["quotechar"]) if dialect.csv["quotechar"] else b""
    return certainty(encoded(delimiter), quote, doubled=dialect.double_quote), quote


def _left(name: str, line: int, how: str) -> str:
    return f"{name}:{line} ends {how}; that row is left for the next run"


def _seeker(place: Place, file: Any) -> Callable[[int], Read] | None:
    """How to go to an offset without reading what is before it, where that is possible."""
    if place.kind == "web":
        seek: Callable[[int], Read] = file.seek
        return seek if file.seekable else None
    return _local_seeker(file, place.name) if place.kind == "local" else None


def _local_seeker(file: BinaryIO, name: str) -> Callable[[int], Read]:
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
