"""Where a text holds expressions: enough of Jinja's syntax to tell them from plain text, nothing of their meaning."""

from __future__ import annotations

import re
from typing import NamedTuple

_OPEN = re.compile(r"\{\{|\{%|\{#")
_INSIDE = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[(\[{]|[)\]]|\}\}|\}|%\}""", re.DOTALL)


class Span(NamedTuple):
    """`{{ … }}`, `{% … %}` or `{# … #}` between two offsets; `closed` False where it does not end."""

    kind: str  # {{ | {% | {#
    start: int
    end: int
    closed: bool = True


def spans(text: str) -> list[Span]:
    """Every piece of markup of a text, in order. Quotes and brackets within expressions are respected."""
    found: list[Span] = []
    position = 0
    while match := _OPEN.search(text, position):
        kind = match.group()
        end = text.find("#}", match.end()) + 2 if kind == "{#" else _end(text, match.end(), kind)
        closed = end > match.end()
        found.append(Span(kind, match.start(), end if closed else len(text), closed))
        position = found[-1].end
    return found


def _end(text: str, position: int, kind: str) -> int:
    """The offset after the closing mark, or 0."""
    depth = 0
    close = "}}" if kind == "{{" else "%}"
    while match := _INSIDE.search(text, position):
        mark = match.group()
        position = match.end()
        if mark in ("(", "[", "{"):
            depth += 1
        elif mark == close and depth == 0:
            return position
        elif mark == "}}" and depth:  # two closing braces of maps, or one and the mark
            depth -= 1
            position = match.start() + 1
        elif mark in (")", "]", "}"):
            depth = max(0, depth - 1)
    return 0


def open_bracket(text: str, position: int) -> int | None:
    """Where the last round or square bracket opens that is not closed, if there is one."""
    opened: list[int] = []
    while match := _INSIDE.search(text, position):
        position = match.end()
        if match.group() in ("(", "["):
            opened.append(match.start())
        elif match.group() in (")", "]") and opened:
            opened.pop()
    return opened[-1] if opened else None


def is_expression(text: str) -> bool:
    """Is the text exactly one `{{ … }}`, so that its value keeps its type? A final line break does not count."""
    if not text.startswith("{{"):
        return False
    found = spans(text)
    return len(found) == 1 and found[0].closed and found[0].end == len(text.removesuffix("\n"))


def has_markup(text: str) -> bool:
    return _OPEN.search(text) is not None
