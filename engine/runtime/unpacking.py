"""One packed file made plain: zip with one member, gzip, told by the first bytes; hostile ones are bounded."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, cast

from engine.errors import Halt

MOST = 8 * 1024**3  # bytes that a file may have unpacked
RATIO = 200  # times its packed size, judged past `FREE` bytes
FREE = 16 * 1024 * 1024
PIECE = 1024 * 1024


def unpack(packed: Path, plain: Path, *, most: int = MOST, ratio: int = RATIO) -> Path:
    """The file to read: `packed` itself where it is not packed, else `plain`, written whole.

    The names inside an archive play no part. `Halt` for what is damaged, not one file, or too large.
    """
    with packed.open("rb") as file:
        signature = file.read(4)
    if not signature.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b")):
        return packed
    limit = min(most, max(FREE, ratio * packed.stat().st_size))
    try:
        if signature.startswith(b"PK"):
            _unzip(packed, plain, limit)
        else:
            with gzip.open(packed) as content:
                _copy(cast(IO[bytes], content), plain, limit)
    except (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, NotImplementedError, RuntimeError) as error:
        raise _wrong(f"is damaged ({error})") from error
    return plain


def _unzip(packed: Path, plain: Path, limit: int) -> None:
    with zipfile.ZipFile(packed) as archive:
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise _wrong(f"holds {len(members)} files where one is expected")
        with archive.open(members[0]) as content:
            _copy(content, plain, limit)


def _copy(content: IO[bytes], plain: Path, limit: int) -> None:
    left = limit
    target = os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(target, "wb") as out:
        while piece := content.read(PIECE):
            left -= len(piece)
            if left < 0:
                raise _wrong(f"unpacks to more than {limit} bytes")
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())


def _wrong(what: str) -> Halt:
    return Halt(f"the file that was fetched {what}", code="bad-archive")
