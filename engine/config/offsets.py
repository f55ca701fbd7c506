"""From a character of a scalar's parsed text to the place in the file where it is written."""

from __future__ import annotations

import re

from engine.config.nodes import Node

_ESCAPE_LENGTH = {"x": 4, "u": 6, "U": 10}
_BREAK = re.compile(r"\r\n|\n|\r")


def offsets(source: str, node: Node) -> list[int]:
    """For each character of a scalar's text as YAML reads it, its offset in the file's text; then the end's."""
    if node.style in ("|", ">"):
        found = _block(source, node)
    elif node.style:
        found = _flow(source, node.start + 1, node.end - 1, node.style)
    else:
        found = _flow(source, node.start, node.end, "")
    return [*found, found[-1] + 1 if found else node.start]


def _flow(source: str, position: int, end: int, style: str) -> list[int]:
    """Offsets of each character of a plain or quoted scalar: escapes, doubled quotes, folded lines."""
    found: list[int] = []
    while position < end:
        char = source[position]
        if style == '"' and char == "\\":
            position = _escape(source, position, end, found)
        elif style == "'" and source[position : position + 2] == "''":
            found.append(position)
            position += 2
        elif char in " \t\r\n":
            position = _space(source, position, end, found)
        else:
            found.append(position)
            position += 1
    return found


def _escape(source: str, position: int, end: int, found: list[int]) -> int:
    following = source[position + 1 : position + 2]
    if following in ("\n", "\r"):  # an escaped line break is nothing, and so is the next line's indentation
        after = position + 1
        while after < end and source[after] in " \t\r\n":
            after += 1
        return after
    found.append(position)
    return position + _ESCAPE_LENGTH.get(following, 2)


def _space(source: str, position: int, end: int, found: list[int]) -> int:
    """White space: itself within a line; across lines one space, or a line break for each empty line."""
    after = position
    while after < end and source[after] in " \t\r\n":
        after += 1
    breaks = len(_BREAK.findall(source[position:after]))
    count = after - position if not breaks else max(1, breaks - 1)
    found.extend(range(position, after) if not breaks else [position] * count)
    return after


def _block(source: str, node: Node) -> list[int]:
    """Offsets of each character of a block scalar: what is no white space stands in the file in the same order."""
    start = _BREAK.search(source, node.start)
    cursor = start.end() if start else node.end
    found: list[int] = []
    gap: list[str] = []
    for char in node.text:
        if char.isspace():
            gap.append(char)
            continue
        begin = cursor
        while cursor < len(source) and source[cursor] != char:
            cursor += 1
        found.extend(_gap(gap, begin, cursor))
        gap.clear()
        found.append(cursor)
        cursor += 1
    return found + _gap(gap, cursor, cursor + len(gap))


def _gap(gap: list[str], begin: int, end: int) -> list[int]:
    """White space between two characters: what follows the last line break is counted back from the second."""
    broken = "".join(gap).rfind("\n") + 1
    tail = len(gap) - broken
    return [min(begin + i, end) for i in range(broken)] + [end - tail + i for i in range(tail)]
