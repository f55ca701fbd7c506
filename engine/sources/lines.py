"""What every format of lines has in common: the way from blocks of bytes to `Rows`, with exact positions."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from engine.plugin import InvalidPipeline, Malformed, Position, Refused, Rows
from engine.sources.blocks import Again, Blocks, Read, chopped
from engine.sources.endings import is_cut, shortened
from engine.sources.text import Encoding, sniffed

ROWS = 200  # rows a micro-batch aims at
MOST_ROWS, FEWEST_ROWS = 2 * ROWS, 32
CACHED = 64 * 1024  # bytes of a block that are handled at their best
SMALLEST, FIRST, LARGEST = 2 * 1024, 16 * 1024, 1024 * 1024  # bytes of a block
MARK = "\ufeff".encode()
HEAD = 64 * 1024  # bytes looked at to tell the encoding and the line ends


class Bad(NamedTuple):
    """Why a row could not be read."""

    code: str
    reason: str
    raw: str


class Parsed(NamedTuple):
    """What a block, or its beginning, holds."""

    consumed: bytes
    rows: list[Any]  # records, and a `Bad` for each row that is none
    bad: bool  # is there any?
    locate: Callable[[int], tuple[int, int]]
    again: Callable[[], list[Any]] | None = None  # gives equal rows once more, where none is bad


class LineReader(ABC):
    """One opened file. `read` gives its bytes, unpacked, from the beginning.

    After construction `begin` is the position of the first row and `columns` tells what is known of the columns.
    """

    columns: tuple[str, ...] | None = None
    marked: int | None = None  # the first line with a byte order mark that is not the file's first character
    unfinished: tuple[int, str] | None = None  # a file that grows ends within a row, which is left: its line, and how

    def __init__(self, read: Read, name: str, encoding: str, cap: int, footer: int = 0, grows: bool = False) -> None:
        head = b""
        while len(head) < HEAD and (more := read(HEAD)):
            head += more
        self.name, self.cap = name, cap
        self.encoding: Encoding = sniffed(head, encoding)
        self.newline = self.line_end(head)
        self._newline = self.newline.encode(self.encoding.name)
        if (footer or grows) and len(self._newline) > 1:
            raise InvalidPipeline(
                f"{name} is {self.encoding.name}, where skip_footer and mode: append are not possible"
            )
        self._shortened = shortened(self._newline, footer, grows, cap)
        self._rest = self._shortened(Again(head, read))
        self.blocks = Blocks(self._rest, self._newline, cap)
        self.begin = Position()
        self.blocks.skip_to(self.encoding.mark)
        self._pass(head[: self.encoding.mark])

    def line_end(self, head: bytes) -> str:
        """How lines end in a file that starts with `head`."""
        return "\n"

    @abstractmethod
    def parse(self, block: bytes, at: Position) -> Parsed:
        """The rows of a block of whole lines; it may take more from `self.blocks`, or give some back."""

    def _pass(self, data: bytes) -> None:
        """Moves the beginning past bytes that are no rows: marks, skipped lines, the header."""
        self.begin = self._after(self.begin, data, 0)

    def _after(self, at: Position, data: bytes, rows: int, lines: int | None = None) -> Position:
        if lines is None:
            lines = data.count(self._newline)  # text in wide encodings may hold the bytes across two characters
            if len(self._newline) > 1 and lines:
                lines = data.decode(self.encoding.name, "replace").count(self.newline)
        return Position(at.row + rows, at.line + lines, at.offset + len(data), zlib.crc32(data, at.check))

    def resume(self, start: Position, seek: Callable[[int], Read] | None) -> None:
        """Goes to `start`: `seek` gives a `read` from an offset on; without it, by reading on."""
        if start.offset <= self.begin.offset:
            return
        if seek is not None:
            self._rest = self._shortened(seek(start.offset))
            self.blocks = Blocks(self._rest, self._newline, self.cap, start.offset)
        elif not self.blocks.skip_to(start.offset):
            raise Refused(f"{self.name} is shorter than the {start.offset} bytes that were read before")

    def batches(self, start: Position | None) -> Iterator[Rows]:
        """Micro-batches from `start` on, which `resume` has gone to."""
        at = since = start if start is not None and start.offset > self.begin.offset else self.begin
        size = FIRST
        while True:
            block = self.blocks.take(min(size, self.cap))
            if self.blocks.overlong:
                rows = self._giant(since, at)
            elif block:
                if self.marked is None and MARK in block and self.encoding.name.startswith("utf-8"):
                    self.marked = at.line + block.count(self._newline, 0, block.index(MARK))
                block, lines = self._few(block)
                parsed = self.parse(block, at)
                if not parsed.consumed:
                    self.unfinished = at.line, "within a quoted cell"
                    return
                rows = self._rows(parsed, since, at, lines if parsed.consumed is block else None)
                size = next_size(size, len(parsed.consumed), len(parsed.rows))
            else:
                if is_cut(self._rest):
                    self.unfinished = at.line, "without a line end"
                return
            at = rows.end
            if len(rows):  # blank lines alone go with the rows that follow them
                yield rows
                since = at

    def _few(self, block: bytes) -> tuple[bytes, int | None]:
        """The block, or its first lines when it has far too many: the others are given back. And its line ends."""
        lines = block.count(self._newline)
        if lines <= MOST_ROWS:
            return block, lines if len(self._newline) == 1 else None
        if len(self._newline) == 1:
            length = len(block) - len(block.split(self._newline, ROWS)[-1])
        else:
            length = sum(map(len, chopped(block, self._newline)[:ROWS]))
        self.blocks.give_back(block[length:])
        return block[:length], None

    def _rows(self, parsed: Parsed, since: Position, at: Position, lines: int | None) -> Rows:
        found = parsed.rows
        end = self._after(at, parsed.consumed, len(found), lines)
        if not parsed.bad:
            return Rows(self.name, since, end, self.columns, found, parsed.locate, again=parsed.again)
        numbers = [row for row, record in enumerate(found) if record.__class__ is not Bad]
        malformed = [Malformed(row, *record) for row, record in enumerate(found) if record.__class__ is Bad]
        records = [found[row] for row in numbers]
        return Rows(self.name, since, end, self.columns, records, parsed.locate, malformed, numbers)

    def _giant(self, since: Position, at: Position) -> Rows:
        head, check, ended = self.blocks.skip_line(at.check)
        reason = f"the line is longer than max_line ({self.cap} bytes); it has {self.blocks.offset - at.offset}"
        end = Position(at.row + 1, at.line + ended, self.blocks.offset, check)
        bad = Malformed(0, "line-too-long", reason, self.encoding.shown(head))
        return Rows(self.name, since, end, self.columns, [], [(at.line, at.offset)].__getitem__, [bad], [])


def next_size(size: int, taken: int, rows: int) -> int:
    """How much to take so that about `ROWS` rows come of it; fewer where they are long, as caches are small."""
    row = taken // max(rows, 1)
    wanted = min(row * ROWS, max(row * FEWEST_ROWS, CACHED))
    return max(SMALLEST, min(wanted, 4 * size, LARGEST))
