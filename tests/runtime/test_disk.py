"""What is said of a disk that is full."""

import errno
import os
import re
import sqlite3

import pytest

from engine.errors import Halt
from engine.runtime.disk import room_left, told


def halt(cause, where):
    try:
        raise Halt("it cannot be written", where=str(where), code="disk") from cause
    except Halt as error:
        return error


def full():
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


@pytest.mark.parametrize("cause", [OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "quota"), full()])
def test_a_full_disk_is_told_with_the_room_that_is_left(tmp_path, cause):
    where = tmp_path / "not" / "there" / "dead.jsonl"
    found = re.fullmatch(r"; ([\d,]+) bytes are free there", room_left(halt(cause, where), str(where)))
    assert found
    free = int(found[1].replace(",", ""))
    now = os.statvfs(tmp_path)
    assert free == pytest.approx(now.f_bavail * now.f_frsize, rel=0.2)
    assert told(halt(cause, where)).endswith(f"bytes are free there ({where})")


def test_other_troubles_are_not_a_matter_of_room(tmp_path):
    for cause in (OSError(errno.EIO, "broken"), sqlite3.OperationalError("locked"), None):
        assert told(halt(cause, tmp_path)) == f"it cannot be written ({tmp_path})"
    assert told(Halt("no")) == "no"


@pytest.mark.parametrize(
    ("free", "said"), [(0, "; 0 bytes are free there"), (4096, "; 4,096 bytes are free there"), (1 << 30, "")]
)
def test_sqlite_may_call_a_full_disk_a_failing_one(tmp_path, monkeypatch, free, said):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    monkeypatch.setattr("engine.runtime.disk._free", lambda place: free)
    assert room_left(halt(error, tmp_path), str(tmp_path)) == said
