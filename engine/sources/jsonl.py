"""JSON Lines: one object a line; integers of any size stay exact, what JSON cannot hold is refused."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import msgspec

from engine.plugin import Position
from engine.sources.blocks import Spots, chopped
from engine.sources.lines import Bad, LineReader, Parsed

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_unreadable = (msgspec.DecodeError, UnicodeError, ValueError, RecursionError)


class JsonLines(LineReader):
    """One opened file of objects. Records are dicts."""

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
                return Parsed(block, rows, False, Spots(block, b"\n", at.line, at.offset))
        return self._careful(block, at)

    def _careful(self, block: bytes, at: Position) -> Parsed:
        lines = chopped(block, self._newline)
        offsets = list(accumulate(map(len, lines), initial=at.offset))
        rows, places = [], []
        for index, line in enumerate(lines):
            record = self._record(line)
            if record is not None:
                rows.append(record)
                places.append((at.line + index, offsets[index]))
        return Parsed(block, rows, any(row.__class__ is Bad for row in rows), places.__getitem__)

    def _record(self, line: bytes) -> Any:
        """The object of a line, `Bad`, or None for a blank line."""
        data = line
        try:
            if self.encoding.name != "utf-8":
                data = line.decode(self.encoding.name).encode()
            return _decode(data) if data.strip() else None
        except UnicodeError:
            return self._bad("encoding", f"the line is not {self.encoding.name}", line)
        except RecursionError:
            return self._bad("json", "the line is nested too deeply", line)
        except msgspec.ValidationError as error:
            reason = "a number is out of range" if "range" in str(error) else _not_object(data)
            return self._bad("json" if "range" in str(error) else "not-an-object", reason, line)
        except (msgspec.DecodeError, ValueError) as error:
            return self._bad("json", str(error), line)

    def _bad(self, code: str, reason: str, line: bytes) -> Bad:
        return Bad(code, reason, self.encoding.shown(line))


def _not_object(data: bytes) -> str:
    if data.lstrip().startswith(b"["):
        return "the line is a list, not an object; a file that is one JSON array has format: json"
    return "the line is not a JSON object"
