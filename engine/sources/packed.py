"""Compressed streams, told by their content and not by their name, unpacked piece by piece.

A stream that is cut short, damaged or followed by anything else raises `Refused`, after what came before was read.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from engine.plugin import InvalidPipeline, Refused
from engine.sources.blocks import Again, Read

SIGNATURES = (
    ("gz", re.compile(rb"\x1f\x8b")),
    ("bz2", re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)")),
    ("xz", re.compile(rb"\xfd7zXZ\x00")),
    ("zst", re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", re.S)),
)
ARCHIVE = re.compile(rb"PK\x03\x04|PK\x05\x06")
LONGEST = 10  # bytes of the longest signature
OUT = 128 * 1024  # unpacked bytes at once
PIECES = {"zst": 128}  # zstandard unpacks a piece whole: a small one bounds what a bomb can do (4 MiB)
IN = 64 * 1024

NAMES = {"gz": "gz", "gzip": "gz", "bz2": "bz2", "bzip2": "bz2", "xz": "xz", "zst": "zst", "zstd": "zst"}
CHOICES = ("auto", "none", *NAMES)


class Member(Protocol):
    """One member of a stream, as bz2 and lzma offer it."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...

    def decompress(self, data: bytes, limit: int, /) -> bytes: ...


class Gzip:
    """zlib's own object with the bounded output that the other modules offer."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=31)
        self._full = False

    def decompress(self, data: bytes, limit: int) -> bytes:
        piece = self._member.decompress(self._member.unconsumed_tail + data, limit)
        self._full = len(piece) == limit  # there may be more to come from what it has taken in
        return piece

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    @property
    def needs_input(self) -> bool:
        return not (self._full or self._member.unconsumed_tail)


class Zstandard:
    def __init__(self) -> None:
        self._member: Any = zstandard().ZstdDecompressor().decompressobj()

    def decompress(self, data: bytes, limit: int) -> bytes:
        unpacked: bytes = self._member.decompress(data)
        return unpacked

    @property
    def eof(self) -> bool:
        return bool(self._member.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._member.unused_data)

    needs_input = True


def zstandard() -> Any:
    """The library, or an error that says how to get it."""
    try:
        import zstandard as library
    except ImportError as error:
        raise InvalidPipeline("zst files need the library zstandard: pip install 'engine[zstd]'") from error
    return library


def _xz() -> Member:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=512 * 1024 * 1024)


MEMBERS: dict[str, Callable[[], Member]] = {"gz": Gzip, "bz2": bz2.BZ2Decompressor, "xz": _xz, "zst": Zstandard}


def unpacked(read: Read, compression: str, name: str) -> tuple[Read, bool]:
    """`read` with the compression taken off, and whether there was any; `name` is for messages."""
    head = b""
    while len(head) < LONGEST and (more := read(IN)):
        head += more
    if ARCHIVE.match(head):
        raise InvalidPipeline(f"{name} is a zip archive or an Excel workbook; unpack it or save it as CSV")
    kind = _kind(head, compression, name)
    rest = Again(head, read)
    if kind is None or not head:
        return rest, False
    return Unpacked(rest, kind, name).read, True


def _kind(head: bytes, compression: str, name: str) -> str | None:
    found = next((kind for kind, signature in SIGNATURES if signature.match(head)), None)
    if compression == "auto":
        return found
    wanted = NAMES.get(compression)
    if wanted is not None and head and found != wanted:
        raise Refused(f"{name} is not {compression}: its content is {found or 'not compressed'}")
    return wanted


class Unpacked:
    """The content of one member after the other."""

    def __init__(self, read: Read, kind: str, name: str) -> None:
        self._read, self._kind, self._name = read, kind, name
        self._size = PIECES.get(kind, IN)
        self._held, self._at = b"", 0  # packed bytes that were read, and how many of them are used up
        self._done = 0
        self._pieces = self._told()
        self._error: Refused | None = None

    def read(self, size: int) -> bytes:
        """About `size` bytes. What is wrong with the stream is told after all that came before it."""
        pieces, length = [], 0
        try:
            while length < size and self._error is None and (piece := next(self._pieces, b"")):
                pieces.append(piece)
                length += len(piece)
        except Refused as error:
            self._error = error
        if self._error is not None and not pieces:
            raise self._error
        return b"".join(pieces)

    def _told(self) -> Iterator[bytes]:
        """The pieces, with every library's errors as `Refused`."""
        try:
            yield from self._unpack()
        except (zlib.error, OSError, ValueError, EOFError, lzma.LZMAError) as error:
            raise self._refused(str(error)) from error
        except Exception as error:
            if type(error).__name__ != "ZstdError":
                raise
            raise self._refused(str(error)) from error

    def _unpack(self) -> Iterator[bytes]:
        member = MEMBERS[self._kind]()
        while True:
            piece = member.decompress(self._input() if member.needs_input else b"", OUT)
            if piece:
                self._done += len(piece)
                yield piece
            if member.eof:
                self._held, self._at = member.unused_data + self._held[self._at :], 0
                if not self._goes_on():
                    return
                member = MEMBERS[self._kind]()

    def _input(self) -> bytes:
        if self._at >= len(self._held):
            self._held, self._at = self._read(IN), 0
        if not self._held:
            raise self._refused("it ends early")
        packed = self._held[self._at : self._at + self._size]
        self._at += len(packed)
        return packed

    def _goes_on(self) -> bool:
        """Is there a concatenated member? Zeros may pad the end, anything else may not."""
        rest = self._held
        while rest.count(0) == len(rest) and (more := self._read(IN)):
            rest = more
        if rest.count(0) == len(rest):
            return False
        while len(rest) < LONGEST and (more := self._read(IN)):
            rest += more
        if not dict(SIGNATURES)[self._kind].match(rest):
            raise self._refused("something that does not belong to it follows its end")
        self._held = rest
        return True

    def _refused(self, why: str) -> Refused:
        return Refused(
            f"{self._name} is incomplete or damaged ({self._kind}: {why}; {self._done} bytes could be unpacked); "
            "put a whole file in its place and run again"
        )
