"""The part file: where a sink's bytes wait until they may stand under their final name."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.plugin import Halt, Refused

BUFFER = 256 * 1024


@contextmanager
def telling(path: Path) -> Iterator[None]:
    """Turns errors of the disk into `Halt`: the position is kept, and there may be room later."""
    try:
        yield
    except OSError as error:
        raise Halt(f"{path} cannot be written: {error.strerror or error}", where=str(path), code="disk") from error


class Part:
    """An append-only file, private to its owner and locked while it is open. Its bytes count once they are synced."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.length = 0  # bytes appended, written or not
        self.check = 0  # CRC-32 of these bytes
        self._pending: list[bytes] = []
        self._waiting = 0
        self._synced = -1
        self._file: int | None = None

    def open(self, length: int, check: int = 0) -> None:
        """Starts (length 0), or goes on after the first `length` bytes; raises `Refused` where they are not there."""
        with telling(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            try:
                self._file = os.open(self.path, flags)
            except FileNotFoundError:
                if length:
                    raise Refused(
                        f"{self.path}, which holds what was written so far, is gone; start with --fresh"
                    ) from None
                self._file = os.open(self.path, flags | os.O_CREAT | os.O_EXCL, 0o600)
                sync_folder(self.path.parent)
        try:
            self._own(length, check)
        except BaseException:
            self.close()
            raise

    def _own(self, length: int, check: int) -> None:
        assert self._file is not None
        with telling(self.path):
            self._adopt(self._file, length)
        self.length, self.check = length, check

    def _adopt(self, file: int, length: int) -> None:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise Refused(f"{self.path} is not a regular file")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"{self.path} is being written by another run") from None
        if found.st_size < length:
            raise Refused(f"{self.path} is shorter than the {length} bytes that were written; start with --fresh")
        os.fchmod(file, 0o600)
        os.ftruncate(file, length)
        os.lseek(file, length, os.SEEK_SET)
        self._pending, self._waiting, self._synced = [], 0, -1

    def append(self, data: bytes) -> None:
        self._pending.append(data)
        self._waiting += len(data)
        self.length += len(data)
        self.check = zlib.crc32(data, self.check)
        if self._waiting >= BUFFER:
            self.flush()

    def take_over(self, other: Path, start: int, end: int) -> None:
        """Appends the bytes of another file from `start` to `end`."""
        with telling(other), other.open("rb") as file:
            file.seek(start)
            while start < end and (piece := file.read(min(end - start, BUFFER))):
                self.append(piece)
                start += len(piece)
        if start < end:
            raise Refused(f"{other} is shorter than the {end} bytes that were written; start with --fresh")

    def flush(self) -> None:
        data = memoryview(b"".join(self._pending))
        with telling(self.path):
            while data and self._file is not None:
                data = data[os.write(self._file, data) :]
        self._pending, self._waiting = [], 0

    def sync(self) -> None:
        """Everything appended is on disk."""
        if self._synced == self.length or self._file is None:
            return
        self.flush()
        with telling(self.path):
            os.fsync(self._file)
        self._synced = self.length

    def become(self, final: Path) -> None:
        """Takes the place of `final` at once, with the mode that `final` had or that a new file gets."""
        self.sync()
        with telling(final):
            assert self._file is not None
            os.fchmod(self._file, _mode(final))
            os.replace(self.path, final)  # noqa: PTH105
            sync_folder(final.parent)

    def close(self) -> None:
        """Lets go. What was not synced need not be there."""
        if self._file is not None:
            os.close(self._file)
            self._file, self._pending = None, []


def _mode(final: Path) -> int:
    try:
        return stat.S_IMODE(final.stat().st_mode)
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask


def sync_folder(folder: Path) -> None:
    """Makes names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def reclaim(part: Path, final: Path, length: int, check: int) -> None:
    """Where a run was cut off right after it finished, its file stands under the final name: it is copied back.

    It is known by its first `length` bytes, whose CRC-32 is `check`.
    """
    with telling(part):
        if length and not part.exists() and final.is_file() and _check(final, length) == check:
            copy = part.with_name(part.name + ".copy")
            handle = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with final.open("rb") as source, os.fdopen(handle, "wb") as target:
                shutil.copyfileobj(source, target)
                target.flush()
                os.fsync(handle)  # under its name it is whole, also after a power cut
            os.replace(copy, part)  # noqa: PTH105


def _check(file: Path, length: int) -> int | None:
    """The CRC-32 of the first `length` bytes; None where there are fewer."""
    check = 0
    with file.open("rb") as data:
        while length and (piece := data.read(min(length, BUFFER))):
            check = zlib.crc32(piece, check)
            length -= len(piece)
    return None if length else check
