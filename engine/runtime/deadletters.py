"""Dead letters: one JSON object a line, appended, on disk before the checkpoint passes them."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from hashlib import blake2b
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec

from engine.config.pipeline import DeadLetters as Settings
from engine.errors import Halt, InvalidPipeline
from engine.runtime.folders import make_private
from engine.runtime.masks import Masker

EXAMPLES = 5


class DeadLetter(msgspec.Struct, omit_defaults=False):
    """What was refused, where it came from and why. `schemas/dead_letter.json` describes it."""

    id: str
    run_id: str
    pipeline: str
    source: str
    mapping: str | None
    action: str | None
    key: Any
    origin: dict[str, Any]  # file, line, offset
    stage: str  # source | lookup | mapping | payload | vendor
    code: str
    reason: str
    record: Any
    payload: Any
    request: Any
    response: Any
    at: str


def letter_id(pipeline: str, source: str, mapping: str, file: str, offset: int, element: int) -> str:
    """Stable over runs and kills, so that a repeated line counts once."""
    text = "\0".join((pipeline, source, mapping, file, str(offset), str(element)))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


class DeadLetters:
    """The file. Lines wait in memory until `flush`, which returns when they are on disk."""

    def __init__(self, settings: Settings, mask: Masker) -> None:
        self.shared = False  # other processes append to the file, too
        self.settings, self.path, self._mask = settings, settings.path, mask
        self._lines: list[bytes] = []
        self._file: int | None = None
        self.examples: list[str] = []  # the first few, in words without personal data

    def add(self, letter: DeadLetter) -> None:
        if len(self.examples) < EXAMPLES:
            self.examples.append(_in_short(letter))
        redact(letter, self.settings.redact)  # first: what is not kept tells what the reason must not quote
        for part in ("record", "payload", "request", "response"):
            if part not in self.settings.include:
                setattr(letter, part, None)
        self._lines.append(self._mask.json(encode(letter)).encode() + b"\n")

    def flush(self) -> None:
        """Writes and syncs; a disk that refuses halts the run: a dead letter is never skipped."""
        if not self._lines:
            return
        try:
            if self._file is None:
                self._file = open_for_append(self.path, cut=not self.shared)
            if self.shared:
                _append_alone(self._file, b"".join(self._lines))
            else:
                write_all(self._file, b"".join(self._lines))
            os.fsync(self._file)
        except OSError as error:
            raise Halt(f"cannot write dead letters: {error.strerror}", where=str(self.path), code="disk") from error
        self._lines.clear()

    def forget(self) -> None:
        """Lets go of what waits: a dry run leaves no letters."""
        self._lines.clear()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _in_short(letter: DeadLetter) -> str:
    place = f"{letter.origin['file']}:{letter.origin['line']}"
    field = field_of(letter.stage, letter.reason) if letter.stage == "mapping" else ""
    return f"{place}: {letter.mapping or letter.source}: {letter.code}{field and f' in {field}'}"


def field_of(stage: str, reason: str) -> str:
    """The field that a letter's reason begins with, where it is one field's fault; else nothing."""
    head, colon, _ = reason.partition(": ")
    return head if colon and stage in ("mapping", "payload") and " " not in head else ""


def encode(letter: DeadLetter) -> str:
    """One line of JSON without its line end; text that is not Unicode is replaced, never an error."""
    try:
        return msgspec.json.encode(letter).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode(_printable(msgspec.to_builtins(letter))).decode()


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_printable(k): _printable(v) for k, v in value.items()}
    return [_printable(v) for v in value] if isinstance(value, list) else value


REDACTED = "[redacted]"
CUT = 16  # of a text longer than this a beginning is hidden, too
_QUOTED = re.compile(r"""(["'])(.+?)\1""", re.DOTALL)


def redact(letter: DeadLetter, fields: tuple[str, ...]) -> None:
    """Takes the content of these fields out of the letter, also where its reason or the answer quotes it.

    Where a field stands in a row that could not be read nobody can tell: nothing of such a row is kept.
    """
    if not fields:
        return
    if letter.stage == "source" and isinstance(letter.record, str):
        letter.record, letter.reason = REDACTED, _without_quotes(letter.reason, letter.record, fields)
        return
    hidden = sorted({*contents(letter.record, fields), *contents(letter.payload, fields)}, key=len, reverse=True)
    letter.record, letter.payload = redacted(letter.record, fields), redacted(letter.payload, fields)
    letter.reason = _without(letter.reason, hidden)
    letter.response = _without(letter.response, hidden)
    letter.key = _without(letter.key, hidden)


def contents(value: Any, fields: tuple[str, ...], *, inside: bool = False) -> Iterator[str]:
    """The texts and numbers under these fields, at any depth; in lower case, too, as vendors fold addresses."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from contents(one, fields, inside=inside or name in fields)
    elif isinstance(value, list):
        for one in value:
            yield from contents(one, fields, inside=inside)
    elif inside and not isinstance(value, bool) and value is not None and len(str(value)) > 1:
        text = str(value)
        written = {text, repr(text)[1:-1], json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        yield from written | {form.lower() for form in written}


def _without(value: Any, hidden: list[str]) -> Any:
    """The value without these texts, wherever they stand in it."""
    if isinstance(value, str):
        for text in hidden:
            value = _hide(value, text)
        return value
    if isinstance(value, dict):
        return {name: _without(one, hidden) for name, one in value.items()}
    if isinstance(value, (int, float)) and not isinstance(value, bool) and str(value) in hidden:
        return REDACTED
    return [_without(one, hidden) for one in value] if isinstance(value, list) else value


def _hide(value: str, text: str) -> str:
    """Without the text; of a long one also without a beginning, as messages quote long values in part."""
    if len(text) <= CUT:
        return value.replace(text, REDACTED)
    at = 0
    while (start := value.find(text[:CUT], at)) >= 0:
        end = start + sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(value[start:], text, strict=False))
        )
        value, at = value[:start] + REDACTED + value[end:], start + len(REDACTED)
    return value


def _without_quotes(reason: str, row: str, fields: tuple[str, ...]) -> str:
    """The reason without what it quotes of a row; names of columns stay, unless the row holds them, too."""

    def hide(match: re.Match[str]) -> str:
        quote, text = match.group(1), match.group(2)
        told = text in fields or (text.removesuffix("…") not in row and "\\" not in text)
        return match.group() if told else f"{quote}{REDACTED}{quote}"

    return _QUOTED.sub(hide, reason)


def redacted(value: Any, fields: tuple[str, ...]) -> Any:
    """The value without the content of these fields, at any depth."""
    if not fields:
        return value
    if isinstance(value, dict):
        return {k: REDACTED if k in fields else redacted(v, fields) for k, v in value.items()}
    return [redacted(v, fields) for v in value] if isinstance(value, list) else value


def open_for_append(path: Path, *, cut: bool = True) -> int:
    """Opens a private file for appending; a line torn by a kill was never acknowledged and is cut off."""
    make_private(path.parent)
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
    if cut:
        _cut_torn_line(file)
    return file


def _append_alone(file: int, data: bytes) -> None:
    """Appends whole lines; whoever else appends to the file waits meanwhile, and finds no torn line."""
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        _cut_torn_line(file)
        write_all(file, data)
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _cut_torn_line(file: int) -> None:
    size = os.fstat(file).st_size
    end = size
    while end > 0:
        start = max(0, end - 65536)
        found = os.pread(file, end - start, start).rfind(b"\n")
        if found >= 0:
            end = start + found + 1
            break
        end = start
    if end < size:
        os.ftruncate(file, end)


def write_all(file: int, data: bytes) -> None:
    """Writes every byte: a short write is no error of write(2), but would be one of ours."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def read_letters(path: Path) -> Iterator[dict[str, Any]]:
    """The letters of a file, each id once (the last one said of it), in order of first mention.

    Raises `InvalidPipeline` that names a line which is no dead letter.
    """
    letters: dict[str, dict[str, Any]] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n") and line.strip():
                letter = _read(line, f"{path}:{number}")
                letters[letter["id"]] = letter
    yield from letters.values()


NEEDED = ("run_id", "source", "mapping", "stage", "code", "reason")


def _read(line: bytes, place: str) -> dict[str, Any]:
    """What the commands rely on is looked at here, so that they need not."""
    try:
        letter = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):  # what it says would quote the data
        raise InvalidPipeline(f"{place}: this line is no dead letter: it is not JSON; {_MEND}") from None
    if not isinstance(letter, dict) or not isinstance(letter.get("id"), str):
        raise InvalidPipeline(f"{place}: this line is no dead letter: it has no id; {_MEND}")
    origin = letter.get("origin")
    missing = [name for name in NEEDED if name not in letter]
    if not isinstance(origin, dict) or not {"file", "line"} <= origin.keys():
        missing.append("origin")
    if missing:
        raise InvalidPipeline(f"{place}: this line is no dead letter: it lacks {', '.join(missing)}; {_MEND}")
    return letter


_MEND = "mend the line, or take it out of the file"
