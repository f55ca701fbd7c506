"""A seam between the engine and the disk of its own process: every durable call is counted, and at one of them the
process dies or the disk fails.

Durable are calls that change files under the working directory: making, writing, cutting, syncing, renaming and
removing them, and whatever SQLite commits. A plan is data:

| plan | |
| --- | --- |
| `{"kill": 7, "when": "before"}` | SIGKILL before the 7th call, or `after` it |
| `{"kill": 7, "when": "half"}` | SIGKILL in the 7th writing, with half of its bytes written |
| `{"fail": "ENOSPC", "call": "write", "path": "dead/"}` | that call on such a path fails; `nth` says from which time on |

`once: true` lets a fault pass: the calls after it work again. `journal` is a file for a line per call, which outlives
the process.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

SQLITE = {
    "ENOSPC": ("database or disk is full", sqlite3.SQLITE_FULL),
    "EIO": ("disk I/O error", sqlite3.SQLITE_IOERR_FSYNC),
}
WRITES = ("INSERT", "DELETE", "UPDATE", "REPLACE", "PRAGMA JOURNAL_MODE")


class Seam:
    """Counts, and strikes as the plan says. May be called from several threads."""

    def __init__(self, home: Path, plan: Mapping[str, Any]) -> None:
        self.home, self.plan = f"{home.resolve()}{os.sep}", plan
        self.count = self.halves = self.matched = self.opened = 0
        self.files: dict[int, tuple[str, int]] = {}  # path and number of a handle
        self._lock = threading.RLock()
        self._write, self._kill = os.write, os.kill
        self._journal = (
            os.open(plan["journal"], os.O_WRONLY | os.O_CREAT | os.O_APPEND) if "journal" in plan else None
        )

    def ours(self, path: Any) -> str | None:
        """The path below the working directory, if that is where it is."""
        if not isinstance(path, (str, os.PathLike)):
            return None
        whole = str(Path.cwd() / path)
        return whole[len(self.home) :] if whole.startswith(self.home) else None

    def call(self, name: str, path: str | None, act: Callable[[], Any], half: Callable[[], Any] | None = None) -> Any:
        """Does the call, unless it is the one. `half` does the first half of it."""
        if path is None:
            return act()
        with self._lock:
            self.count += 1
            self.halves += half is not None
            number, halves, plan = self.count, self.halves, self.plan
            failing = self._fails(name, path)
        self._note(name, path, failing)
        if "kill" in plan:
            self._die(plan["when"], plan["kill"] == (halves if plan["when"] == "half" else number), act, half)
        if failing:
            return self._fail(name, half)
        return act()

    def _die(self, when: str, now: bool, act: Callable[[], Any], half: Callable[[], Any] | None) -> None:
        if not now or (when == "half" and half is None):
            return
        with suppress(Exception):
            if when != "before":
                (half if half is not None and when == "half" else act)()
        self._kill(os.getpid(), signal.SIGKILL)

    def _fails(self, name: str, path: str) -> bool:
        plan = self.plan
        if "fail" not in plan or plan["call"] != name or plan["path"] not in path:
            return False
        self.matched += 1
        first = plan.get("nth", 1)
        return self.matched == first or (self.matched > first and not plan.get("once"))

    def _fail(self, name: str, half: Callable[[], Any] | None) -> Any:
        what = self.plan["fail"]
        if name == "commit":
            text, code = SQLITE[what]
            error = sqlite3.OperationalError(text)
            error.sqlite_errorcode = code
            raise error
        if what == "ENOSPC" and half is not None and self.matched == self.plan.get("nth", 1):
            return half()  # a disk that fills up takes what it can first
        number = getattr(errno, what)
        raise OSError(number, os.strerror(number))

    def _note(self, name: str, path: str, failing: bool) -> None:
        if self._journal is not None:
            self._write(self._journal, json.dumps([name, path, failing]).encode() + b"\n")

    # --- the calls ------------------------------------------------------------------------------------------

    def install(self) -> None:
        self._of_handles()
        for name, at in (("rename", 1), ("replace", 1), ("unlink", 0), ("mkdir", 0)):
            self._of_paths(name, at)
        self._of_sqlite()

    def _of_handles(self) -> None:
        real_open, real_close, real_write, real_fdopen = os.open, os.close, os.write, os.fdopen

        def open_(path: Any, flags: int, *more: Any, **named: Any) -> int:
            ours = self.ours(path) if named.get("dir_fd") is None else None
            making = ours is not None and flags & os.O_CREAT and not Path(path).exists()
            act = lambda: real_open(path, flags, *more, **named)  # noqa: E731
            handle: int = self.call("open", ours, act) if making else act()
            if ours is not None:
                self.opened += 1
                self.files[handle] = f"{ours}", self.opened
            return handle

        def close(handle: int) -> None:
            self.files.pop(handle, None)
            real_close(handle)

        def write(handle: int, data: Any) -> int:
            half = bytes(data)[: (len(data) + 1) // 2]
            path = self._path(handle)
            return self.call("write", path, lambda: real_write(handle, data), lambda: real_write(handle, half))

        def fdopen(handle: Any, *more: Any, **named: Any) -> Any:
            return Watched(self, real_fdopen(handle, *more, **named), self._path(handle))

        os.open, os.close, os.write, os.fdopen = open_, close, write, fdopen
        for name in ("fsync", "ftruncate"):
            self._of_handle(name)

    def _path(self, handle: Any) -> str | None:
        return self.files.get(handle, (None,))[0]

    def _of_handle(self, name: str) -> None:
        real = getattr(os, name)

        def act(handle: int, *more: Any) -> Any:
            path = self._path(handle)
            shown = None if path is None else f"{path}#{self.files[handle][1]}"
            return self.call(name, shown, lambda: real(handle, *more))

        setattr(os, name, act)

    def _of_paths(self, name: str, at: int) -> None:
        real = getattr(os, name)

        def act(*paths: Any, **named: Any) -> Any:
            told = any(named.get(word) is not None for word in ("dir_fd", "src_dir_fd", "dst_dir_fd"))
            idle = name == "mkdir" and not told and Path(paths[0]).is_dir()  # it will only be told that it is there
            return self.call(name, None if told or idle else self.ours(paths[at]), lambda: real(*paths, **named))

        setattr(os, name, act)

    def _of_sqlite(self) -> None:
        seam, real = self, sqlite3.connect

        class Connection(sqlite3.Connection):
            place: str | None = None

            def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
                word = sql.lstrip().upper()
                writes = word.startswith("COMMIT") or (word.startswith(WRITES) and not self.in_transaction)
                act = lambda: sqlite3.Connection.execute(self, sql, *more)  # noqa: E731
                return seam.call("commit", self.place if writes else None, act)  # type: ignore[no-any-return]

            def executescript(self, sql: str) -> sqlite3.Cursor:
                return seam.call(  # type: ignore[no-any-return]
                    "commit", self.place, lambda: sqlite3.Connection.executescript(self, sql)
                )

        def connect(database: Any, *more: Any, **named: Any) -> Connection:
            db: Connection = real(database, *more, factory=Connection, **named)
            db.place = seam.ours(database) if str(database) != ":memory:" and not named.get("uri") else None
            return db

        sqlite3.connect = connect  # type: ignore[assignment]


class Watched:
    """A file object whose writing is a durable call. The bytes leave with `write`, not later."""

    def __init__(self, seam: Seam, file: Any, path: str | None) -> None:
        self._seam, self._file, self._path = seam, file, path

    def write(self, data: Any) -> Any:
        return self._seam.call("write", self._path, lambda: self._put(data), lambda: self._some(data))

    def _some(self, data: Any) -> None:
        """What a full disk takes: a file object goes on after a short write by itself, and fails then."""
        self._put(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _put(self, data: Any) -> Any:
        written = self._file.write(data)
        self._file.flush()
        return written

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
