"""Where a pipeline stands: checkpoints, run history and keyed memory in one SQLite file per state directory.

Four verbs: `load`, `commit`, `lock`, `memory`. WAL mode with `synchronous=NORMAL`: a killed process loses nothing
that was committed; a power cut may lose the last commits, which means sending again, never losing. The lock is the
kernel's (`flock`), so a kill frees it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from engine.errors import Halt, Refused
from engine.runtime.counts import Counts
from engine.runtime.folders import make_private
from engine.runtime.ledger import SavedTrack

VERSION = 1
TABLES = """
CREATE TABLE IF NOT EXISTS meta (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS heads (pipeline TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tracks (pipeline TEXT, source TEXT, file TEXT, data BLOB NOT NULL,
                                   PRIMARY KEY (pipeline, source, file));
CREATE TABLE IF NOT EXISTS runs (run_id TEXT PRIMARY KEY, pipeline TEXT, started_at TEXT, status TEXT, report BLOB);
CREATE TABLE IF NOT EXISTS memory (space TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (space, key));
"""


class Head(msgspec.Struct):
    """What is kept of an unfinished run besides its tracks."""

    run_id: str
    started_at: float  # epoch seconds
    seconds: float  # spent by earlier starts of this run
    mappings: dict[str, str]  # mapping → source
    counts: Counts
    writers: dict[str, Any] = {}
    elements: dict[str, str] = {}  # mapping → what tells its payloads of one record apart, as a digest
    abandoned: int = 0  # payloads that were in flight when an earlier start was interrupted


class State:
    """One pipeline's view of the state directory. Raises `Refused` for damaged state, `Halt` where it can't write."""

    def __init__(self, directory: Path, pipeline: str) -> None:
        self.directory, self.pipeline = directory, pipeline
        self.path = directory / "state.db"
        self._db: sqlite3.Connection | None = None

    # --- opening --------------------------------------------------------------------------------------

    @property
    def db(self) -> sqlite3.Connection:
        if self._db is None:
            with self._named_errors():
                self._db = self._connect()
        return self._db

    def _connect(self) -> sqlite3.Connection:
        make_private(self.directory)
        # The file is made by us, so that it is private from its first moment on.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
        db = sqlite3.connect(self.path, timeout=5.0, isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(TABLES)
        row = db.execute("SELECT version FROM meta").fetchone()
        if row is None:
            db.execute("INSERT INTO meta VALUES (?)", (VERSION,))
        elif row[0] != VERSION:
            db.close()
            raise Refused(
                f"{self.path} was written by another version of the engine (layout {row[0]}, not {VERSION})"
            )
        return db

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise Halt(f"cannot use the state: {error}", where=str(self.path), code="state") from error
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            raise Refused(
                f"the state in {self.path} is damaged ({error}); `engine state reset` or --fresh starts anew"
            ) from error
        except OSError as error:
            raise Halt(f"cannot use the state: {error.strerror}", where=str(self.path), code="state") from error

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    # --- the four verbs ----------------------------------------------------------------------------------

    def load(self) -> tuple[Head | None, list[SavedTrack]]:
        """The unfinished run, if there is one, and every track (those of finished `append` sources too)."""
        with self._named_errors():
            row = self.db.execute("SELECT data FROM heads WHERE pipeline = ?", (self.pipeline,)).fetchone()
            head = msgspec.msgpack.decode(row[0], type=Head) if row else None
            tracks = self.db.execute("SELECT data FROM tracks WHERE pipeline = ? ORDER BY rowid", (self.pipeline,))
            return head, [msgspec.msgpack.decode(data, type=SavedTrack) for (data,) in tracks]

    def commit(self, head: Head, tracks: Iterable[SavedTrack]) -> None:
        """Writes the head and these tracks in one transaction."""
        rows = [(self.pipeline, t.source, t.file, msgspec.msgpack.encode(t)) for t in tracks]
        with self._named_errors(), transaction(self.db):
            self.db.execute(
                "INSERT OR REPLACE INTO heads VALUES (?, ?)", (self.pipeline, msgspec.msgpack.encode(head))
            )
            self.db.executemany(
                "INSERT INTO tracks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET data = excluded.data", rows
            )

    @contextmanager
    def lock(self, holder: dict[str, Any]) -> Iterator[None]:
        """Holds the pipeline for the run; raises `Refused`, naming the holder, where another run has it."""
        with self._named_errors():
            make_private(self.directory / "locks")
            path = self.directory / "locks" / f"{self.pipeline}.lock"
            file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            self._take(file, holder)
            yield
        finally:
            os.close(file)

    def _take(self, file: int, holder: dict[str, Any]) -> None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"another run of {self.pipeline} is going on: {_name_holder(file)}") from None
        with self._named_errors():
            os.ftruncate(file, 0)
            os.pwrite(file, msgspec.json.encode({"pid": os.getpid(), "host": socket.gethostname(), **holder}), 0)

    def remember(self, space: str, key: str, value: bytes | None) -> None:
        """Keyed memory that outlives runs; None forgets."""
        with self._named_errors():
            if value is None:
                self.db.execute("DELETE FROM memory WHERE space = ? AND key = ?", (space, key))
            else:
                self.db.execute("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", (space, key, value))

    def recall(self, space: str, key: str) -> bytes | None:
        with self._named_errors():
            row = self.db.execute("SELECT value FROM memory WHERE space = ? AND key = ?", (space, key)).fetchone()
            return row[0] if row else None

    # --- the end of a run ----------------------------------------------------------------------------------

    def finish(self, run_id: str, started_at: str, status: str, report: Any, *, keep: Iterable[str] | None) -> None:
        """Enters the run into the history. `keep`: sources whose tracks stay; None keeps the whole checkpoint."""
        with self._named_errors(), transaction(self.db):
            self.db.execute(
                "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?)",
                (run_id, self.pipeline, started_at, status, msgspec.json.encode(report)),
            )
            if keep is not None:
                self._forget(set(keep))

    def reset(self) -> None:
        """Forgets where the pipeline stands; the history stays."""
        with self._named_errors(), transaction(self.db):
            self._forget(set())

    def _forget(self, keep: set[str]) -> None:
        self.db.execute("DELETE FROM heads WHERE pipeline = ?", (self.pipeline,))
        kept = self.db.execute("SELECT DISTINCT source FROM tracks WHERE pipeline = ?", (self.pipeline,)).fetchall()
        for (source,) in kept:
            if source not in keep:
                self.db.execute("DELETE FROM tracks WHERE pipeline = ? AND source = ?", (self.pipeline, source))

    def history(self, limit: int = 10) -> list[dict[str, Any]]:
        """The newest runs first, as their reports."""
        with self._named_errors():
            rows = self.db.execute(
                "SELECT report FROM runs WHERE pipeline = ? ORDER BY started_at DESC, rowid DESC LIMIT ?",
                (self.pipeline, limit),
            ).fetchall()
            return [msgspec.json.decode(report) for (report,) in rows]


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _name_holder(file: int) -> str:
    try:
        holder = msgspec.json.decode(os.pread(file, 4096, 0))
        return ", ".join(f"{name} {value}" for name, value in holder.items())
    except (msgspec.DecodeError, OSError, AttributeError):
        return "it has not said who it is yet"
