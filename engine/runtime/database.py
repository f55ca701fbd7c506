"""The SQLite file of a state directory: made whole or not at all, looked at before it is used, moved aside if asked.

WAL mode with `synchronous=NORMAL`: a killed process loses nothing that was committed; a power cut may lose the last
commits, which means sending again, never losing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import msgspec

from engine.errors import Halt, Refused
from engine.runtime.clock import iso
from engine.runtime.folders import make_private

VERSION = 1
TABLES = """
CREATE TABLE meta (version INTEGER NOT NULL);
CREATE TABLE heads (pipeline TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE tracks (pipeline TEXT, source TEXT, file TEXT, data BLOB NOT NULL,
                     PRIMARY KEY (pipeline, source, file));
CREATE TABLE runs (run_id TEXT PRIMARY KEY, pipeline TEXT, started_at TEXT, status TEXT, report BLOB);
CREATE TABLE memory (space TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (space, key));
"""
HEAD = b"SQLite format 3\0"
BESIDE = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database
NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


class Damaged(Refused):
    """The file is none that we can use, and no waiting mends it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"the state in {path} {why}; `engine state reset` or `engine run --fresh` moves it aside and starts anew"
        )


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Errors of SQLite and the disk as `Damaged`, or as `Halt` where another time may be better: locked, full."""
    try:
        yield
    except sqlite3.OperationalError as error:
        # SQLITE_ERROR is of the statement: ours are right, so the tables are not ours.
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_ERROR:
            raise Damaged(path, f"is damaged ({error})") from error
        raise Halt(f"cannot use the state: {error}", where=str(path), code="state") from error
    except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
        raise Damaged(path, f"is damaged ({error})") from error
    except OSError as error:
        raise Halt(f"cannot use the state: {error.strerror}", where=str(path), code="state") from error


def connect(path: Path) -> sqlite3.Connection:
    """Opens the database, which is made if there is none. Raises as `named_errors` says."""
    with named_errors(path):
        make_private(path.parent)
        if not path.exists():
            _create(path)
        _check_head(path, os.O_RDWR)
        return _checked(path, sqlite3.connect(path, timeout=5.0, isolation_level=None))


def connect_to_look(path: Path) -> sqlite3.Connection:
    """The same where the disk may be read-only; then nothing but reading works."""
    writable = os.access(path.parent, os.W_OK) and os.access(path, os.W_OK)
    if writable or _beside(path, "-wal").exists():
        return connect(path)
    with named_errors(path):
        _check_head(path, os.O_RDONLY)
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"  # SQLite would want to write a -shm otherwise
        return _checked(path, sqlite3.connect(uri, uri=True, isolation_level=None))


def _check_head(path: Path, flags: int) -> None:
    """Before SQLite sees it: it takes an empty file for a new database, and throws the log of a damaged one away."""
    file = os.open(path, flags | NOFOLLOW)
    try:
        head = os.pread(file, len(HEAD), 0)
    finally:
        os.close(file)
    if head != HEAD:
        raise Damaged(path, f"is damaged ({'it is no database' if head else 'it is empty'})")


def _checked(path: Path, db: sqlite3.Connection) -> sqlite3.Connection:
    try:
        _check(path, db)
        db.execute("PRAGMA synchronous=NORMAL")
    except BaseException:
        db.close()
        raise
    return db


def _check(path: Path, db: sqlite3.Connection) -> None:
    row = db.execute("SELECT version FROM meta").fetchone()
    if row is None:
        raise Damaged(path, "is damaged (it names no layout)")
    if row[0] != VERSION:
        raise Damaged(path, f"was written by another version of the engine (layout {row[0]}, not {VERSION})")
    if missing := _ours() - _columns(db):
        table, column = min(missing)
        raise Damaged(path, f"is damaged (there is no column {column} in a table {table})")


def _ours() -> set[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(TABLES)
        return _columns(db)


def _columns(db: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(db.execute("SELECT t.name, c.name FROM sqlite_master t, pragma_table_info(t.name) c"))


def _create(path: Path) -> None:
    """Makes the file elsewhere and names it when it is whole: a kill leaves no file that looks damaged."""
    with _alone(path):
        if path.exists():
            return  # another process made it meanwhile
        for left in path.parent.glob(f"{path.name}.new-*"):  # by one that was killed here
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=f"{path.name}.new-", dir=path.parent) as folder:
            new = Path(folder) / path.name
            os.close(os.open(new, os.O_RDWR | os.O_CREAT | NOFOLLOW, 0o600))
            with closing(sqlite3.connect(new, isolation_level=None)) as db:
                db.execute("PRAGMA journal_mode=WAL")
                db.executescript(TABLES)
                db.execute("INSERT INTO meta VALUES (?)", (VERSION,))
            for kind in BESIDE:  # of a database that is gone: SQLite would play it into this one
                _beside(path, kind).unlink(missing_ok=True)
            new.rename(path)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time makes the file or moves it."""
    make_private(path.parent / "locks")
    file = os.open(path.parent / "locks" / path.name, os.O_RDWR | os.O_CREAT | NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def move_aside(path: Path, mine: Path, now: float) -> Path:
    """Renames the file and what is beside it; gives its new place. `mine` is the lock that the caller holds.

    Raises `Refused` while a run of another pipeline has the directory, `Halt` where the disk refuses.
    """
    stamp = iso(now).partition(".")[0].translate({ord("-"): None, ord(":"): None, ord("Z"): None})
    with named_errors(path), _alone(path), ExitStack() as others:
        for lock in sorted(mine.parent.glob("*.lock")):
            if lock != mine:
                others.enter_context(_unused(lock, path))
        target = _free(path.with_name(f"{path.name}.damaged-{stamp}Z"))
        for kind in (*BESIDE, ""):  # the file last: no new one may find the old one's log beside it
            with suppress(FileNotFoundError):
                _beside(path, kind).rename(_beside(target, kind))
        return target


@contextmanager
def _unused(lock: Path, path: Path) -> Iterator[None]:
    file = os.open(lock, os.O_RDWR | NOFOLLOW)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Refused(f"{path} cannot be moved aside: a run of {lock.stem} is going on in its directory") from None
    finally:
        os.close(file)


def _free(path: Path) -> Path:
    """The path, or the first one with a number after it that is not taken."""
    number, free = 1, path
    while free.exists():
        number += 1
        free = _beside(path, f"-{number}")
    return free


def _beside(path: Path, kind: str) -> Path:
    return path.with_name(path.name + kind)


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; also where COMMIT itself fails, so that the next transaction may begin."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
