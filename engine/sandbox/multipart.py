"""A form upload read as a stream: short fields in memory, the last part, `file`, straight into a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

BOUNDARY = re.compile(r'multipart/form-data;.*?boundary="?([^";]+)"?', re.I)
NAME = re.compile(rb'form-data;.*?\bname="([^"]*)"', re.I)
FIELD_CAP = 64 * 1024  # bytes of a field, and of a part's headers


class BadForm(Exception):
    """It is no form upload, or not one as storage takes it."""


class FormReader:
    """Reads a body given in chunks; `fields` in their order, `size` of the file part."""

    def __init__(self, content_type: str, chunks: Iterable[bytes], target: BinaryIO) -> None:
        found = BOUNDARY.match(content_type)
        if found is None:
            raise BadForm("it is no multipart form")
        self._mark = b"\r\n--" + found[1].encode("latin-1")
        self._chunks: Iterator[bytes] = iter(chunks)
        self._held = b"\r\n"  # the first boundary has no line before it
        self.fields: dict[str, str] = {}
        self.size = -1
        self._read(target)

    def _read(self, target: BinaryIO) -> None:
        if b"".join(self._until(self._mark)) != b"":
            raise BadForm("there is something before the first part")
        while not self._ended():
            if self.size >= 0:
                raise BadForm("a part comes after the file")
            name = self._name()
            if name == "file":
                self.size = sum(target.write(piece) for piece in self._until(self._mark))
            else:
                self.fields[name] = self._short(self._mark).decode("utf-8", "replace")
        if self.size < 0:
            raise BadForm("there is no part named file")

    def _ended(self) -> bool:
        """After a boundary: two hyphens end the form, a line end begins a part."""
        while len(self._held) < 2:
            self._more()
        mark, self._held = self._held[:2], self._held[2:]
        if mark not in (b"--", b"\r\n"):
            raise BadForm("a boundary is followed by neither a part nor the end")
        return mark == b"--"

    def _name(self) -> str:
        found = NAME.search(self._short(b"\r\n\r\n"))
        if found is None:
            raise BadForm("a part has no name")
        return found[1].decode("utf-8", "replace")

    def _short(self, mark: bytes) -> bytes:
        found = b""
        for piece in self._until(mark):
            found += piece
            if len(found) > FIELD_CAP:
                raise BadForm("a field is too long")
        return found

    def _until(self, mark: bytes) -> Iterator[bytes]:
        """What comes before `mark`, piece by piece; the mark itself is passed over."""
        while (at := self._held.find(mark)) < 0:
            keep = len(mark) - 1
            ready, self._held = self._held[:-keep], self._held[-keep:]
            if ready:
                yield ready
            self._more()
        ready, self._held = self._held[:at], self._held[at + len(mark) :]
        if ready:
            yield ready

    def _more(self) -> None:
        piece = next(self._chunks, b"")
        if not piece:
            raise BadForm("it is cut short")
        self._held += piece
