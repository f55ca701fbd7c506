"""Reading delimited records with care: one may span lines and blocks, a bad one costs no more than its first line.

The quick way (`delimited.py`) takes a block at a time where each line is one good record; this is for all the others.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

from engine.plugin import Position
from engine.sources.blocks import Blocks, chopped
from engine.sources.lines import FIRST, Bad, Parsed
from engine.sources.text import Encoding

STAND_IN = "\ufdd0"  # a code point that is no character and never will be
ENDLESS = "unexpected end of data"


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are written. `csv` holds the keyword arguments of `csv.reader`.

    csv knows delimiters of one character; of a longer one `delimiter`, STAND_IN takes the place while a text is read.
    """

    csv: dict[str, Any]
    comment: str | None = None
    delimiter: str | None = None
    double_quote: bool = True  # csv is always told so: without, it takes text behind a closing quote in silence
    grows: bool = False  # a record that is not finished at the end of the file is left

    def lent(self, text: str) -> str:
        """A text as csv is to read it."""
        return text.replace(self.delimiter, STAND_IN) if self.delimiter else text

    def returned(self, text: str) -> str:
        return text.replace(STAND_IN, self.delimiter) if self.delimiter else text

    def returned_all(self, rows: list[Any]) -> list[Any]:
        """Rows whose cells hold the delimiter, where they were quoted, as it is written."""
        if not self.delimiter or not any(STAND_IN in cell for row in rows for cell in row):
            return rows
        return [[self.returned(cell) for cell in row] for row in rows]


class Recount:
    """Where records of several lines start: they are read once more when somebody asks."""

    def __init__(self, lines: list[str], dialect: Dialect, block: bytes, newline: bytes, at: Position) -> None:
        self._lines, self._dialect, self._at = lines, dialect, at
        self._block, self._newline = block, newline
        self._starts: list[tuple[int, int]] | None = None

    def __call__(self, row: int) -> tuple[int, int]:
        if self._starts is None:
            lengths = map(len, chopped(self._block, self._newline))
            offsets = list(accumulate(lengths, initial=self._at.offset))
            reader, first, self._starts = csv.reader(self._lines, **self._dialect.csv), 0, []
            for cells in reader:
                if cells:
                    self._starts.append((self._at.line + first, offsets[first]))
                first = reader.line_num
        return self._starts[row]


class Walk:
    """The records that start in one block. Lines of a record that goes on are taken from `blocks`."""

    def __init__(self, blocks: Blocks, block: bytes, encoding: Encoding, dialect: Dialect, most: int) -> None:
        self._blocks, self._encoding, self._dialect, self._most = blocks, encoding, dialect, most
        self._comment = encoding.encoded(dialect.comment) if dialect.comment else None
        self._lines = chopped(block, blocks.newline)
        self._own = len(self._lines)
        self._rows: list[Any] = []
        self._spans: list[tuple[int, int]] = []  # first line and the line after the last, of each row
        self._next = 0  # the line to read next
        self._first = 0  # the first line of the record that is being read
        self._between = True  # no record is being read
        self._trouble: tuple[str, str] | None = None
        self._ended = False  # there are no more lines
        self._left = False  # the last record is not finished, and left for another time

    def parsed(self, line: int, offset: int) -> Parsed:
        """Reads the records; gives back what belongs to none. `line` and `offset` are where the block starts."""
        while len(self._rows) < self._most and not self._left and self._to_record():
            try:
                for cells in csv.reader(self._feed(), **self._dialect.csv):
                    self._keep(cells)
                    if len(self._rows) >= self._most:
                        break
            except csv.Error as error:
                self._fail(str(error))
        consumed = b"".join(self._lines[: self._next])
        self._blocks.give_back(b"".join(self._lines[self._next :]))
        offsets = list(accumulate(map(len, self._lines[: self._next]), initial=offset))
        places = [(line + first, offsets[first]) for first, _ in self._spans]
        bad = any(row.__class__ is Bad for row in self._rows)
        return Parsed(consumed, self._rows, bad, places.__getitem__)

    def raw(self, row: int) -> str:
        """The text of a row for its dead letter."""
        first, end = self._spans[row]
        return self._encoding.shown(b"".join(self._lines[first:end])[:4096])

    def _to_record(self) -> bool:
        """Goes on to the line where the next record starts; False at the end of the block."""
        while self._comment and self._next < self._own and self._lines[self._next].startswith(self._comment):
            self._next += 1
        return self._next < self._own

    def _feed(self) -> Iterator[str]:
        """The lines of one record after the other, as csv.reader asks for them: never more than it needs."""
        size = 0
        while True:
            if self._between:
                if not self._to_record():
                    return
                self._first, self._between, self._trouble, size = self._next, False, None, 0
            elif not self._to_line():
                return  # csv.reader finds that the record is not finished
            line = self._lines[self._next]
            self._next += 1
            size += len(line)
            if size > self._blocks.cap + len(self._blocks.newline):
                raise csv.Error(ENDLESS)
            yield self._text(line)

    def _to_line(self) -> bool:
        if self._next == len(self._lines):
            self._lines += chopped(self._blocks.take(min(FIRST, self._blocks.cap)), self._blocks.newline)
        self._ended = self._next == len(self._lines)
        return not self._ended

    def _text(self, line: bytes) -> str:
        try:
            text = line.decode(self._encoding.name)
        except UnicodeDecodeError as error:
            self._trouble = (
                "encoding",
                f"byte {error.start} of the line is not {self._encoding.name}: {error.reason}",
            )
            return self._dialect.lent(line.decode(self._encoding.name, "replace"))
        if "\0" in text:
            self._trouble = ("nul", "the row holds a NUL character")
        if self._dialect.delimiter and STAND_IN in text:
            self._trouble = ("encoding", "the row holds U+FDD0, which is no character")
        return self._dialect.lent(text)

    def _keep(self, cells: list[str]) -> None:
        self._between = True
        if not cells:
            return  # a blank line
        self._spans.append((self._first, self._next))
        if not self._dialect.double_quote and self._trouble is None and self._doubled():
            self._trouble = ("quoting", _explained("expected after", self._dialect))
        cells = self._dialect.returned_all([cells])[0]
        self._rows.append(cells if self._trouble is None else Bad(*self._trouble, self.raw(-1)))

    def _doubled(self) -> bool:
        """Does a quoted text follow the end of another at once?"""
        quote, escape = self._dialect.csv["quotechar"], self._dialect.csv["escapechar"]
        text = b"".join(self._lines[self._first : self._next]).decode(self._encoding.name, "replace")
        text = re.sub(re.escape(escape) + ".", "", text, flags=re.S) if escape else text
        spans = [
            found.span()
            for found in re.finditer(
                f"{re.escape(quote)}[^{re.escape(quote)}]*{re.escape(quote)}" if quote else r"(?!)", text
            )
        ]
        return any(end == start for (_, end), (start, _) in pairwise(spans))

    def _fail(self, problem: str) -> None:
        """The first line of the record is bad; what follows is read on its own."""
        if self._dialect.grows and self._ended and problem == ENDLESS:
            self._next, self._between, self._left = self._first, True, True
            return
        self._next, self._between = self._first + 1, True
        self._spans.append((self._first, self._next))
        code, reason = self._trouble or ("quoting", _explained(problem, self._dialect))
        self._rows.append(Bad(code, reason, self.raw(-1)))


def _explained(problem: str, dialect: Dialect) -> str:
    """csv's own words, put so that one can see what would do."""
    quote = dialect.csv["quotechar"]
    if problem == ENDLESS:
        return f"a quote ({quote}) is opened in this line and never closed; a quote inside a cell is doubled"
    if problem.startswith("new-line character"):
        return "the line holds a lone carriage return outside quotes"
    if "expected after" in problem:
        inside = "is doubled" if dialect.double_quote else f"stands behind {dialect.csv['escapechar'] or 'an escape'}"
        return f"text follows a closing quote ({quote}); a quote inside a cell {inside}"
    return problem
