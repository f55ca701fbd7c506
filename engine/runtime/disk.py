"""What to say of a disk that is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from engine.errors import Halt

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
SQLITE_FULL, SQLITE_IOERR = 13, 10
LITTLE = 1024 * 1024  # bytes; with less, SQLite may call a full disk a failing one


def told(error: Halt) -> str:
    """Its reason, and where; and how much room is left there, where a disk is full."""
    return f"{error}{room_left(error, error.where)}" + (f" ({error.where})" if error.where else "")


def room_left(error: BaseException, where: str) -> str:
    """`; 4,096 bytes are free there`, or nothing where another trouble than a full disk caused the error.

    `where` is the path that could not be written.
    """
    cause = error.__cause__
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    full = code == SQLITE_FULL or (isinstance(cause, OSError) and cause.errno in FULL)
    if not full and code != SQLITE_IOERR:
        return ""
    free = _free(Path(where).absolute())
    return "" if free is None or (free > LITTLE and not full) else f"; {free:,} bytes are free there"


def _free(place: Path) -> int | None:
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize
