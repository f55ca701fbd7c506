"""A pipeline file that was read: its text, its tree, and the place of every path in it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cached_property
from typing import Any

from engine.config.flaws import Flaw
from engine.config.messages import Finding, Place
from engine.config.nodes import Entry, Node, Path, walk
from engine.config.offsets import offsets
from engine.config.variables import template_parts, unreplaced
from engine.model import MASK, Problem

WINDOW = 500  # characters of a long line that a finding keeps on either side
_BREAK = re.compile(r"\r\n|\n|\r")
_SECRET_LINE = re.compile(
    r"""(?ix) ((?:api|access|secret|private|auth|bearer)[-_]?(?:key|token)|token|secret|passw(?:or)?d|credentials?)
    ["']? [ \t]* : [ \t]+ ["']? (?P<value> (?![ \t"']*(?:\$\{|\{|[|>&*])) [^\s#"'][^\r\n#"']* )"""
)

_LOGIN = re.compile(r"://(?P<value>[^\s/\"'@:]*:[^\s/\"'@]+)@")


class Document:
    """`data` is the file's content as plain values, with environment, connections and variables applied.

    `is_template(path)` tells whether a value is read as an expression, so that its text is the template's.
    """

    def __init__(
        self, name: str, text: str, root: Node, is_template: Callable[[Path], bool] = lambda path: False
    ) -> None:
        self.name, self.text, self.root, self.is_template = name, text, root, is_template
        self._offsets: dict[int, list[int]] = {}

    @cached_property
    def data(self) -> dict[str, Any]:
        content: dict[str, Any] = self.root.data()
        return content

    @cached_property
    def starts(self) -> list[int]:
        """The offset at which each line starts."""
        return [0, *(match.end() for match in _BREAK.finditer(self.text))]

    @cached_property
    def masked(self) -> str:
        """The file's text with its secrets replaced, length kept, for showing lines of it."""
        text = _SECRET_LINE.sub(_veiled, self.text)
        text = _LOGIN.sub(_veiled, text)
        hidden = sorted({(node.start, node.end) for _, node in walk(self.root) if not node.shown})
        pieces, position = [], 0
        for start, end in hidden:
            pieces += [text[position:start], _veil(text[start:end])]
            position = end
        return "".join([*pieces, text[position:]])

    def place(self, problem: Problem, written: bool = False) -> Finding:
        """The finding for a problem: at its character, its value, its key, or the nearest parent there is.

        `written`: `at` counts in the text as it stands in the file, not in the text after `${X}` was replaced.
        """
        node, entry, aliased = self._resolve(problem.path)
        related = self._used(aliased)
        if problem.on_key and entry is not None and entry.key is not None:
            start, end = entry.key.start, entry.key.end
        elif problem.at is not None and node.kind == "scalar":
            start = self._character(node, problem, written)
            end = start + problem.length
        else:
            start, end = node.start, self._visible_end(node)
        return self._finding(problem.code, problem.message, start, end, problem.hint, problem.warning, related)

    def flaw(self, flaw: Flaw) -> Finding:
        """The finding for a flaw that reading found."""
        related = None
        if flaw.related is not None:
            related = Place(*self.line_column(flaw.related[0]), flaw.related[1])
        return self._finding(flaw.code, flaw.message, flaw.start, flaw.end, flaw.hint, False, related)

    def line_column(self, offset: int) -> tuple[int, int]:
        """Line and column, in characters from 1, of an offset."""
        line = bisect_right(self.starts, offset) - 1
        return line + 1, offset - self.starts[line] + 1

    def _finding(
        self, code: str, message: str, start: int, end: int, hint: str, warning: bool, related: Place | None
    ) -> Finding:
        line, column = self.line_column(start)
        begin, finish = self._line(line)
        length = max(1, min(end - start, finish - start))
        severity = "warning" if warning else "error"
        cut = max(begin, start - WINDOW) if finish - begin > 2 * WINDOW else begin
        shown = self.masked[cut : min(finish, cut + 2 * WINDOW)]
        return Finding(code, message, self.name, line, column, length, hint, severity, related, shown, cut - begin)

    def _line(self, number: int) -> tuple[int, int]:
        """Where a line begins and ends, its line break left out."""
        begin = self.starts[number - 1]
        end = self.starts[number] if number < len(self.starts) else len(self.text)
        return begin, begin + len(self.text[begin:end].rstrip("\r\n"))

    def _resolve(self, path: Path) -> tuple[Node, Entry | None, Entry | None]:
        """The deepest node of a path that exists, its entry, and the last entry that came by an alias."""
        node, entry, aliased = self.root, None, None
        for step in path:
            found = node.child(step)
            if found is None:
                break
            node, entry = found.value, found
            if found.used is not None:
                aliased = found
        return node, entry, aliased

    def _used(self, aliased: Entry | None) -> Place | None:
        if aliased is None or aliased.used is None:
            return None
        return Place(*self.line_column(aliased.used), "used here")

    def _character(self, node: Node, problem: Problem, written: bool) -> int:
        at = problem.at or 0
        if node.parts and not written:
            at = unreplaced(template_parts(node) if self.is_template(problem.path) else node.parts, at)
        if id(node) not in self._offsets:
            self._offsets[id(node)] = offsets(self.text, node)
        found = self._offsets[id(node)]
        return found[max(0, min(at, len(found) - 1))]

    def _visible_end(self, node: Node) -> int:
        return node.start + 1 if node.kind != "scalar" or node.style in ("|", ">") else node.end


def _veiled(found: re.Match[str]) -> str:
    """The match with its `value` masked."""
    start, end = found.start("value") - found.start(), found.end("value") - found.start()
    return found.group()[:start] + _veil(found["value"]) + found.group()[end:]


def _veil(text: str) -> str:
    """A mask of the same length, so that columns stay right."""
    return re.sub(r"[^\s\"']", MASK[0], text)
