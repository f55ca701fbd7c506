"""JSON Lines: one object a line; integers of any size stay exact, what JSON cannot hold is refused."""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from typing import Any

import msgspec

from engine.plugin import Position
from engine.sources.blocks import Read, Spots, chopped
from engine.sources.duplicates import all_kept, doubled_key
from engine.sources.lines import Bad, LineReader, Parsed
from engine.sources.text import Encoding

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_unreadable = (msgspec.DecodeError, UnicodeError, ValueError, RecursionError)


def _all(block: bytes) -> list[Any]:
    lines = block.split(b"\n")
    return list(map(_decode, lines if lines[-1] else lines[:-1]))


class JsonLines(LineReader):
    """One opened file of objects. Records are dicts. `unique`: an object that has a key twice is malformed."""

    def __init__(
        self, read: Read, name: str, encoding: str, cap: int, *, unique: bool = False, grows: bool = False
    ) -> None:
        self.unique = unique
        super().__init__(read, name, encoding, cap, grows=grows)

    def parse(self, block: bytes, at: Position) -> Parsed:
        if self.encoding.name == "utf-8":
            lines = block.split(b"\n")
            if not lines[-1]:
                lines.pop()
            try:
                rows = list(map(_decode, lines))
            except _unreadable:
                pass
            else:
                if self.unique and not all_kept(block, rows):
                    return self._careful(block, at)
                return Parsed(block, rows, False, Spots(block, b"\n", at.line, at.offset), partial(_all, block))
        return self._careful(block, at)

    def _careful(self, block: bytes, at: Position) -> Parsed:
        lines = chopped(block, self._newline)
        offsets = list(accumulate(map(len, lines), initial=at.offset))
        rows, places = [], []
        for index, line in enumerate(lines):
            record = decoded(line, self.encoding, self.unique)
            if record is not None:
                rows.append(record)
                places.append((at.line + index, offsets[index]))
        return Parsed(block, rows, any(row.__class__ is Bad for row in rows), places.__getitem__)


def decoded(data: bytes, encoding: Encoding, unique: bool) -> Any:
    """The object that `data` holds, `Bad`, or None for nothing but spaces."""
    shown = data
    try:
        if encoding.name != "utf-8":
            data = data.decode(encoding.name).encode()
        record = _decode(data) if data.strip() else None
        if unique and record is not None and not all_kept(data, [record]) and (key := doubled_key(data)) is not None:
            return Bad("duplicate-key", f"the key {key[:80]!r} stands twice in one object", encoding.shown(shown))
        return record
    except UnicodeError:
        return Bad("encoding", f"the object is not {encoding.name}", encoding.shown(shown))
    except RecursionError:
        return Bad("json", "the object is nested too deeply", encoding.shown(shown))
    except msgspec.ValidationError as error:
        if "range" in str(error):
            return Bad("json", "a number is out of range", encoding.shown(shown))
        return Bad("not-an-object", _not_object(data), encoding.shown(shown))
    except (msgspec.DecodeError, ValueError) as error:
        return Bad("json", str(error), encoding.shown(shown))


def _not_object(data: bytes) -> str:
    if data.lstrip().startswith(b"["):
        return "it is a list, not an object; a file that is one JSON array has format: json"
    return "it is not a JSON object"
