"""One file that is whole or not there: what is written waits in a part file until it may stand under its name.

Payloads are appended to a part file beside the target (for addresses: in a spool folder). `sync` makes it durable,
and the state it returns says how much of it counts; `finish` compresses it, if so wanted, and renames it.
Compression at the end keeps the part file a plain file that can be cut at any synced length.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any

from engine.plugin import Halt, Payloads, Refused, Verdicts
from engine.sinks.formats import Format, restored
from engine.sinks.packing import packer
from engine.sinks.part import Part, reclaim, telling
from engine.sinks.remote import is_remote, upload


class WholeFile:
    """Writes payloads to one file. A relative `path` starts at `folder`; `new_format` begins a file's format.

    `mark` tells the part files of several processes apart that write one file.
    """

    def __init__(
        self, path: str, folder: Path, packing: str, new_format: Callable[[], Format], mark: str = ""
    ) -> None:
        self.path, self.packing, self._new_format = path, packing, new_format
        self._final = None if is_remote(path) else folder / path
        self._part = Part(_marked(_beside(self._final) if self._final else _spooled(folder, path), mark))
        self._writing: Format = new_format()
        self._finished = False
        self.records = 0  # payloads that were taken

    def open(self, state: Any) -> None:
        """Starts a new file, or goes on where `state` stands. `Refused`: what was written is not there any more."""
        if self._final is not None and self._final.exists() and not self._final.is_file():
            hint = "a folder" if self._final.is_dir() else "a pipe or a device; the sink type stdout writes to a pipe"
            raise Halt(f"{self._final} is {hint}", where=str(self._final), code="not-a-file")
        self._writing, self._finished = self._new_format(), False
        length = check = 0
        if state is not None:
            length, check = _number(state, "length"), _number(state, "check")
            self.records = _number({"records": 0, **state}, "records")
            restored(self._writing, state.get("format", {}))
            if self._final is not None:
                reclaim(self._part.path, self._final, length, check)
        self._part.open(length, check)

    def write(self, payloads: Payloads) -> Verdicts | None:
        """Appends; returns verdicts for the payloads that the format cannot hold."""
        data, verdicts = self._writing.encode(payloads)
        if data:
            self._part.append(data)
        self.records += len(payloads) - len(verdicts)
        return verdicts or None

    def join(self, other: WholeFile, state: Any) -> None:
        """Appends what another wrote of the same file, as its state says."""
        length = _number(state, "length")
        if length:
            between, left_out = self._writing.joint(state.get("format", {}))
            self._part.append(between)
            self._part.take_over(other._part.path, left_out, length)
            self.records += _number(state, "records")

    @property
    def length(self) -> int:
        """Bytes written, before compression."""
        return self._part.length

    def sync(self) -> Any:
        """What was written is on disk. The state: how long it is, and what the format remembers."""
        self._part.sync()
        part = self._part
        return {
            "length": part.length, "check": part.check, "format": dict(self._writing.state), "records": self.records
        }  # fmt: skip

    def finish(self) -> None:
        """Puts the whole file under its final name. A second call does nothing."""
        if self._finished:
            return
        self._part.append(self._writing.tail())
        self._part.sync()
        if self._final is None:
            upload(self._part.path, self.path, self.packing)
        elif self.packing == "none":
            self._part.become(self._final)
        else:
            self._pack(self._final)
        self._finished = True

    def close(self) -> None:
        """Lets go. An unfinished part file stays for a resume; that of a finished file is of no more use."""
        if self._finished:
            self._part.path.unlink(missing_ok=True)
        self._part.close()

    def release(self) -> None:
        """Lets go of a finished file; what it was made of stays until `close`."""
        self._part.close()

    def discard(self) -> None:
        """Lets go of a file that is not to be: nothing of it stays."""
        self._part.path.unlink(missing_ok=True)
        self._part.close()

    # --- how ---------------------------------------------------------------------------------------------------

    def _pack(self, final: Path) -> None:
        packed = Part(self._part.path.with_name(self._part.path.name + ".packed"))
        packed.open(0)
        try:
            with (
                telling(packed.path),
                self._part.path.open("rb") as plain,
                packer(_Into(packed), self.packing) as out,
            ):
                shutil.copyfileobj(plain, out, 256 * 1024)
            packed.become(final)
        finally:
            packed.close()
            packed.path.unlink(missing_ok=True)


class _Into:
    """A part file as a packer's target."""

    def __init__(self, part: Part) -> None:
        self._part = part

    def write(self, data: bytes) -> int:
        self._part.append(bytes(data))
        return len(data)

    def flush(self) -> None: ...


def _beside(final: Path) -> Path:
    return final.with_name(final.name + ".part")


def _marked(part: Path, mark: str) -> Path:
    return part.with_name(part.name.removesuffix(".part") + mark + ".part") if mark else part


def _spooled(folder: Path, address: str) -> Path:
    return folder / ".engine" / "spool" / f"{blake2b(address.encode(), digest_size=8).hexdigest()}.part"


def _number(state: Any, name: str) -> int:
    value = state.get(name) if isinstance(state, dict) else None
    if not isinstance(value, int) or value < 0:
        raise Refused("the state of the file sink is damaged; start with --fresh")
    return value
