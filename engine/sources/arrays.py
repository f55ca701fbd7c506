"""One JSON array of objects, of any size, in little memory and with exact positions.

The quick way learns the bytes between two elements (`},{` or `},\n  {`), looks for the last of them in a window and
parses all before it at once. A cut inside a text or a nested value leaves a quote or a bracket open, so that a wrong
cut cannot parse: the way is exact. Where it fails, elements are told apart by their brackets, one by one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from engine.plugin import InvalidPipeline, Malformed, Position, Refused, Rows
from engine.sources.blocks import CHUNK, Read
from engine.sources.duplicates import all_kept
from engine.sources.jsonl import decoded
from engine.sources.lines import FIRST, MOST_ROWS, Bad, next_size
from engine.sources.text import Encoding, sniffed

TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{},"]', re.S)
SPACE = re.compile(rb"[ \t\r\n]*+")
AFTER = 4096  # bytes to look for the comma or bracket behind an element of the greatest length
TRIES = 3  # cuts that are tried before elements are told apart one by one

_decode_all = msgspec.json.Decoder(list[dict[str, Any]]).decode
Span = tuple[int, int]


def elements(data: bytes, at: int, most: int) -> list[Span]:
    """Where the elements that end in `data` begin and end, from the element that begins `at` on."""
    spans: list[Span] = []
    depth, start = 0, at
    for token in TOKEN.finditer(data, at):
        sign = data[token.start() : token.end()]
        if sign in b"[{":
            depth += 1
        elif sign in b"]}" and depth:
            depth -= 1
        elif sign == b'"':
            break  # a text that goes on beyond the data
        elif len(sign) == 1 and depth == 0:
            length = len(data[start : token.start()].rstrip())
            if not length:
                break
            spans.append((start, start + length))
            start = _past_space(data, token.end())
            if sign != b"," or len(spans) == most:
                break
    return spans


def _past_space(data: bytes, at: int) -> int:
    found = SPACE.match(data, at)
    return found.end() if found else at


class Places:
    """Where each element of a chunk starts; found out when somebody asks."""

    def __init__(self, chunk: bytes, at: Position) -> None:
        self._chunk, self._at = chunk, at
        self._starts: list[int] | None = None

    def __call__(self, row: int) -> tuple[int, int]:
        if self._starts is None:
            self._starts = [start for start, _ in elements(self._chunk + b",", 0, len(self._chunk))]
        start = self._starts[row]
        return self._at.line + self._chunk.count(b"\n", 0, start), self._at.offset + start


class JsonArray:
    """One opened file. Records are dicts."""

    columns: tuple[str, ...] | None = None

    def __init__(self, read: Read, name: str, encoding: str, cap: int, *, unique: bool = False) -> None:
        self.name, self.cap, self.unique = name, cap, unique
        self._read = read
        self._data, self._next, self._ended = b"", 0, False
        self._at = Position()
        self._between = b""  # the learned bytes between two elements
        self._more()
        self.encoding: Encoding = sniffed(self._data, encoding)
        if self.encoding.name != "utf-8":
            raise InvalidPipeline(f"encoding: {name} is {self.encoding.name}; a JSON array has to be utf-8")
        self._pass(self.encoding.mark)
        self.empty = not self._sign()
        if not self.empty and self._sign() != b"[":
            raise InvalidPipeline(f"{name} is not one JSON array; for one object a line write format: jsonl")
        self._pass(0 if self.empty else 1)
        self.begin = self._at

    def resume(self, start: Position, seek: Callable[[int], Read] | None) -> None:
        """Goes to `start`: `seek` gives a `read` from an offset on; without it, by reading on."""
        if start.offset <= self.begin.offset:
            return
        if seek is not None:
            self._read, self._data, self._next, self._ended = seek(start.offset), b"", 0, False
        while seek is None and self._at.offset < start.offset:
            if self._next == len(self._data) and not self._more():
                raise Refused(f"{self.name} is shorter than the {start.offset} bytes that were read before")
            self._pass(min(len(self._data) - self._next, start.offset - self._at.offset))
        self._at = start

    def batches(self, start: Position | None) -> Iterator[Rows]:
        """Micro-batches from `start` on, which `resume` has gone to."""
        if self.empty:
            return
        size, comma = FIRST, False
        resumed = start is not None and start.offset > self.begin.offset
        since = self._at
        while self._to_element(comma, resumed):
            at = self._at
            chunk, found = self._take(min(size, self.cap))
            self._at = Position(at.row + len(found), self._at.line, self._at.offset, self._at.check)
            size = next_size(size, len(chunk), len(found))
            yield self._rows(since, at, chunk, found)
            since, comma, resumed = self._at, True, False

    # --- between elements ----------------------------------------------------------------------------------

    def _to_element(self, comma: bool, resumed: bool) -> bool:
        """Goes to the next element; False at the end of the array. After a resume there may be a comma or none."""
        sign = self._sign()
        if sign == b"]":
            self._pass(1)
            if self._sign():
                raise self._refused("something follows the end of the array")
            return False
        if sign == b"," and (comma or resumed):
            self._pass(1)
            sign = self._sign()
        elif comma and sign:
            raise self._refused("a comma is missing")
        if not sign:
            raise self._refused("the array is not closed")
        if sign in b",]}":
            raise self._refused("an element is missing")
        return True

    def _sign(self) -> bytes:
        """The next byte that is no space; b"" at the end of the file."""
        while True:
            self._pass(_past_space(self._data, self._next) - self._next)
            if self._next < len(self._data) or not self._more():
                return self._data[self._next : self._next + 1]

    def _refused(self, why: str) -> Refused:
        return Refused(
            f"{self.name} is incomplete or damaged: {why} (line {self._at.line}, offset {self._at.offset}); "
            "put a whole file in its place and run again"
        )

    # --- elements ----------------------------------------------------------------------------------------------

    def _take(self, size: int) -> tuple[bytes, list[Any]]:
        """The next elements, about `size` bytes of them, and what they hold: records, and `Bad` for what is none."""
        while len(self._data) - self._next < size and self._more():
            pass
        end = self._next + size
        for _ in range(TRIES if self._between else 0):
            end = self._data.rfind(self._between, self._next, end) + 1
            if not end:
                break
            chunk = self._data[self._next : end]
            try:
                found = _decode_all(b"[%b]" % chunk)
            except (ValueError, RecursionError):
                continue
            if self.unique and not all_kept(chunk, found):
                break
            self._pass(len(chunk))
            return chunk, found
        return self._take_singly(size)

    def _take_singly(self, size: int) -> tuple[bytes, list[Any]]:
        while not (spans := elements(self._data[: self._next + size], self._next, MOST_ROWS)):
            if self._ended and len(self._data) - self._next <= size:
                raise self._refused("the array is not closed")
            if size > self.cap:
                raise self._refused(f"an element is longer than max_line ({self.cap} bytes) or not closed")
            size = min(2 * size, self.cap + AFTER)
            while len(self._data) - self._next < size and self._more():
                pass
        self._learn(spans)
        found = [decoded(self._data[start:end], self.encoding, self.unique) for start, end in spans]
        chunk = self._data[self._next : spans[-1][1]]
        self._pass(len(chunk))
        return chunk, found

    def _learn(self, spans: list[Span]) -> None:
        if len(spans) > 1:
            between = self._data[spans[0][1] - 1 : spans[1][0] + 1]
            self._between = between if between.startswith(b"}") and between.endswith(b"{") else b""

    def _rows(self, since: Position, at: Position, chunk: bytes, found: list[Any]) -> Rows:
        places = Places(chunk, at)
        malformed = [Malformed(row, *record) for row, record in enumerate(found) if record.__class__ is Bad]
        if not malformed:
            return Rows(self.name, since, self._at, None, found, places)
        numbers = [row for row, record in enumerate(found) if record.__class__ is not Bad]
        return Rows(self.name, since, self._at, None, [found[row] for row in numbers], places, malformed, numbers)

    # --- bytes -------------------------------------------------------------------------------------------------

    def _pass(self, length: int) -> None:
        """Moves the position on."""
        if length:
            data = self._data[self._next : self._next + length]
            at = self._at
            check = zlib.crc32(data, at.check)
            self._at = Position(at.row, at.line + data.count(b"\n"), at.offset + length, check)
            self._next += length

    def _more(self) -> bool:
        held = self._data[self._next :]
        chunk = b"" if self._ended else self._read(max(CHUNK, len(held)))
        self._ended = not chunk
        self._data, self._next = held + chunk, 0
        return not self._ended
