"""A disk in memory that the engine's own file and database code works on, with a page cache that a power cut empties.

A killed process leaves everything that it wrote. A power cut leaves what was synced, of each file any part of what was
appended since, and of renames and the like the first few. Syncing any file makes these last, as a journal does. Of the
database it leaves any of the states that were committed since it was opened: WAL mode does not sync every commit.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat as stats
from collections.abc import Callable
from pathlib import PurePosixPath
from random import Random
from types import SimpleNamespace
from typing import Any

from engine.runtime.database import TABLES, VERSION
from tests.simulation.points import Crash, Points

HOME = "/home/shop"


class File:
    """An inode: what processes see, and what is on the platter."""

    __slots__ = ("data", "synced")

    def __init__(self) -> None:
        self.data, self.synced = bytearray(), b""


class Disk:
    """Files by name and one database. `points` belong to the present life."""

    def __init__(self, chance: Random) -> None:
        self.chance, self.points = chance, Points()
        self.files: dict[str, File] = {}
        self.folders = {"/", "/home", HOME}
        self.on_sync: Callable[[str, bytes], None] | None = None
        self.on_commit: Callable[[], None] | None = None
        self._before: list[dict[str, File]] = []  # the names before each change that is not in the journal yet
        self._handles: dict[int, tuple[str, File | None, int]] = {}
        self._at: dict[int, int] = {}
        self._next = 1000
        self.db = _new_database()
        self.commits = 0  # of this life
        self._snapshots: list[tuple[int, bytes]] = []  # after each commit that is not synced, where power will be cut

    def begin(self, points: Points) -> None:
        """A process starts."""
        self.points = points
        self._handles.clear()
        self.commits = 0
        self._snapshots = []
        self.sync_database()

    def end(self) -> int | None:
        """The process is over. Which of its commits survived, where power was cut; None: all of them."""
        if self.db.in_transaction:
            self.db.execute("ROLLBACK")
        if self.points.dead and self.points.death and self.points.death.power:
            return self._cut_power()
        return None

    def _cut_power(self) -> int:
        chance = self.chance
        extreme = chance.random()  # often files are all there and the database is old, or the other way round
        if self._before and extreme > 0.4:
            kept = chance.randint(0, len(self._before))
            if kept < len(self._before):
                self.files = self._before[kept]
        self._before = []
        for file in self.files.values():
            data, synced = bytes(file.data), file.synced
            if extreme < 0.3:
                pass
            elif data.startswith(synced):
                kept = len(synced) + (chance.randint(0, len(data) - len(synced)) if chance.random() < 0.7 else 0)
                file.data = bytearray(data[:kept])
            elif chance.random() < 0.5:
                file.data = bytearray(synced)
            file.synced = bytes(file.data)
        survived, content = self._snapshots[-1] if extreme > 0.8 else chance.choice(self._snapshots)
        self.db.close()
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.deserialize(content)
        return survived

    def committed(self) -> None:
        """The database has a new state, on disk or in the cache."""
        self.commits += 1
        if self._snapshots:
            self._snapshots.append((self.commits, self.db.serialize()))
        if self.on_commit is not None:
            self.on_commit()

    def sync_database(self) -> None:
        """All that was committed is on disk."""
        if self.points.death and self.points.death.power:
            self._snapshots = [(self.commits, self.db.serialize())]

    # --- what Path and os do --------------------------------------------------------------------------------

    def change_names(self) -> None:
        self._before.append(dict(self.files))

    def open(self, path: str, flags: int) -> int:
        name = str(path)
        file = self.files.get(name)
        if file is None and name in self.folders:
            return self._handle(name, None, flags)
        if file is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
            self._alive()
            self.change_names()
            file = self.files[name] = File()
        elif flags & os.O_EXCL:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)
        if flags & os.O_TRUNC:
            file.data.clear()
        return self._handle(name, file, flags)

    def _handle(self, name: str, file: File | None, flags: int) -> int:
        self._next += 1
        self._handles[self._next] = (name, file, flags)
        self._at[self._next] = 0
        return self._next

    def _file(self, handle: int) -> tuple[str, File, int]:
        name, file, flags = self._handles[handle]
        assert file is not None
        return name, file, flags

    def _alive(self) -> None:
        if self.points.dead:
            raise Crash

    def _refuse(self, call: str, name: str) -> bool:
        """Raises what the disk says; True: the call does only a part."""
        struck, error = self.points.refused(call)
        if struck and error is not None:
            raise OSError(error, os.strerror(error), name)
        return struck

    def write(self, handle: int, data: Any) -> int:
        name, file, flags = self._file(handle)
        if "/locks/" in name:
            return len(data)
        self.points.reach("before write")
        piece = bytes(data)
        torn = self.points.torn()
        if (self._refuse("write", name) or torn) and len(piece) > 1:
            piece = piece[: self.chance.randint(1, len(piece) - 1)]
        at = len(file.data) if flags & os.O_APPEND else self._at[handle]
        file.data[at : at + len(piece)] = piece
        self._at[handle] = at + len(piece)
        if torn:
            self.points.die()
        self.points.reach("after write")
        return len(piece)

    def fsync(self, handle: int) -> None:
        name, file, _ = self._handles[handle]
        self.points.reach("before fsync")
        self._refuse("fsync", name)
        self._before = []
        if file is not None:
            file.synced = bytes(file.data)
            if self.on_sync is not None:
                self.on_sync(name, file.synced)
        self.points.reach("after fsync")

    def ftruncate(self, handle: int, length: int) -> None:
        name, file, _ = self._file(handle)
        if length == len(file.data) or "/locks/" in name:
            return
        self.points.reach("before truncate")
        del file.data[length:]
        file.data.extend(b"\0" * (length - len(file.data)))
        self.points.reach("after truncate")

    def replace(self, source: str, target: str) -> None:
        self.points.reach("before rename")
        self._refuse("rename", str(target))
        self.change_names()
        self.files[str(target)] = self.files.pop(str(source))
        self.points.reach("after rename")

    def unlink(self, name: str, *, missing_ok: bool = False) -> None:
        if name not in self.files:
            if missing_ok:
                return
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        self.points.reach("before unlink")
        self.change_names()
        del self.files[name]
        self.points.reach("after unlink")

    def stat(self, name: str) -> Any:
        if name in self.folders:
            return SimpleNamespace(st_mode=stats.S_IFDIR | 0o700, st_size=0)
        if name not in self.files:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        return SimpleNamespace(st_mode=stats.S_IFREG | 0o600, st_size=len(self.files[name].data))

    def pread(self, handle: int, length: int, at: int) -> bytes:
        return bytes(self._file(handle)[1].data[at : at + length])

    def seek(self, handle: int, at: int) -> int:
        self._at[handle] = at
        return at

    def size(self, handle: int) -> Any:
        return SimpleNamespace(st_mode=stats.S_IFREG | 0o600, st_size=len(self._file(handle)[1].data))

    def read(self, name: str) -> bytes:
        return bytes(self.files[name].data)


class Os:
    """Stands for the module `os` where the engine opens files: calls go to the present disk."""

    def __init__(self) -> None:
        self.disk: Disk = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Any, flags: int, mode: int = 0o777) -> int:
        return self.disk.open(str(path), flags)

    def close(self, handle: int) -> None:
        self.disk._handles.pop(handle, None)

    def write(self, handle: int, data: Any) -> int:
        return self.disk.write(handle, data)

    def pwrite(self, handle: int, data: bytes, at: int) -> int:
        return self.disk.write(handle, data)

    def pread(self, handle: int, length: int, at: int) -> bytes:
        return self.disk.pread(handle, length, at)

    def fsync(self, handle: int) -> None:
        self.disk.fsync(handle)

    def ftruncate(self, handle: int, length: int) -> None:
        self.disk.ftruncate(handle, length)

    def lseek(self, handle: int, at: int, how: int) -> int:
        return self.disk.seek(handle, at)

    def fstat(self, handle: int) -> Any:
        return self.disk.size(handle)

    def fdopen(self, handle: int, mode: str) -> Any:
        return Writing(self, handle)

    def fchmod(self, handle: int, mode: int) -> None: ...

    def replace(self, source: Any, target: Any) -> None:
        self.disk.replace(str(source), str(target))


virtual_os = Os()


class Place(PurePosixPath):
    """Stands for `Path` on the present disk."""

    def exists(self) -> bool:
        name = str(self)
        return name in virtual_os.disk.files or name in virtual_os.disk.folders

    def is_file(self) -> bool:
        return str(self) in virtual_os.disk.files

    def is_dir(self) -> bool:
        return str(self) in virtual_os.disk.folders

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        folders = virtual_os.disk.folders
        folders.add(str(self))
        if parents:
            folders.update(str(parent) for parent in self.parents)

    def unlink(self, missing_ok: bool = False) -> None:
        virtual_os.disk.unlink(str(self), missing_ok=missing_ok)

    def stat(self) -> Any:
        return virtual_os.disk.stat(str(self))

    def resolve(self) -> Place:
        return self

    def open(self, mode: str = "r") -> Any:
        return open_to_read(str(self), mode)


class Reading:
    """A file that is open for reading."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def read(self, length: int = -1) -> bytes:
        end = len(self._data) if length < 0 else self._at + length
        piece = self._data[self._at : end]
        self._at += len(piece)
        return piece

    def __iter__(self) -> Any:
        return iter(self._data.splitlines(keepends=True))

    def __enter__(self) -> Reading:
        return self

    def __exit__(self, *_: object) -> None: ...


def open_to_read(path: str, mode: str = "rb", buffering: int = -1) -> Reading:
    """Stands for `open` where the engine reads a file back."""
    if path not in virtual_os.disk.files:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return Reading(virtual_os.disk.read(path))


class Writing:
    """A file that is open for writing."""

    def __init__(self, facade: Os, handle: int) -> None:
        self._os, self._handle = facade, handle

    def write(self, data: bytes) -> int:
        view = memoryview(data)
        while view:
            view = view[self._os.write(self._handle, view) :]
        return len(data)

    def flush(self) -> None: ...

    def __enter__(self) -> Writing:
        return self

    def __exit__(self, *_: object) -> None:
        self._os.close(self._handle)


class Locks:
    """Stands for the module `fcntl`: one process at a time lives here."""

    LOCK_EX = LOCK_NB = 0

    def flock(self, handle: int, how: int) -> None: ...


# --- the database --------------------------------------------------------------------------------------------


def _template() -> bytes:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.execute("PRAGMA page_size=512")
    db.executescript(TABLES)
    db.execute("INSERT INTO meta VALUES (?)", (VERSION,))
    return db.serialize()


TEMPLATE = _template()
CODES = {
    errno.ENOSPC: (sqlite3.SQLITE_FULL, "database or disk is full"),
    errno.EIO: (sqlite3.SQLITE_IOERR, "disk I/O error"),
}


def _new_database() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.deserialize(TEMPLATE)
    return db


class Connection:
    """What `connect` gives: the present disk's database, each of its commits a durable call."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def execute(self, statement: str, parameters: Any = ()) -> Any:
        disk = self._disk
        if statement.startswith("PRAGMA wal_checkpoint"):
            disk._alive()
            disk.sync_database()
            return disk.db.execute("SELECT 0, 0, 0")
        if statement.startswith(("SELECT", "PRAGMA")):
            return disk.db.execute(statement, parameters)
        if statement == "ROLLBACK" and not disk.db.in_transaction:
            raise sqlite3.OperationalError("no transaction is active")
        if statement != "COMMIT" and (disk.db.in_transaction or statement.startswith("BEGIN")):
            disk._alive()
            return disk.db.execute(statement, parameters)
        disk.points.reach("before commit")
        struck, error = disk.points.refused("commit")
        if struck:
            raise self._refusal(error)
        result = disk.db.execute(statement, parameters)
        disk.committed()
        disk.points.reach("after commit")
        return result

    def _refusal(self, error: int) -> sqlite3.OperationalError:
        code, words = CODES[error]
        refusal = sqlite3.OperationalError(words)
        refusal.sqlite_errorcode = code  # type: ignore[misc]
        return refusal

    def executemany(self, statement: str, rows: Any) -> Any:
        self._disk._alive()
        return self._disk.db.executemany(statement, rows)

    def close(self) -> None: ...


def connect(path: Any) -> Connection:
    """Stands for the engine's own `connect`."""
    virtual_os.disk.files.setdefault(str(path), File())  # it is there; what it holds is elsewhere
    return Connection(virtual_os.disk)
