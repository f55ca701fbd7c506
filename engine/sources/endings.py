"""The end of a stream of lines: lines that are no rows, and one that is not written to its end yet."""

from __future__ import annotations

from collections.abc import Callable

from engine.sources.blocks import CHUNK, Read


class Ending:
    """`read` less the last `footer` lines that are not blank and, of a file that `grows`, less a line without end.

    As much is held back as may belong to them, though never more than `footer` + 1 lines of the greatest length.
    `newline` is one byte.
    """

    def __init__(self, read: Read, newline: bytes, footer: int, grows: bool, cap: int) -> None:
        self._read, self._newline, self._footer, self._grows = read, newline, footer, grows
        self._most = (footer + 1) * (cap + len(newline))
        self._held, self._ended = b"", False
        self.left = b""  # what a file that grows has of a last line without end, as far as it is known to be left

    def __call__(self, size: int) -> bytes:
        while not self._ended:
            data = self._read(max(size, CHUNK))
            self._held += data
            self._ended = not data
            sure = self._final() if self._ended else self._sure()
            if sure or self._ended:
                if self._ended and self._grows:
                    self.left = self._held[self._held.rfind(self._newline) + 1 :]
                given, self._held = self._held[:sure], b"" if self._ended else self._held[sure:]
                return given
        return b""

    def _sure(self) -> int:
        """How many of the bytes held belong to rows, whatever follows."""
        return max(_before_last(self._held, self._newline, self._footer, whole=True), len(self._held) - self._most, 0)

    def _final(self) -> int:
        return _before_last(self._held, self._newline, self._footer, whole=self._grows)


def _before_last(data: bytes, newline: bytes, lines: int, *, whole: bool) -> int:
    """Where the last `lines` lines that are not blank begin; one without end counts unless only `whole` ones do."""
    end = data.rfind(newline) + 1 if whole else len(data)
    while lines and end:
        start = data.rfind(newline, 0, end - 1) + 1
        lines -= bool(data[start:end].strip())
        end = start
    return end


Shortened = Callable[[Read], Read]


def shortened(newline: bytes, footer: int, grows: bool, cap: int) -> Shortened:
    """What makes a `read` end where the rows end."""
    if not footer and not grows:
        return lambda read: read
    return lambda read: Ending(read, newline, footer, grows, cap)


def is_cut(read: Read) -> bool:
    """Did a `read` that is at its end hold back a line, one that is not blank, for want of its end?"""
    return isinstance(read, Ending) and bool(read.left.strip())
