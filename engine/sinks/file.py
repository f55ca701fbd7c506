"""The `file` sink: JSONL, JSON, CSV or TSV, replaced at once when it is complete; one file, or one per path.

All files are finished together, when everything is settled: until then none stands under its final name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from engine.plugin import InvalidPipeline, Payloads, RecordError, Refused, Verdicts, rejected
from engine.sinks.formats import Format, JsonArrayFormat, JsonLinesFormat, TableFormat
from engine.sinks.packing import PACKINGS, SUFFIXES, zstandard
from engine.sinks.paths import MARK, confined, fixed, numbered, split
from engine.sinks.remote import check_target
from engine.sinks.shelf import Shelf
from engine.sinks.whole import WholeFile

FORMATS = {"jsonl": "jsonl", "ndjson": "jsonl", "json": "json", "csv": "csv", "tsv": "tsv", "tab": "tsv"}
NESTED = ("error", "json")
ON_EMPTY = ("file", "none")


class FileSink:
    """Writes payloads to files. A relative `path` starts at `base`; nothing short ever stands under a final name.

    Where `path` holds expressions, `template` is what the engine computes for each record, to give it to `write_to`.
    """

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
        roll: Mapping[str, int] | None = None,
        max_open_files: int = 64,
        on_empty: str = "file",
        base: str = "",
    ) -> None:
        self.path = path
        self._marked, expressions = split(path)
        check_target(path if not expressions else fixed(self._marked) + "file")
        self.template = self._marked if expressions else None
        self.format = format or _inferred(path)
        self.packing = _packing(path, compression)
        if self.format not in FORMATS.values():
            raise InvalidPipeline(f"format: {self.format!r} is none of {', '.join(dict.fromkeys(FORMATS.values()))}")
        if nested not in NESTED:
            raise InvalidPipeline(f"nested: {nested!r} is none of {', '.join(NESTED)}")
        if on_empty not in ON_EMPTY:
            raise InvalidPipeline(f"on_empty: {on_empty!r} is none of {', '.join(ON_EMPTY)}")
        if delimiter is not None and (len(delimiter) != 1 or delimiter in '\r\n"\0'):
            raise InvalidPipeline(f"delimiter: {delimiter!r} is not one character that can separate cells")
        self._table = (delimiter or ("\t" if self.format == "tsv" else ","), columns, header, formula_guard, nested)
        self._most = _roll(roll, self._marked)
        self._on_empty = on_empty
        folder = Path(base or ".").resolve()
        self._folder, self._most_open = folder, max_open_files
        self._shelf = self._new_shelf()
        self._others: list[Shelf] = []  # of the other parts, once they are joined
        self._is_part = False
        self._parts: dict[str, int] = {}  # by marked path: the part that is written now

    # --- what the engine asks ----------------------------------------------------------------------------------

    def open(self, state: Any) -> None:
        """Starts new files, or goes on where `state` stands. `Refused`: what was written is not there any more."""
        files, parts = _known(state, numbered(self._marked, 1))
        self._shelf.open(files)
        self._parts = parts
        if self.template is None:
            self._shelf.take(self._now(self._marked))

    def write(self, payloads: Payloads) -> Verdicts | None:
        """Appends; returns verdicts for the payloads that the format cannot hold."""
        return self._write(self._marked, payloads)

    def write_to(self, target: Any, payloads: Payloads) -> Verdicts | None:
        """The same for payloads whose path is `target`."""
        assert self.template is not None
        try:
            marked = confined(target, self.template)
        except RecordError as error:
            return dict.fromkeys(range(len(payloads)), rejected(error.code, error.reason))
        return self._write(marked, payloads)

    def sync(self) -> Any:
        """What was written is on disk. The state: the files, how long each is, what its format remembers."""
        return {"files": self._shelf.sync(), "parts": dict(self._parts)}

    def finish(self) -> None:
        """Puts every file under its final name. A second call does nothing. A part waits for the others."""
        if self._others or not self._is_part:
            self._shelf.finish(keep_empty=self._on_empty == "file")

    def keep_parts(self) -> None:
        """`close` shall leave the part files of finished files, too."""
        self._shelf.keep_parts()

    def close(self) -> None:
        """Lets go. Unfinished part files stay for a resume; those of finished files are of no more use."""
        self._shelf.close()
        for other in self._others if self._shelf.finished else ():
            other.forget()

    # --- as one of several processes ---------------------------------------------------------------------------

    def part(self, number: int, of: int) -> None:
        """Writes one part (1 to `of`) of the file; to be called before `open`. Raises `InvalidPipeline`."""
        if self.template is not None or self._most is not None:
            what = "expressions" if self.template is not None else "parts that roll over"
            raise InvalidPipeline(f"path: {what} decide which file a payload goes to, and each file needs one writer")
        if self.format in ("csv", "tsv") and self._table[1] is None:
            raise InvalidPipeline(f"columns: name them, so that all who write the {self.format} write the same ones")
        self._is_part = True
        self._shelf = self._new_shelf(number, of)

    def join(self, states: Sequence[Any]) -> None:
        """On part 1, when it is open where it ended: takes over the other parts, whose last states these are."""
        of = len(states) + 1
        for number, state in enumerate(states, 2):
            other = self._new_shelf(number, of)
            other.open(_known(state, numbered(self._marked, 1))[0])
            self._shelf.join(other)
            self._others.append(other)

    # --- how ---------------------------------------------------------------------------------------------------

    def _write(self, marked: str, payloads: Payloads) -> Verdicts | None:
        if self._most is None:
            return self._shelf.take(self._now(marked)).write(payloads)
        verdicts: dict[int, Any] = {}
        at = 0
        while at < len(payloads):
            file = self._shelf.take(self._now(marked))
            fit = _fitting(payloads.bodies[at:], file, *self._most)
            if not fit:
                self._parts[marked] = self._parts.get(marked, 1) + 1
                continue
            found = file.write(payloads[at : at + fit]) or {}
            verdicts |= {at + index: verdict for index, verdict in found.items()}
            at += fit
        return verdicts or None

    def _now(self, marked: str) -> str:
        return numbered(marked, self._parts.get(marked, 1))

    def _new_shelf(self, number: int = 1, of: int = 1) -> Shelf:
        mark = f".{number}of{of}" if of > 1 else ""
        format = partial(self._new_format, first=number == 1)
        return Shelf(lambda name: WholeFile(name, self._folder, self.packing, format, mark), self._most_open)

    def _new_format(self, *, first: bool) -> Format:
        if self.format == "jsonl":
            return JsonLinesFormat()
        delimiter, columns, header, guard, nested = self._table
        table = TableFormat(delimiter, columns, header and first, guard, nested)
        return JsonArrayFormat() if self.format == "json" else table


def _fitting(bodies: Sequence[bytes], file: WholeFile, records: int | None, size: int | None) -> int:
    """How many of the payloads still fit into the file; at least one into an empty file."""
    fit = len(bodies) if records is None else max(0, min(len(bodies), records - file.records))
    if size is None:
        return fit
    length = file.length
    for index in range(fit):
        length += len(bodies[index]) + 1
        if length > size:
            return index or int(not file.records)
    return fit


def _roll(roll: Mapping[str, int] | None, marked: str) -> tuple[int | None, int | None] | None:
    if roll is None:
        if MARK in marked:
            raise InvalidPipeline("path: it numbers parts, but roll does not say when a part is full")
        return None
    unknown = set(roll) - {"max_records", "max_bytes"}
    if unknown or not roll or any(not isinstance(most, int) or most < 1 for most in roll.values()):
        raise InvalidPipeline("roll: write {max_records: 100000} or {max_bytes: 64MiB}, or both, of at least 1")
    if MARK not in marked:
        raise InvalidPipeline("roll: several files need several names; write {{ part }} into the path")
    return roll.get("max_records"), roll.get("max_bytes")


def _known(state: Any, path: str) -> tuple[dict[str, Any], dict[str, int]]:
    """The files of a state, by their paths, and the numbers of their parts."""
    if state is None:
        return {}, {}
    if isinstance(state, dict) and "length" in state:  # as an earlier version kept it, of one file
        return {path: state}, {}
    if not isinstance(state, dict) or not all(isinstance(state.get(word), dict) for word in ("files", "parts")):
        raise Refused("the state of the file sink is damaged; start with --fresh")
    return dict(state["files"]), dict(state["parts"])


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
