"""What to say of a disk that is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from engine.errors import Halt

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
SQLITE_FULL = 13


def told(error: Halt) -> str:
    """Its reason, and where; and how much room is left there, where a disk is full."""
    return f"{error}{room_left(error, error.where)}" + (f" ({error.where})" if error.where else "")


def room_left(error: BaseException, where: str) -> str:
    """`; 4,096 bytes are free there`, or nothing where another trouble than a full disk caused the error.

    `where` is the path that could not be written.
    """
    cause = error.__cause__
    full = isinstance(cause, OSError) and cause.errno in FULL
    if not full and getattr(cause, "sqlite_errorcode", None) != SQLITE_FULL:
        return ""
    place = Path(where).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        found = os.statvfs(place)
    except OSError:
        return ""
    return f"; {found.f_bavail * found.f_frsize:,} bytes are free there"
