"""Where a file of lines may be cut so that every record is whole: for readers that each take a range of it.

A file is only cut where that is certain. Without quotes every line end is the end of a record. With quotes, a block
is sure when all of its quotes belong to cells that are quoted from their beginning to their end; where any does not,
nothing behind it is cut.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from engine.plugin import Position
from engine.sources.blocks import Read

BLOCK = 1024 * 1024  # bytes looked at together

Certain = Callable[[bytes], bool]  # is a block, which ends in a line end outside quotes, nothing but whole records?


def record_ends(read: Read, begin: Position, block: int, quote: bytes, certain: Certain) -> Iterator[Position]:
    """Places behind whole records, at most `block` bytes apart, from `begin` on, where `read` starts.

    Rows are not counted. Ends at the end of the file, or where no place is certain any more: where a record may be
    longer than `block`, too.
    """
    at, held = begin, b""
    while len(held) < block and (more := read(block - len(held))):
        held += more
        end = _last_end(held, quote)
        if end == 0 or not certain(held[:end]):
            return
        done, held = held[:end], held[end:]
        check = zlib.crc32(done, at.check)
        at = Position(0, at.line + done.count(b"\n"), at.offset + len(done), check)
        yield at


def _last_end(data: bytes, quote: bytes) -> int:
    """Behind the last line end with an even number of quotes before it; 0 where there is none."""
    end = data.rfind(b"\n") + 1
    odd = data.count(quote, 0, end) % 2 if quote else 0
    while end and odd:
        before = data.rfind(b"\n", 0, end - 1) + 1
        odd = (odd + data.count(quote, before, end)) % 2
        end = before
    return end


def certainty(delimiter: bytes, quote: bytes, *, doubled: bool) -> Certain:
    """What tells whether a block of delimited text holds nothing but whole records. No quote: lines are records."""
    if not quote:
        return lambda block: True
    d, q = re.escape(delimiter), re.escape(quote)
    inner = rb"[^%b]*(?:%b[^%b]*)*" % (q, q + q, q) if doubled else rb"[^%b]*" % q
    # The quote first and what must be before it second: so the search goes from quote to quote, not byte by byte.
    cell = re.compile(rb"%b(?:(?<=%b%b)|(?<=\n%b)|(?<=\A%b))%b%b(?=%b|\r?\n)" % (q, d, q, q, q, inner, q, d))

    def certain(block: bytes) -> bool:
        if quote not in block:
            return True
        rest = cell.sub(b"", block)  # a lone carriage return makes a row bad, and its other lines rows of their own
        return quote not in rest and rest.count(b"\r") == rest.count(b"\r\n")

    return certain


class Until:
    """A file that ends at an offset."""

    def __init__(self, file: Any, end: int) -> None:
        self._file, self._end = file, end

    def read(self, size: int) -> bytes:
        data: bytes = self._file.read(max(0, min(size, self._end - self._file.tell())))
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        moved: int = self._file.seek(offset, whence)
        return moved
