"""CSV and TSV: strict quoting, exact positions; a line that is no row costs that line alone."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from engine.plugin import InvalidPipeline, Position
from engine.sources.blocks import Read, Spots
from engine.sources.lines import FIRST, MOST_ROWS, Bad, LineReader, Parsed
from engine.sources.types import Convert
from engine.sources.walk import STAND_IN, Dialect, Recount, Walk

SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?", re.I)  # Excel's first line
OTHER_DELIMITERS = {";": "';'", "\t": "'\\t'", "|": "'|'"}


@dataclass(frozen=True, slots=True)
class Layout:
    """The settings of a delimited file."""

    delimiter: str | None = None  # None: the format's own
    quote: str | None = '"'
    escape: str | None = None
    header: bool | Sequence[str] | None = None  # None, True: from the file; False: none, columns are numbered
    double_quote: bool = True  # a quote within quotes is written twice
    trim: bool = False
    null_values: frozenset[str] = frozenset()
    types: Mapping[str, tuple[str, Convert]] = field(default_factory=dict)  # by column; all others are texts
    ragged: str = "error"  # error | pad | truncate | extra
    extra: str | None = None  # the column that takes surplus cells, with `ragged` = extra
    skip_rows: int = 0
    skip_rows_after_header: int = 0
    skip_footer: int = 0
    comment: str | None = None

    def dialect(self, default: str, grows: bool = False) -> Dialect:
        delimiter = self.delimiter or default
        long = delimiter if len(delimiter) > 1 else None
        quoting = csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE
        return Dialect(
            {
                "delimiter": STAND_IN if long else delimiter,
                "quotechar": self.quote or None,
                "escapechar": self.escape,
                "quoting": quoting,
                "skipinitialspace": self.trim,
                "strict": True,
            },
            self.comment,
            long,
            self.double_quote,
            grows,
        )


class Table(LineReader):
    """One opened file of rows. Records are lists of cells: texts, None for null, a list for surplus cells."""

    columns: tuple[str, ...] | None

    def __init__(
        self, read: Read, name: str, encoding: str, cap: int, layout: Layout, delimiter: str, grows: bool = False
    ) -> None:
        self.layout = layout
        super().__init__(read, name, encoding, cap, layout.skip_footer, grows)
        csv.field_size_limit(max(csv.field_size_limit(), cap + 1))  # the cap on lines is ours
        self.dialect = layout.dialect(self._separator_line() or delimiter, grows)
        own_header = layout.header is None or layout.header is True
        self._skip(layout.skip_rows + (0 if own_header else layout.skip_rows_after_header))
        self.header = self._header()
        self._skip(layout.skip_rows_after_header if own_header else 0)
        self.width = len(self.header)
        extra = (layout.extra,) if layout.extra is not None and self.header else ()
        self.columns = (*self.header, *extra) or None
        if len(set(self.columns or ())) < len(self.columns or ()):
            raise InvalidPipeline(
                f"ragged: {self.name} has a column {layout.extra!r} of its own; choose another name"
            )
        self._types = [(self.header.index(name), name, *how) for name, how in self._known(layout.types).items()]

    def _known(self, types: Mapping[str, tuple[str, Convert]]) -> Mapping[str, tuple[str, Convert]]:
        missing = [name for name in types if name not in self.header]
        if missing and self.header:
            there = ", ".join(self.header)
            raise InvalidPipeline(f"columns: {self.name} has no column {missing[0]!r}; it has {there}")
        return types if self.header else {}

    def line_end(self, head: bytes) -> str:
        """A lone carriage return ends lines in files that have no line feed at all, as far as one can see."""
        text = head.decode(self.encoding.name, "replace")
        first, _, rest = text.partition("\r")
        quote = self.layout.quote
        return "\r" if rest and "\n" not in text and not (quote and first.count(quote) % 2) else "\n"

    # --- what comes before the rows ------------------------------------------------------------------------

    def _skip(self, lines: int) -> None:
        for _ in range(lines):
            self._pass(self._one_line())

    def _one_line(self) -> bytes:
        line = self.blocks.take(1)
        if self.blocks.overlong:
            raise InvalidPipeline(f"{self.name}: a line before the header is longer than max_line")
        return line

    def _separator_line(self) -> str | None:
        line = self.blocks.take(1)
        said = SEPARATOR_LINE.fullmatch(line.decode(self.encoding.name, "replace")) if len(line) < 64 else None
        if said is None or self.layout.delimiter not in (None, said[1]):
            self.blocks.give_back(line)
            return None
        self._pass(line)
        return said[1]

    def _header(self) -> tuple[str, ...]:
        if isinstance(self.layout.header, Sequence):
            return checked_names(self.layout.header, "header")
        while block := self.blocks.take(min(FIRST, self.cap)):
            begin = self.begin
            walk = Walk(self.blocks, block, self.encoding, self.dialect, 1)
            parsed = walk.parsed(begin.line, begin.offset)
            if self.layout.header is False and parsed.rows:
                self.blocks.give_back(parsed.consumed)
                return self._numbered(parsed.rows[0])
            self._pass(parsed.consumed)
            if not parsed.consumed:
                return ()  # it is not written to its end yet
            if parsed.rows:
                return self._names(parsed.rows[0], parsed.locate(0)[0])
        if self.blocks.overlong:
            raise InvalidPipeline(f"{self.name}: the header is longer than max_line")
        return ()

    def _numbered(self, first: Any) -> tuple[str, ...]:
        if isinstance(first, Bad):
            raise InvalidPipeline(
                f"{self.name}: the first row cannot be read ({first.reason}); name the columns: header: […]"
            )
        return tuple(f"column_{i + 1}" for i in range(len(first)))

    def _names(self, found: Any, line: int) -> tuple[str, ...]:
        where = f"{self.name}:{line}"
        if isinstance(found, Bad):
            raise InvalidPipeline(f"{where}: the header cannot be read: {found.reason}")
        if len(found) == 1 and self.layout.delimiter is None:
            for delimiter, shown in OTHER_DELIMITERS.items():
                if delimiter in found[0] and delimiter != self.dialect.csv["delimiter"]:
                    raise InvalidPipeline(
                        f"{where}: the header is one column, {found[0][:80]!r}; did you mean delimiter: {shown}?"
                    )
        return checked_names([name.strip() for name in found] if self.layout.trim else found, where)

    # --- rows ------------------------------------------------------------------------------------------------

    def parse(self, block: bytes, at: Position) -> Parsed:
        quick = self._quick(block, at)
        parsed = quick if quick is not None else self._careful(block, at)
        parsed = self._typed(parsed, at) if self._types else parsed
        return parsed if quick is None else parsed._replace(again=partial(self._again, block, at))

    def _again(self, block: bytes, at: Position) -> list[Any]:
        """The rows of a block that was read quickly before."""
        quick = self._quick(block, at)
        assert quick is not None
        return (self._typed(quick, at) if self._types else quick).rows

    def _quick(self, block: bytes, at: Position) -> Parsed | None:
        """A block of whole and good records; None where it is not, or may not be."""
        try:
            text = block.decode(self.encoding.name)
        except UnicodeDecodeError:
            return None
        comment = self.layout.comment
        if "\0" in text or (comment and comment in text):
            return None
        if not self.layout.double_quote and (self.layout.quote or "") * 2 in text:
            return None
        if self.dialect.delimiter:
            if STAND_IN in text:
                return None
            text = self.dialect.lent(text)
        lines = text.split(self.newline)
        if not lines[-1]:
            lines.pop()
        rows = self._one_each(text, lines)
        if rows is None:
            if self._may_span_lines(text):
                lines = [line + self.newline for line in lines]
            try:
                rows = list(csv.reader(lines, **self.dialect.csv))
            except csv.Error:
                return None
        rows = self.dialect.returned_all(rows)
        if len(rows) != len(lines):
            return self._spanning(block, lines, rows, at)
        spots = Spots(block, self._newline, at.line, at.offset)
        bad = False
        if set(map(len, rows)) != {self.width}:
            spots.kept = [line for line, cells in enumerate(rows) if cells]
            rows, bad = self._fitted([(rows[line], self.dialect.returned(lines[line])) for line in spots.kept])
        elif self.layout.extra is not None:
            rows = [[*cells, []] for cells in rows]
        return Parsed(block, self._cleaned(rows), bad, spots)

    def _one_each(self, text: str, lines: list[str]) -> list[Any] | None:
        """The cells of lines that are a record each, all of the right width; None where that is not sure.

        Where nothing is quoted csv does what `split` does, at twice the price; the few lines that have a quote are
        left to csv. A record of several lines begins with a line in which the quotes do not come in pairs.
        """
        layout, quote = self.layout, self.layout.quote
        if self.width < 2 or layout.trim or "\r" in text or (layout.escape and layout.escape in text):
            return None
        delimiter: str = self.dialect.csv["delimiter"]
        rows: list[Any] = [line.split(delimiter) for line in lines]
        if quote and quote in text:
            at = [index for index, line in enumerate(lines) if quote in line]
            some = [lines[index] for index in at]
            if 4 * len(at) > len(lines) or any(line.count(quote) % 2 for line in some):
                return None
            try:
                parsed = list(csv.reader(some, **self.dialect.csv))
            except csv.Error:
                return None
            if len(parsed) != len(at):  # in one that has pairs of quotes, too, a cell may be left open
                return None
            for index, cells in zip(at, parsed, strict=True):
                rows[index] = cells
        return rows if set(map(len, rows)) == {self.width} else None

    def _may_span_lines(self, text: str) -> bool:
        quote, escape = self.layout.quote, self.layout.escape
        return (quote is not None and quote in text) or (escape is not None and escape in text)

    def _spanning(self, block: bytes, lines: list[str], rows: list[Any], at: Position) -> Parsed | None:
        """A block of whole records, some of several lines."""
        rows = [cells for cells in rows if cells]
        if set(map(len, rows)) != {self.width}:
            return None
        if self.layout.extra is not None:
            rows = [[*cells, []] for cells in rows]
        starts = Recount(lines, self.dialect, block, self._newline, at)
        return Parsed(block, self._cleaned(rows), False, starts)

    def _careful(self, block: bytes, at: Position) -> Parsed:
        walk = Walk(self.blocks, block, self.encoding, self.dialect, MOST_ROWS)
        parsed = walk.parsed(at.line, at.offset)
        fit = self.width
        rows: list[Any] = [
            cells if cells.__class__ is Bad else self._fit(cells, None if len(cells) == fit else walk.raw(row))
            for row, cells in enumerate(parsed.rows)
        ]
        bad = any(row.__class__ is Bad for row in rows)
        return Parsed(parsed.consumed, self._cleaned(rows), bad, parsed.locate)

    def _fitted(self, rows: list[tuple[list[str], str]]) -> tuple[list[Any], bool]:
        fitted = [self._fit(cells, raw) for cells, raw in rows]
        return fitted, any(row.__class__ is Bad for row in fitted)

    def _fit(self, cells: list[Any], raw: str | None) -> Any:
        """The cells as one record, or `Bad` when there are too many or too few."""
        missing = self.width - len(cells)
        ragged = self.layout.ragged
        if missing == 0 or (missing > 0 and ragged != "error"):
            fit = [*cells, *[None] * missing]
            return [*fit, []] if ragged == "extra" else fit
        if missing < 0 and ragged == "truncate":
            return cells[: self.width]
        if missing < 0 and ragged == "extra":
            return [*cells[: self.width], cells[self.width :]]
        return Bad("cells", f"the row has {len(cells)} cells, the header {self.width}", (raw or "")[:4096])

    def _cleaned(self, rows: list[Any]) -> list[Any]:
        """Without white space around cells, and with null for what means it."""
        nulls, trim = self.layout.null_values, self.layout.trim
        if trim:
            rows = [
                row if row.__class__ is Bad else [c.strip() if c.__class__ is str else c for c in row] for row in rows
            ]
        if not nulls:
            return rows
        return [
            row
            if row.__class__ is Bad
            else [None if cell.__class__ is str and cell in nulls else cell for cell in row]
            for row in rows
        ]

    def _typed(self, parsed: Parsed, at: Position) -> Parsed:
        """The rows with the cells of typed columns read; null stays null."""
        rows, bad = parsed.rows, parsed.bad
        for column, name, wanted, convert in self._types:
            for index, row in enumerate(rows):
                if row.__class__ is Bad or (cell := row[column]) is None:
                    continue
                try:
                    row[column] = convert(cell)
                except (ValueError, OverflowError):
                    bad = True
                    rows[index] = Bad(
                        "column-type",
                        f"column {name!r}: {cell[:100]!r} is not {wanted}",
                        self._raw(parsed, at, index),
                    )
        return Parsed(parsed.consumed, rows, bad, parsed.locate)

    def _raw(self, parsed: Parsed, at: Position, row: int) -> str:
        """The text of a row for its dead letter."""
        start = parsed.locate(row)[1] - at.offset
        end = parsed.locate(row + 1)[1] - at.offset if row + 1 < len(parsed.rows) else len(parsed.consumed)
        return self.encoding.shown(parsed.consumed[start:end]).rstrip("\r\n")


def checked_names(names: Sequence[str], where: str) -> tuple[str, ...]:
    """Column names, each there and each once."""
    empty = [i + 1 for i, name in enumerate(names) if not name.strip()]
    if empty:
        last = " (does each line end in a delimiter?)" if empty == [len(names)] and len(names) > 1 else ""
        raise InvalidPipeline(f"{where}: column {empty[0]} has no name{last}; name the columns with header: […]")
    doubled = sorted({name for name in names if list(names).count(name) > 1})
    if doubled:
        raise InvalidPipeline(f"{where}: more than one column is called {', '.join(map(repr, doubled))}")
    return tuple(names)
