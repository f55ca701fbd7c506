"""Where a downloaded body goes: a part file that a cut download leaves behind and the next attempt goes on with.

The part file's ETag stands in a file beside it, so that a download is gone on with over kills, but only while the
vendor still has the same bytes (`If-Range`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
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
    start, whole = _place(landing, status, headers)
    _remember(landing, headers)
    size = start
    with told(landing.path), _opened(landing, start) as file:
        for chunk in chunks:
            _write(file, chunk)
            size += len(chunk)
        os.fsync(file)
    if whole is not None and size != whole:
        raise NoAnswer(f"the download ended after {size} of {whole} bytes", ambiguous=True)
    return size


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
def _opened(landing: Landing, start: int) -> Iterator[int]:
    file = os.open(landing.path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        os.ftruncate(file, start)
        os.lseek(file, start, os.SEEK_SET)
        yield file
    finally:
        os.close(file)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


@contextmanager
def told(path: str) -> Iterator[None]:
    """Turns errors of the disk into `Halt`; those of a connection pass."""
    try:
        yield
    except (NoAnswer, ConnectionError, TimeoutError):
        raise
    except OSError as error:
        raise Halt(f"it cannot be written: {error.strerror or error}", where=path, code="disk") from error
