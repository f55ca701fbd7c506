"""The `file` sink: JSONL, JSON, CSV or TSV, replaced at once when it is complete.

Payloads are appended to a part file beside the target (for addresses: in a spool folder). `sync` makes it durable,
and the state it returns says how much of it counts; `finish` compresses it, if so wanted, and renames it.
Compression at the end keeps the part file a plain file that can be cut at any synced length.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine.plugin import Halt, InvalidPipeline, Payloads, Refused, Verdicts
from engine.sinks.formats import Format, JsonArrayFormat, JsonLinesFormat, TableFormat, restored
from engine.sinks.packing import PACKINGS, SUFFIXES, packer, zstandard
from engine.sinks.part import Part, reclaim, telling
from engine.sinks.remote import check_target, is_remote, upload

FORMATS = {"jsonl": "jsonl", "ndjson": "jsonl", "json": "json", "csv": "csv", "tsv": "tsv", "tab": "tsv"}
NESTED = ("error", "json")


class FileSink:
    """Writes payloads to one file. A relative `path` starts at `base`; nothing short ever stands under its name."""

    transactional = True

    def __init__(
        self,
        path: str,
        format: str | None = None,
        compression: str = "auto",
        header: bool = True,
        columns: Sequence[str] | None = None,
        delimiter: str | None = None,
        formula_guard: bool = False,
        nested: str = "error",
        base: str = "",
    ) -> None:
        check_target(path)
        self.path = path
        self.format = format or _inferred(path)
        self.packing = _packing(path, compression)
        if self.format not in FORMATS.values():
            raise InvalidPipeline(f"format: {self.format!r} is none of {', '.join(dict.fromkeys(FORMATS.values()))}")
        if nested not in NESTED:
            raise InvalidPipeline(f"nested: {nested!r} is none of {', '.join(NESTED)}")
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"\0'):
            raise InvalidPipeline(f"delimiter: {delimiter!r} is not one character that can separate cells")
        self._table = (delimiter or ("\t" if self.format == "tsv" else ","), columns, header, formula_guard, nested)
        folder = Path(base or ".").resolve()
        self._final = None if is_remote(path) else folder / path
        self._part = Part(_beside(self._final) if self._final else _spooled(folder, path))
        self._writing: Format = self._new_format()
        self._finished = False

    # --- what the engine asks ----------------------------------------------------------------------------------

    def open(self, state: Any) -> None:
        """Starts a new file, or goes on where `state` stands. `Refused`: what was written is not there any more."""
        if self._final is not None and self._final.exists() and not self._final.is_file():
            hint = "a folder" if self._final.is_dir() else "a pipe or a device; the sink type stdout writes to a pipe"
            raise Halt(f"{self._final} is {hint}", where=str(self._final), code="not-a-file")
        self._writing, self._finished = self._new_format(), False
        length = check = 0
        if state is not None:
            length, check = _number(state, "length"), _number(state, "check")
            restored(self._writing, state.get("format", {}))
            if self._final is not None:
                reclaim(self._part.path, self._final, length, check)
        self._part.open(length, check)

    def write(self, payloads: Payloads) -> Verdicts | None:
        """Appends; returns verdicts for the payloads that the format cannot hold."""
        data, verdicts = self._writing.encode(payloads)
        if data:
            self._part.append(data)
        return verdicts or None

    def sync(self) -> Any:
        """What was written is on disk. The state: how long it is, and what the format remembers."""
        self._part.sync()
        return {"length": self._part.length, "check": self._part.check, "format": dict(self._writing.state)}

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

    # --- how ---------------------------------------------------------------------------------------------------

    def _new_format(self) -> Format:
        if self.format == "jsonl":
            return JsonLinesFormat()
        return JsonArrayFormat() if self.format == "json" else TableFormat(*self._table)

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


def _inferred(path: str) -> str:
    plain = path.lower()
    for suffix in SUFFIXES:
        plain = plain.removesuffix(suffix)
    ending = plain.rpartition("/")[2].rpartition(".")[2]
    if ending not in FORMATS:
        raise InvalidPipeline(f"format: the name {path!r} does not tell; write format: jsonl | json | csv | tsv")
    return FORMATS[ending]


def _packing(path: str, compression: str) -> str:
    if compression == "auto":
        compression = next((kind for suffix, kind in SUFFIXES.items() if path.lower().endswith(suffix)), "none")
    if compression not in PACKINGS:
        raise InvalidPipeline(f"compression: {compression!r} is none of auto, {', '.join(PACKINGS)}")
    if compression == "zst":
        zstandard()
    return compression


def _beside(final: Path) -> Path:
    return final.with_name(final.name + ".part")


def _spooled(folder: Path, address: str) -> Path:
    return folder / ".engine" / "spool" / f"{zlib.crc32(address.encode()):08x}.part"


def _number(state: Any, name: str) -> int:
    value = state.get(name) if isinstance(state, dict) else None
    if not isinstance(value, int) or value < 0:
        raise Refused("the state of the file sink is damaged; start with --fresh")
    return value
