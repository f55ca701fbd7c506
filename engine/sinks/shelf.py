"""Many files that are written in turns: only so many are open at once, all are finished together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from engine.plugin import Halt, InvalidPipeline
from engine.sinks.whole import WholeFile

MOST_FILES = 10_000


class Shelf:
    """Files by their paths. The one that was not used for longest is synced and put away when another is needed."""

    def __init__(self, make: Callable[[str], WholeFile], most: int) -> None:
        if not isinstance(most, int) or most < 1:
            raise InvalidPipeline(f"max_open_files: {most!r} is not a whole number of at least 1")
        self._make, self._most = make, most
        self._open: OrderedDict[str, WholeFile] = OrderedDict()
        self._states: dict[str, Any] = {}  # of every file, as it was synced last
        self._done: list[WholeFile] = []
        self._finished = False

    @property
    def finished(self) -> bool:
        return self._finished

    def open(self, states: dict[str, Any]) -> None:
        """Takes up files that an earlier start began; each is looked at when it is needed."""
        self._states, self._finished = states, False

    def take(self, path: str) -> WholeFile:
        """The file of this path, open."""
        file = self._open.get(path)
        if file is not None:
            self._open.move_to_end(path)
            return file
        while len(self._open) >= self._most:
            self._put_away()
        if path not in self._states and len(self._states) >= MOST_FILES:
            raise Halt(f"the sink would write more than {MOST_FILES} files", where=path, code="too-many-files")
        file = self._make(path)
        file.open(self._states.get(path))
        self._states.setdefault(path, None)
        self._open[path] = file
        return file

    def _put_away(self) -> None:
        path, file = self._open.popitem(last=False)
        self._states[path] = file.sync()
        file.close()

    def sync(self) -> dict[str, Any]:
        """Everything written is on disk; the state of every file."""
        for path, file in self._open.items():
            self._states[path] = file.sync()
        return dict(self._states)

    def join(self, others: Shelf) -> None:
        """Appends to every file what another shelf wrote of it, which has been opened and let go of."""
        for path, state in others._states.items():
            if state is not None:
                self.take(path).join(others._make(path), state)

    def forget(self) -> None:
        """Removes the part files."""
        for path in self._states:
            self._make(path).discard()

    def finish(self, *, keep_empty: bool) -> None:
        """Gives every file its final name; `keep_empty`: also those without a payload."""
        if self._finished:
            return
        for path in sorted({*self._states, *self._open}):
            file = self.take(path)
            self._open.pop(path)
            if file.records or keep_empty:
                try:
                    file.finish()
                except BaseException:
                    self._open[path] = file
                    raise
                self._done.append(file)
                file.release()
            else:
                file.discard()
        self._finished = True

    def keep_parts(self) -> None:
        self._finished = False

    def close(self) -> None:
        """Lets go of all files; what only finished ones needed goes."""
        for file in self._open.values():
            file.close()
        for file in self._done if self._finished else ():
            file.close()
        self._open.clear()
        self._done.clear()
