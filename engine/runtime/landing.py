"""Where a downloaded body goes: a part file that a cut download leaves behind and the next attempt goes on with.

The part file's ETag stands in a file beside it, so that a download is gone on with over kills, but only while the
vendor still has the same bytes (`If-Range`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from engine.errors import Halt, NoAnswer
from engine.model import Landing
from engine.runtime.folders import make_private

CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


def asking(landing: Landing) -> dict[str, str]:
    """The headers that ask for what is still missing of the file; none where nothing certain is there."""
    size, etag = _length(landing), _etag(landing)
    return {"Range": f"bytes={size}-", "If-Range": etag} if size and etag else {}


def land(landing: Landing, status: int, headers: Mapping[str, str], chunks: Iterable[bytes]) -> int:
    """Writes an answer's body to the part file; returns the file's size when it is whole.

    `NoAnswer` where the body ends before its announced length: what came stays for the next attempt.
    """
    with closing(Arrival(landing, status, headers)) as arrival:
        for chunk in chunks:
            arrival.write(chunk)
        return arrival.whole()


class Arrival:
    """A body that is coming in, piece by piece; the whole `land` for who is handed the pieces.

    To be closed; what is there by then stays for the next attempt.
    """

    def __init__(self, landing: Landing, status: int, headers: Mapping[str, str]) -> None:
        self._path = landing.path
        self._size, self._announced = _place(landing, status, headers)
        _remember(landing, headers)
        with told(self._path):
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            os.ftruncate(self._file, self._size)
            os.lseek(self._file, self._size, os.SEEK_SET)

    def write(self, data: bytes) -> None:
        self._size += len(data)
        view = memoryview(data)
        with told(self._path):
            while view:
                view = view[os.write(self._file, view) :]

    def whole(self) -> int:
        """The body has come to its end: the file's size, once it is on disk; `NoAnswer` where it ended too early."""
        with told(self._path):
            os.fsync(self._file)
        if self._announced is not None and self._size != self._announced:
            raise NoAnswer(f"the download ended after {self._size} of {self._announced} bytes", ambiguous=True)
        return self._size

    def close(self) -> None:
        os.close(self._file)


def forget(landing: Landing) -> None:
    """The part file and what is known of it go."""
    for path in (Path(landing.path), _note(landing)):
        path.unlink(missing_ok=True)


def _place(landing: Landing, status: int, headers: Mapping[str, str]) -> tuple[int, int | None]:
    """Where the body starts in the file, and how long the whole file will be, if the answer says so."""
    if status == 206:
        found = CONTENT_RANGE.fullmatch(headers.get("content-range", ""))
        if found is None or int(found[1]) > _length(landing):
            forget(landing)
            raise NoAnswer("a part of the file came that was not asked for", ambiguous=True)
        return int(found[1]), None if found[2] == "*" else int(found[2])
    length = headers.get("content-length", "")
    return 0, int(length) if length.isdecimal() else None


def _length(landing: Landing) -> int:
    try:
        return Path(landing.path).stat().st_size
    except FileNotFoundError:
        return 0


def _note(landing: Landing) -> Path:
    return Path(landing.path + ".etag")


def _etag(landing: Landing) -> str:
    try:
        return _note(landing).read_text("latin-1")
    except FileNotFoundError:
        return ""


def _remember(landing: Landing, headers: Mapping[str, str]) -> None:
    """A strong ETag only: a weak one does not promise the same bytes."""
    etag = headers.get("etag", "")
    with told(landing.path):
        make_private(Path(landing.path).parent)
        if etag.startswith('"') and etag.isprintable():
            with os.fdopen(_private(_note(landing)), "w", encoding="latin-1") as file:
                file.write(etag)
        else:
            _note(landing).unlink(missing_ok=True)


def _private(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)


@contextmanager
def told(path: str) -> Iterator[None]:
    """Turns errors of the disk into `Halt`; those of a connection pass."""
    try:
        yield
    except (NoAnswer, ConnectionError, TimeoutError):
        raise
    except OSError as error:
        raise Halt(f"it cannot be written: {error.strerror or error}", where=path, code="disk") from error
