"""Cuts a stream of bytes into blocks of whole lines, in bounded memory and without losing count of a byte."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from itertools import accumulate

Read = Callable[[int], bytes]  # about so many bytes; b"" only at the end

CHUNK = 128 * 1024  # what is read at once
FEW = 4  # rows of a block that are looked for one by one; where more are asked for, all are found at once
HEAD = 4096  # bytes of an over-long line that are kept for its dead letter


class Again:
    """Reads `head` once more, then goes on."""

    def __init__(self, head: bytes, read: Read) -> None:
        self._head, self._read = head, read

    def __call__(self, size: int) -> bytes:
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._read(size)


def chopped(block: bytes, newline: bytes) -> list[bytes]:
    """The lines of a block with their line ends, which only the last may lack; wide ones count when aligned."""
    if len(newline) == 1:
        lines = [line + newline for line in block.split(newline)]
        lines[-1] = lines[-1][:-1]
        return lines if lines[-1] else lines[:-1]
    lines, start = [], 0
    while (end := aligned(block, newline, start)) >= 0:
        lines.append(block[start : end + len(newline)])
        start = end + len(newline)
    return [*lines, block[start:]] if start < len(block) else lines


def aligned(data: bytes, newline: bytes, start: int, origin: int = 0) -> int:
    """Where the next line end at or after `start` begins, -1 if none; characters begin at multiples from `origin`."""
    width = len(newline)
    at = data.find(newline, start)
    while width > 1 and at >= 0 and (at - origin) % width:
        at = data.find(newline, at + 1)
    return at


class Spots:
    """Where each row of a block starts. Nothing is computed before somebody asks.

    Every line is a row unless `kept` names the lines that are.
    """

    __slots__ = ("asked", "block", "kept", "line", "newline", "offset", "starts")

    def __init__(self, block: bytes, newline: bytes, line: int, offset: int, kept: list[int] | None = None) -> None:
        self.block, self.newline, self.line, self.offset, self.kept = block, newline, line, offset, kept
        self.starts: list[int] | None = None
        self.asked = 0

    def __call__(self, row: int) -> tuple[int, int]:
        line = row if self.kept is None else self.kept[row]
        if self.starts is None:
            self.asked += 1
            if self.asked <= FEW and len(self.newline) == 1:
                behind = self.block.split(self.newline, line)
                if len(behind) > line:
                    return self.line + line, self.offset + len(self.block) - len(behind[line])
            lengths = map(len, chopped(self.block, self.newline))
            self.starts = list(accumulate(lengths, initial=self.offset))
        return self.line + line, self.starts[line]


class Blocks:
    """Blocks of whole lines from `read`. A line longer than `cap` bytes stops the taking until it is skipped."""

    def __init__(self, read: Read, newline: bytes, cap: int, offset: int = 0) -> None:
        self.newline, self.cap = newline, cap
        self.offset = offset  # bytes of the stream before the next block
        self.overlong = False  # the next line is longer than `cap`: `skip_line`
        self._read = read
        self._buffer, self._at, self._ended = b"", 0, False

    def take(self, size: int) -> bytes:
        """Whole lines of about `size` bytes, or one line that is longer than that.

        The last line of the stream may lack its line end. b"": nothing is left, or `overlong`.
        """
        self.overlong = False
        while len(self._buffer) - self._at < size and self._more():
            pass
        end = self._last_line_end(self._at + size)
        if end < 0:
            end = self._first_line_end(self._at + size)
        return self._cut(end)

    def _cut(self, end: int) -> bytes:
        block = self._buffer[self._at : end]
        self._at = end
        self.offset += len(block)
        return block

    def give_back(self, data: bytes) -> None:
        """Puts back the bytes that were taken last."""
        self.offset -= len(data)
        if len(data) <= self._at:
            self._at -= len(data)
        else:
            self._buffer, self._at = data + self._buffer[self._at :], 0

    def skip_line(self, check: int) -> tuple[bytes, int, bool]:
        """Skips one line of any length in constant memory.

        Gives its first bytes, the CRC-32 that `check` becomes, and whether the line had an end.
        """
        head = b""
        while True:
            width = len(self.newline)
            end = aligned(self._buffer, self.newline, self._at, self._at)
            rest = len(self._buffer) - self._at
            stop = end + width if end >= 0 else self._at + (rest if self._ended else rest - rest % width)
            piece = self._cut(stop)
            check = zlib.crc32(piece, check)
            head += piece[: HEAD - len(head)]
            if end >= 0 or not self._more():
                self.overlong = False
                return head, check, end >= 0

    def skip_to(self, offset: int) -> bool:
        """Reads on to `offset`; False where the stream ends before it."""
        while self.offset < offset:
            if self._at == len(self._buffer) and not self._more():
                return False
            self._cut(min(len(self._buffer), self._at + offset - self.offset))
        return True

    def _more(self) -> bool:
        """Reads a chunk, more when much is held already, so that long lines are not copied over and over."""
        if self._ended:
            return False
        held = self._buffer[self._at :]
        chunk = self._read(max(CHUNK, len(held)))
        self._ended = not chunk
        self._buffer, self._at = held + chunk, 0
        return not self._ended

    def _last_line_end(self, limit: int) -> int:
        """The end of the last line that ends at or before `limit`; all there is, at the end; -1 for none."""
        if self._ended and len(self._buffer) <= limit and len(self._buffer) - self._at <= self.cap:
            return len(self._buffer)
        width = len(self.newline)
        end = self._buffer.rfind(self.newline, self._at, limit)
        while width > 1 and end >= 0 and (end - self._at) % width:
            end = self._buffer.rfind(self.newline, self._at, end + width - 1)
        return end + width if end >= 0 else -1

    def _first_line_end(self, scan: int) -> int:
        """The end of the line that is longer than was asked for; sets `overlong` when it passes the cap."""
        width = len(self.newline)
        scanned = max(0, scan - self._at - width)
        while True:
            end = aligned(self._buffer, self.newline, self._at + scanned, self._at)
            known = (end if end >= 0 else len(self._buffer)) - self._at
            if known > (self.cap if end >= 0 else self.cap + width):
                self.overlong = True
                return self._at
            if end >= 0:
                return end + width
            scanned = max(0, known - width)
            if not self._more():
                self.overlong = len(self._buffer) - self._at > self.cap
                return self._at if self.overlong else len(self._buffer)
