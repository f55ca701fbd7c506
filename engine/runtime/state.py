"""Where a pipeline stands: checkpoints, run history and keyed memory in one SQLite file per state directory.

Four verbs: `load`, `commit`, `lock`, `memory`. The lock is the kernel's (`flock`), so a kill frees it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from engine.errors import Halt, Refused
from engine.runtime.counts import Counts
from engine.runtime.database import Damaged, connect, connect_to_look, move_aside, named_errors, transaction
from engine.runtime.folders import make_private
from engine.runtime.ledger import SavedTrack

T = TypeVar("T")


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
    workers: int = 1  # processes that share the run, each with a head of its own beside this one
    shares: Any = None  # what each of them reads


def share_name(pipeline: str, number: int, of: int) -> str:
    """What one process's part of a run is kept under; no pipeline's name can be that. Numbers are from 1."""
    return f"{pipeline}#{number}/{of}"


class State:
    """One pipeline's view of the state directory. Raises `Refused` for damaged state, `Halt` where it can't write."""

    def __init__(self, directory: Path, pipeline: str, *, looking: bool = False) -> None:
        """`looking`: nothing will be written, so that a read-only disk will do."""
        self.directory, self.pipeline = directory, pipeline
        self.path = directory / "state.db"
        self._connect = connect_to_look if looking else connect
        self._db: sqlite3.Connection | None = None

    # --- opening --------------------------------------------------------------------------------------

    @property
    def db(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = self._connect(self.path)
        return self._db

    def _named_errors(self) -> AbstractContextManager[None]:
        return named_errors(self.path)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    # --- the four verbs ----------------------------------------------------------------------------------

    def load(self) -> tuple[Head | None, list[SavedTrack]]:
        """The unfinished run, if there is one, and every track (those of finished `append` sources too)."""
        return self._of(self.pipeline)

    def _of(self, name: str) -> tuple[Head | None, list[SavedTrack]]:
        with self._named_errors():
            row = self.db.execute("SELECT data FROM heads WHERE pipeline = ?", (name,)).fetchone()
            head = _decode(row[0], Head) if row else None
            tracks = self.db.execute("SELECT data FROM tracks WHERE pipeline = ? ORDER BY rowid", (name,))
            return head, [_decode(data, SavedTrack) for (data,) in tracks]

    def shares(self, head: Head) -> Iterator[tuple[Head, list[SavedTrack]]]:
        """What each process that shares the run has reached, as far as it has begun; nothing of a run of one."""
        for number in range(1, head.workers + 1) if head.workers > 1 else ():
            found, tracks = self._of(share_name(self.pipeline, number, head.workers))
            yield found or Head(head.run_id, head.started_at, 0.0, head.mappings, Counts()), tracks

    def try_writing(self) -> None:
        """Raises `Halt` where nothing can be written now: better before anything is sent than after."""
        with self._named_errors(), transaction(self.db):
            pass  # taking the lock is what fails where somebody holds it, or the disk is read-only

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

    def sync(self) -> None:
        """What was committed is on disk, also where the power is cut: then what only older states need may go."""
        with self._named_errors():
            self.db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    @property
    def _lock(self) -> Path:
        return self.directory / "locks" / f"{self.pipeline}.lock"

    @contextmanager
    def lock(self, holder: dict[str, Any]) -> Iterator[int]:
        """Holds the pipeline for the run; raises `Refused`, naming the holder, where another run has it.

        Gives the lock's file: whoever inherits it holds the pipeline as well, until it is closed.
        """
        with self._named_errors():
            make_private(self._lock.parent)
            file = os.open(self._lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            self._take(file, holder)
            yield file
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
        with suppress(Halt):  # it is over, whatever the disk says now
            self.sync()

    def reset(self, now: float) -> Path | None:
        """Forgets where the pipeline stands; the history stays. To be called under the lock.

        A file that cannot be used is moved aside, with all that it held of other pipelines: gives its new place.
        `now`: epoch seconds, for its name.
        """
        try:
            with self._named_errors(), transaction(self.db):
                self._forget(set())
            self._check_pages()
        except Damaged:
            self.close()
            return move_aside(self.path, self._lock, now)
        return None

    def _check_pages(self) -> None:
        with self._named_errors():
            said = self.db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if said != "ok":
                raise Damaged(self.path, f"is damaged ({said})")

    def begin_shares(self, head: Head) -> None:
        """Enters a run of several processes, and forgets what is left of any other."""
        with self._named_errors(), transaction(self.db):
            self._forget_shares()
            self.db.execute(
                "INSERT OR REPLACE INTO heads VALUES (?, ?)", (self.pipeline, msgspec.msgpack.encode(head))
            )

    def _forget_shares(self) -> None:
        any_share = (f"{self.pipeline}#[0-9]*/[0-9]*",)  # as `share_name` has it; names hold no sign of GLOB's
        self.db.execute("DELETE FROM heads WHERE pipeline GLOB ?", any_share)
        self.db.execute("DELETE FROM tracks WHERE pipeline GLOB ?", any_share)

    def _forget(self, keep: set[str]) -> None:
        self._forget_shares()
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
            return [msgspec.json.decode(_stored(report)) for (report,) in rows]


def moved_aside(place: Path) -> str:
    """What to say of a file that `State.reset` moved."""
    return (
        f"the state could not be used and was moved to {place}; "
        "it may have held the positions of other pipelines of this directory, which start from the beginning now"
    )


def _decode(data: Any, kind: type[T]) -> T:
    return msgspec.msgpack.decode(_stored(data), type=kind)


def _stored(data: Any) -> bytes:
    """A value as we store it: a database that others wrote may hold anything."""
    if not isinstance(data, bytes):
        raise msgspec.DecodeError(f"{type(data).__name__} where bytes should be")
    return data


def _name_holder(file: int) -> str:
    try:
        holder = msgspec.json.decode(os.pread(file, 4096, 0))
        return ", ".join(f"{name} {value}" for name, value in holder.items())
    except (msgspec.DecodeError, OSError, AttributeError):
        return "it has not said who it is yet"
