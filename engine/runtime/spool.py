"""Payloads that go to a vendor as whole files: gathered in part files of ours, uploaded when everything is read.

What is spooled is settled as soon as it is on disk with the checkpoint, and counted as delivered when the vendor has
taken its file. A part file is cut to its synced length on a resume.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import Halt, Refused
from engine.model import Payloads, Verdict
from engine.plugin import Spooled
from engine.runtime.folders import make_private
from engine.runtime.landing import told
from engine.runtime.lanes import Item
from engine.runtime.rate import Bucket
from engine.runtime.talks import Parameters, Talk

BUFFER = 256 * 1024
MOST_FILES = 64


class SpoolFile:
    """The payloads of one action with equal parameters. `counts` is payloads by mapping."""

    def __init__(self, path: Path, action: str, parameters: Mapping[str, Any]) -> None:
        self.path, self.action, self.parameters = path, action, parameters
        self.length = 0
        self.counts: Counter[str] = Counter()
        self.sent = False
        self._file: int | None = None
        self._waiting: list[bytes] = []
        self._weight = 0

    def open(self, length: int) -> None:
        """Starts, or goes on after the first `length` bytes."""
        with told(str(self.path)):
            make_private(self.path.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._file = os.open(self.path, flags, 0o600)
            if os.fstat(self._file).st_size < length:
                raise Refused(f"{self.path}, which holds payloads to upload, is cut short; start with --fresh")
            os.ftruncate(self._file, length)
            os.lseek(self._file, length, os.SEEK_SET)
        self.length = length

    def add(self, items: Sequence[Item]) -> None:
        for item in items:
            self._waiting += (item.body, b"\n")
        size = sum([len(item.body) for item in items]) + len(items)
        self.length += size
        self._weight += size
        self.counts.update(item.ticket.mapping for item in items)
        if self._weight >= BUFFER:
            self.flush()

    def flush(self) -> None:
        assert self._file is not None
        view = memoryview(b"".join(self._waiting))
        with told(str(self.path)):
            while view:
                view = view[os.write(self._file, view) :]
        self._waiting, self._weight = [], 0

    def sync(self) -> None:
        self.flush()
        with told(str(self.path)):
            os.fsync(self._file or 0)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Spool:
    """What one sink gathers. The first `inline` payloads of an action are left to its batches."""

    def __init__(self, sink: str, folder: Path, inline: int, name: str) -> None:
        self.sink, self.folder, self.inline, self.name = sink, folder, inline, name
        self.files: dict[str, SpoolFile] = {}
        self._inline: Counter[str] = Counter()
        self.dirty = False

    def open(self, state: Any) -> None:
        """Starts, or goes on where `state`, which `sync` once gave, stands."""
        for key, saved in (state or {}).get("files", {}).items():
            file = self._new(key, saved["action"], saved["parameters"])
            file.counts.update(saved["counts"])
            file.sent = saved["sent"]
            if not file.sent:
                file.open(saved["length"])
        self._inline.update((state or {}).get("inline", {}))

    def take(self, action: str, items: list[Item], parameters: Parameters) -> list[Item]:
        """Spools payloads; gives those back that go in batches."""
        some: list[Item] = []
        if not any(file.action == action for file in self.files.values()):
            some = items[: max(0, self.inline - self._inline[action])]
            self._inline[action] += len(some)
        if rest := items[len(some) :]:
            self.dirty = True
            self._file(action, dict(parameters)).add(rest)
            for item in rest:
                item.ticket.settle(item.row, item.element)
        return some

    def _file(self, action: str, parameters: dict[str, Any]) -> SpoolFile:
        key = json.dumps([action, parameters], sort_keys=True)
        if key not in self.files:
            if len(self.files) >= MOST_FILES:
                reason = f"{self.sink}: {MOST_FILES} files to upload are the most; send these payloads inline"
                raise Halt(reason, where=self.sink, code="too-many-files")
            self._new(key, action, parameters).open(0)
        return self.files[key]

    def _new(self, key: str, action: str, parameters: dict[str, Any]) -> SpoolFile:
        path = self.folder / f"{len(self.files)}-{action}.part"
        file = self.files[key] = SpoolFile(path, action, parameters)
        return file

    def sync(self) -> Any:
        """What was spooled is on disk. The state to go on from."""
        if self.dirty:
            for file in self.files.values():
                if not file.sent:
                    file.sync()
            self.dirty = False
        files = {
            key: {"action": f.action, "parameters": dict(f.parameters), "length": f.length, "sent": f.sent,
                  "counts": dict(f.counts)}
            for key, f in self.files.items()
        }  # fmt: skip
        return {"files": files, "inline": dict(self._inline)}

    @property
    def open_files(self) -> list[SpoolFile]:
        """Those that the vendor has not taken yet."""
        return [file for file in self.files.values() if not file.sent]

    def spooled(self, file: SpoolFile) -> Spooled:
        """The file as the vendor is told of it; everything in it is on disk."""
        number = list(self.files.values()).index(file)
        tail = f"-{number}" if number else ""
        return Spooled(str(file.path), f"{self.name}-{file.action}{tail}.json", file.length, file.counts.total())

    def finish(self) -> None:
        """Everything was taken: the files go."""
        self.close()
        for file in self.files.values():
            file.path.unlink(missing_ok=True)

    def close(self) -> None:
        for file in self.files.values():
            file.close()


class UploadTalk(Talk):
    """A file on its way. A vendor that will not have it halts the run: the file stays."""

    def __init__(self, sink: Any, bucket: Bucket, file: SpoolFile, done: Callable[[SpoolFile], None]) -> None:
        super().__init__(sink, bucket, Payloads([]))
        self._spooled = sink.spool.spooled(file)
        self._file, self._done = file, done

    def open(self) -> Any:
        return self.account.vendor.upload(self._file.action, self._spooled, **self._file.parameters)

    def finish(self, value: Any) -> None:
        if value:
            self.judge(value)
        self._file.sent = True
        self._done(self._file)

    def judge(self, verdicts: Mapping[int, Verdict]) -> None:
        self.split(next(iter(verdicts.values()), Verdict("rejected", "refused", "the vendor gave no reason")))

    def split(self, verdict: Verdict) -> None:
        reason = f"{self.account.name} refused a file of {self._spooled.payloads} payloads: {verdict.reason}"
        raise Halt(f"{reason}; it is kept in {self._file.path}", where=self.account.name, code=verdict.code)


def uploads(sinks: Iterable[Any]) -> list[tuple[Any, SpoolFile]]:
    """What is left to upload, sink by sink."""
    return [(sink, file) for sink in sinks if sink.spool is not None for file in sink.spool.open_files]
