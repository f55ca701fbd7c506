"""What callers give as data, as single records: text, bytes, lists, iterators. Each is checked before it is sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from engine.errors import RecordError
from engine.plugin import Spooled

MOST, BYTES = 1000, 1024 * 1024  # records and bytes of a request
BLOCK = 96 * 1024  # bytes of a file that are checked at once


class _Object(msgspec.Struct, gc=False):
    """Any object: its members are read over."""


_decode = msgspec.json.Decoder(_Object).decode
_decode_lines = msgspec.json.Decoder(list[tuple[_Object]]).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Given(NamedTuple):
    """Records as the bytes they are sent in. `array`: they came as one JSON array."""

    records: Iterator[bytes]
    array: bool = False


def given(data: Any) -> Given:
    """The records of whatever a caller gives. Text and bytes are checked whole before the first one comes out."""
    if isinstance(data, str):
        data = data.encode("utf-8")
    if isinstance(data, (bytes, bytearray, memoryview)):
        return _text(bytes(data))
    if isinstance(data, Mapping):
        return Given(iter([encoded(data, 1)]))
    if isinstance(data, Iterable):
        return Given(_streamed(iter(data)))
    raise RecordError("not-records", f"a {type(data).__name__} is neither text nor records")


def _text(data: bytes) -> Given:
    if data.lstrip().startswith(b"["):
        try:
            found = [bytes(one) for one in _elements(data)]
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordError("not-json", f"the array is no JSON: {error}") from None
        return Given(iter([checked(one, f"element {n}") for n, one in enumerate(found, 1)]), array=True)
    lines = enumerate(data.split(b"\n"), 1)
    return Given(iter([checked(line, f"line {n}") for n, line in lines if line.strip()]))


def _streamed(pieces: Iterator[Any]) -> Iterator[bytes]:
    """Records of an iterator of objects, or of pieces of text in which lines may begin and end anywhere."""
    rest, number = b"", 0
    for piece in pieces:
        if isinstance(piece, Mapping):
            number += 1
            yield encoded(piece, number)
            continue
        rest += piece.encode("utf-8") if isinstance(piece, str) else bytes(piece)
        *lines, rest = rest.split(b"\n")
        for line in lines:
            number += 1
            if line.strip():
                yield checked(line, f"line {number}")
    if rest.strip():
        yield checked(rest, f"line {number + 1}")


def checked(line: bytes, place: str) -> bytes:
    """One record without white space around it. Raises `RecordError`, which names the place."""
    line = line.strip()
    try:
        line.decode("utf-8")
        _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError("not-json", f"{place} is no JSON object: {error}") from None
    return line


def encoded(record: Any, number: int = 1) -> bytes:
    """A record as JSON; NaN and infinities are none."""
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordError("not-json", f"record {number} cannot be JSON: {error}") from None


def batches(records: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Records in lists of at most `MOST`, and at most `BYTES` unless one alone is larger."""
    batch: list[bytes] = []
    size = 0
    for record in records:
        if batch and (len(batch) == MOST or size + len(record) + 1 > BYTES):
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += len(record) + 1
    if batch:
        yield batch


def spooled(path: Path) -> Spooled:
    """A file of JSON Lines, every line checked. Raises `OSError`, and `RecordError` naming the line."""
    size = count = number = 0
    rest = b""
    with path.open("rb", buffering=0) as file:
        while piece := file.read(BLOCK):
            block, end, rest = (rest + piece).rpartition(b"\n")
            if not size and (block or rest).lstrip().startswith(b"["):
                raise RecordError("not-lines", f"{path} holds a JSON array; a file is uploaded as lines of objects")
            size += len(piece)
            if end:
                records, lines = _checked_lines(block, path.name, number)
                count, number = count + records, number + lines
    records, _ = _checked_lines(rest, path.name, number)
    return Spooled(str(path), path.name, size, count + records)


def _checked_lines(block: bytes, name: str, before: int) -> tuple[int, int]:
    """How many records, and lines, a block holds. All are judged at once: `a LF b` is good where `[[a],[b]]` is."""
    try:
        block.decode("utf-8")
        records = len(_decode_lines(b"".join((b"[[", block.replace(b"\n", b"],["), b"]]"))))
        return records, records
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        lines = block.split(b"\n")
        found = [checked(line, f"{name}:{n}") for n, line in enumerate(lines, before + 1) if line.strip()]
        return len(found), len(lines)
