"""The tree of a pipeline file: every value with the place where it is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Path = tuple[str | int, ...]


class Part(NamedTuple):
    """A stretch of a scalar after `${X}` was replaced: `start` and `end` count in the text as written."""

    start: int
    end: int
    text: str
    replaced: bool


@dataclass(slots=True, eq=False)
class Node:
    """A scalar, a map or a list; `start` and `end` are offsets, in characters, in the file's text."""

    kind: str  # scalar | map | list
    start: int
    end: int
    style: str = ""  # of a scalar: "" plain, ' or " quoted, | literal, > folded
    text: str = ""  # of a scalar: as YAML reads it, before any value is typed
    value: Any = None  # of a scalar: as typed, after ${X}
    entries: dict[str, Entry] = field(default_factory=dict)
    items: list[Entry] = field(default_factory=list)
    parts: tuple[Part, ...] = ()  # of a scalar in which ${X} was replaced
    unset: bool = False  # a variable or secret file in it is missing: its value is a stand-in
    shown: bool = True  # False: secret, masked wherever the line is shown

    def child(self, step: str | int) -> Entry | None:
        if self.kind == "map":
            return self.entries.get(step) if isinstance(step, str) else None
        if self.kind == "list" and isinstance(step, int) and 0 <= step < len(self.items):
            return self.items[step]
        return None

    def get(self, *path: str | int) -> Node | None:
        """The node at a path below this one."""
        node: Node | None = self
        for step in path:
            entry = node.child(step) if node else None
            node = entry.value if entry else None
        return node

    def children(self) -> Iterator[tuple[str | int, Node]]:
        if self.kind == "map":
            yield from ((name, entry.value) for name, entry in self.entries.items())
        else:
            yield from enumerate(entry.value for entry in self.items)

    def data(self) -> Any:
        """The value as plain dicts, lists and scalars."""
        if self.kind == "map":
            return {name: entry.value.data() for name, entry in self.entries.items()}
        if self.kind == "list":
            return [entry.value.data() for entry in self.items]
        return self.value

    def with_entries(self, entries: dict[str, Entry]) -> Node:
        """A map at the same place with other entries."""
        return Node("map", self.start, self.end, self.style, entries=entries)


@dataclass(slots=True, eq=False)
class Entry:
    """A member of a map or list. `used` is the offset of the alias or merge key through which it came here."""

    value: Node
    key: Node | None = None
    used: int | None = None


def walk(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Every node with its path, parents first."""
    yield path, node
    for step, child in node.children():
        yield from walk(child, (*path, step))
