"""Findings about a pipeline file, and how they are shown: where, what, why, and the nearest right answer."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ud800-\udfff]")
_COMPARED = 300  # names that a mistyped one is compared with
_TAB_WIDTH = 4
_SHOWN = 160  # columns of a source line that are shown


@dataclass(frozen=True, slots=True)
class Place:
    """Another place that a finding speaks of, and what it is (`first defined here`)."""

    line: int
    column: int
    note: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend. Lines and columns count characters from 1; line 0 means no place in the file.

    `source` is the line of the file, its secrets masked; of a long line a stretch from character `source_from` on.
    """

    code: str
    message: str
    file: str
    line: int = 0
    column: int = 0
    length: int = 1
    hint: str = ""
    severity: str = "error"  # error | warning
    related: Place | None = None
    source: str = ""
    source_from: int = 0

    @property
    def is_error(self) -> bool:
        return self.severity == "error"

    def render(self) -> str:
        """The message for people: one line, then the source line with a caret, then the related place."""
        return "\n".join([self.headline(), *_excerpt(self), *_relation(self)])

    def headline(self) -> str:
        """`path:line:column: error[code]: message; hint`."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        hint = f"; {self.hint}" if self.hint else ""
        return printable(f"{place}: {self.severity}[{self.code}]: {self.message}{hint}")

    def to_json(self) -> dict[str, Any]:
        """The finding as a JSON object, in the order of its fields; empty ones are left out."""
        words = ("code", "severity", "message", "hint", "file", "line", "column", "length")
        found = {word: getattr(self, word) for word in words if getattr(self, word) != ""}
        if self.related:
            related = self.related
            found["related"] = {"line": related.line, "column": related.column, "note": related.note}
        return found


def _excerpt(finding: Finding) -> list[str]:
    if not finding.line or not finding.source.strip():
        return []
    start = finding.column - 1 - finding.source_from
    cut = max(0, start - _SHOWN // 2) if start > _SHOWN * 3 // 4 else 0
    shown, before = finding.source[cut : cut + _SHOWN], finding.source[cut:start]
    marked = finding.source[start : min(start + max(finding.length, 1), cut + _SHOWN)]
    number = f"{finding.line:>5} | "
    caret = " " * _width(before) + "^" * max(1, _width(marked))
    return [f"{number}{_expand(shown)}".rstrip(), " " * (len(number) - 2) + "| " + caret]


def _relation(finding: Finding) -> list[str]:
    related = finding.related
    if related is None:
        return []
    return [printable(f"      = {related.note}: {finding.file}:{related.line}:{related.column}")]


def printable(text: str) -> str:
    """The text with everything that could move a cursor or reorder a line written as an escape."""
    return _UNSAFE.sub(_escape, text)


def printable_lines(text: str) -> str:
    """The same for a text of several lines, which stay lines."""
    return "\n".join(map(printable, text.split("\n")))


def printable_json(text: str) -> str:
    """JSON of the same meaning: what could play tricks on a terminal is written as JSON's own escapes."""
    return _UNSAFE.sub(_escape_in_json, text)


def _escape_in_json(match: re.Match[str]) -> str:
    """Between its tokens JSON may have white space; inside strings nothing below a space stands as it is."""
    char = match.group()
    return char if char in "\t\n\r" else f"\\u{ord(char):04x}"


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _expand(text: str) -> str:
    """The text as it is shown: tabs as spaces, unsafe characters as escapes."""
    return printable(text.replace("\t", " " * _TAB_WIDTH))


def _width(text: str) -> int:
    """How many columns of a terminal the shown text takes."""
    return sum(_columns(char) for char in _expand(text))


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def nearest(word: object, known: Iterable[str]) -> str:
    """The known name closest to `word`, or an empty text. Case and the kind of dash do not count."""
    folded: dict[str, str] = {}
    for name in islice(known, _COMPARED):
        folded.setdefault(_fold(name), name)
    asked = _fold(str(word)[:100])
    swapped = next((name for name in folded if sorted(name) == sorted(asked)), None)  # the letters are all there
    found = [swapped] if swapped is not None else get_close_matches(asked, folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else ""


def _fold(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")


def did_you_mean_key(word: object, known: Iterable[str], given: Iterable[str]) -> str:
    """The same for a key, beside keys that are there already: one of these is not to be written a second time."""
    names, there = list(known), set(given)
    close = nearest(word, names)
    if close in there:
        return f'"{close}" is there already; remove one of them'
    return did_you_mean(word, [name for name in names if name not in there])


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """The hint for a mistyped name: the nearest known one, else the list of a few, else nothing."""
    names = list(known)
    close = nearest(word, names)
    if close:
        return f'did you mean "{close}"?'
    if not names:
        return ""
    return f"known: {listed(names[:12])}" + (" …" if len(names) > 12 else "")


def listed(names: Iterable[str]) -> str:
    return ", ".join(names)
