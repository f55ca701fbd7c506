"""YAML text → a tree of nodes with positions. Total: every text gives a tree, flaws, or both.

The tree is built from libyaml's events, which need no recursion of its own, under limits that hold before anything
grows: `yaml.compose` would overflow the C stack on deep nesting and unfold alias bombs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from engine.config.flaws import QUOTE, Flaw, explain_syntax
from engine.config.nodes import Entry, Node
from engine.config.scalars import NotAScalar, is_core, read_plain, read_tagged

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 100_000  # after aliases are unfolded
MAX_ALIASES = 100
MAX_FLAWS = 100  # more of them are not looked for

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_PROPERTIES = re.compile(r"(?:[&!]\S*(?:[ \t]+|[ \t]*(?:#[^\n]*)?\r?\n\s*))+")


class _Stop(Exception):
    """Reading cannot go on; what was found so far stands."""


@dataclass(slots=True)
class Reading:
    """What reading gave: no root where the text is no YAML map."""

    root: Node | None = None
    flaws: list[Flaw] = field(default_factory=list)


def read_text(text: str) -> Reading:
    """Reads one YAML document whose root is a map."""
    reading = Reading()
    builder = _Builder(text, yaml.parse(text, Loader=_LOADER), reading.flaws)
    try:
        _refuse_unreadable(text, reading)
        root = builder.document()
        reading.root = _root_map(root, reading)
    except _Stop:
        pass
    except yaml.YAMLError as error:
        reading.flaws.append(explain_syntax(text, error, builder.quoted))
    except (ValueError, RecursionError, OverflowError, MemoryError):
        reading.flaws.append(Flaw("bad-yaml", "this is not YAML that can be read", 0, 1))
    return reading


def _refuse_unreadable(text: str, reading: Reading) -> None:
    match = _UNPRINTABLE.search(text)
    if match:
        code = ord(match.group())
        name = "a NUL character" if code == 0 else f"the control character U+{code:04X}"
        hint = "write it as an escape within double quotes, or remove it"
        reading.flaws.append(
            Flaw("bad-character", f"{name} is not allowed in YAML", match.start(), match.end(), hint)
        )
        raise _Stop


def _root_map(root: Node | None, reading: Reading) -> Node | None:
    if root is None:
        reading.flaws.append(Flaw("empty-file", "the file is empty", 0, 0, "start with `version: 1` and `name:`"))
    elif root.kind != "map":
        what = "a list" if root.kind == "list" else "a single value"
        reading.flaws.append(
            Flaw("not-a-map", f"the file is {what}, not a map", root.start, root.start + 1, "start with `version: 1`")
        )
    else:
        return root
    return None


@dataclass(slots=True)
class _Known:
    """An anchored node, its size and height when every alias is unfolded."""

    node: Node | None
    size: int = 0
    height: int = 0


class _Builder:
    """Builds nodes from events, one pass, limits first."""

    def __init__(self, text: str, events: Iterator[Any], flaws: list[Flaw]) -> None:
        self.text, self.events, self.flaws = text, events, flaws
        self.anchors: dict[str, _Known] = {}
        self.nodes = self.aliases = 0
        self.quoted = (0, 0)  # the last quoted scalar

    def document(self) -> Node | None:
        self._next()  # the stream's start
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        first = self._next()
        empty = isinstance(first, yaml.ScalarEvent) and first.value == "" and not first.style
        root, _ = self._node(first, 1)
        self._next()  # the document's end
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            start = event.start_mark.index
            self._flaw("second-document", "a file holds one document", start, start + 3, "use one file per pipeline")
        return None if empty else root

    def _next(self) -> Any:
        return next(self.events)

    def _flaw(self, code: str, message: str, start: int, end: int, hint: str = "", related: Any = None) -> None:
        self.flaws.append(Flaw(code, message, start, end, hint, related))
        if len(self.flaws) >= MAX_FLAWS:
            raise _Stop

    def _stop(self, message: str, event: Any, hint: str = "") -> _Stop:
        self._flaw("too-large", message, event.start_mark.index, event.end_mark.index, hint)
        return _Stop()

    def _count(self, event: Any, size: int, depth: int) -> None:
        self.nodes += size
        if self.nodes > MAX_NODES:
            raise self._stop(f"more than {MAX_NODES:,} values, aliases unfolded", event)
        if depth > MAX_DEPTH:
            raise self._stop(f"nested deeper than {MAX_DEPTH} levels", event)

    def _node(self, event: Any, depth: int) -> tuple[Node, int]:
        """A node from its first event, and its height."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        self._count(event, 1, depth)
        before, known = self.nodes, _Known(None)
        if event.anchor is not None:
            self.anchors[event.anchor] = known
        if isinstance(event, yaml.ScalarEvent):
            node, height = self._scalar(event), 1
        elif isinstance(event, yaml.MappingStartEvent):
            node, height = self._map(event, depth)
        else:
            node, height = self._list(event, depth)
        known.node, known.size, known.height = node, self.nodes - before + 1, height
        return node, height

    def _alias(self, event: Any, depth: int) -> tuple[Node, int]:
        self.aliases += 1
        if self.aliases > MAX_ALIASES:
            raise self._stop(f"more than {MAX_ALIASES} aliases", event)
        start, end = event.start_mark.index, event.end_mark.index
        known = self.anchors.get(event.anchor)
        if known is None or known.node is None:
            why = "is not defined before it" if known is None else "would hold itself"
            self._flaw("bad-alias", f"the anchor of this alias {why}", start, end)
            raise _Stop
        self._count(event, known.size, depth + known.height - 1)
        return known.node, known.height

    def _tag(self, event: Any, kind: str) -> str:
        tag: str = event.tag or ""
        if tag and not is_core(tag, kind):
            start = event.start_mark.index
            hint = "remove the tag: a pipeline file is plain data"
            self._flaw("bad-tag", "tags other than YAML's core ones are refused", start, start + 1, hint)
            return ""
        return tag

    def _start(self, event: Any) -> int:
        """Where the value itself starts, after its anchor and tag."""
        start: int = event.start_mark.index
        if event.anchor is None and event.tag is None:
            return start
        match = _PROPERTIES.match(self.text, start)
        return match.end() if match else start

    def _scalar(self, event: Any) -> Node:
        start, end, style = self._start(event), event.end_mark.index, event.style or ""
        if style in ("'", '"'):
            self.quoted = (start, end)
        tag = self._tag(event, "scalar")
        node = Node("scalar", min(start, end), end, style, event.value, event.value)
        try:
            if tag:
                node.value = read_tagged(event.value, tag)
            elif not style:
                node.value = read_plain(event.value)
        except NotAScalar as error:
            self._flaw("bad-number", str(error), start, end, "quote it to make it a text")
        return node

    def _list(self, event: Any, depth: int) -> tuple[Node, int]:
        self._tag(event, "list")
        node, height = Node("list", self._start(event), event.end_mark.index), 0
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            value, below = self._node(event, depth + 1)
            node.items.append(Entry(value, None, _used(event)))
            height = max(height, below)
        node.end = _end(event)
        return node, height + 1

    def _map(self, event: Any, depth: int) -> tuple[Node, int]:
        self._tag(event, "map")
        node, height = Node("map", self._start(event), event.end_mark.index), 0
        opened = event
        merges: list[tuple[Node, Node, int]] = []
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key, key_height = self._node(event, depth + 1)
            bare = self._is_bare_expression(opened, event)
            value_event = self._next()
            value, below = self._node(value_event, depth + 1)
            height = max(height, below, key_height)
            if bare:
                start, node.unset = opened.start_mark.index, True  # its value is not known
                self._flaw("unquoted-expression", "an expression must be quoted: YAML reads `{` as a map",
                           start, start + 2, QUOTE)  # fmt: skip
            elif key.kind == "scalar" and key.text == "<<" and not key.style:
                if merges:
                    self._doubled("<<", key, merges[0][0])
                merges.append((key, value, value_event.start_mark.index))
            else:
                self._put(node, key, value, _used(value_event))
        node.end = _end(event)
        for merge in merges[:1]:
            self._merge(node, *merge)
        return node, height + 1

    def _is_bare_expression(self, opened: Any, key: Any) -> bool:
        """Is this `{{ …`, read as a map whose key is a map?"""
        start = opened.start_mark.index
        return isinstance(key, yaml.MappingStartEvent) and self.text[start : start + 2] == "{{"

    def _put(self, node: Node, key: Node, value: Node, used: int | None) -> None:
        if key.kind != "scalar" or not isinstance(key.value, str):
            hint = f'quote it: "{key.text}"' if key.kind == "scalar" and len(key.text) < 40 and key.text else ""
            self._flaw("bad-key", "a key must be text", key.start, max(key.end, key.start + 1), hint)
        elif key.value in node.entries:
            self._doubled(key.value, key, node.entries[key.value].key)
        else:
            node.entries[key.value] = Entry(value, key, used)

    def _doubled(self, name: str, key: Node, first: Node | None) -> None:
        start = first.start if first else key.start
        line = len(re.findall(r"\r\n|\n|\r", self.text[:start])) + 1
        message = f'the key "{name[:100]}" is given twice, first on line {line}'
        self._flaw("duplicate-key", message, key.start, key.end, "remove one of them", (start, "first given here"))

    def _merge(self, node: Node, key: Node, value: Node, used: int) -> None:
        """What `<<` brings in: keys that stand in the map itself win, then the earlier of a list."""
        sources = [entry.value for entry in value.items] if value.kind == "list" else [value]
        for source in sources:
            if source.kind != "map":
                hint = "write `<<: *anchor` or `<<: [*one, *two]`"
                self._flaw("bad-merge", "`<<` takes a map or a list of maps", key.start, key.end, hint)
                continue
            for name, entry in source.entries.items():
                self._count_merged(key)
                node.entries.setdefault(name, Entry(entry.value, entry.key, used))

    def _count_merged(self, key: Node) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._flaw("too-large", f"more than {MAX_NODES:,} values, aliases unfolded", key.start, key.end)
            raise _Stop


def _end(event: Any) -> int:
    offset: int = event.end_mark.index
    return offset


def _used(event: Any) -> int | None:
    return _start_of(event) if isinstance(event, yaml.AliasEvent) else None


def _start_of(event: Any) -> int:
    offset: int = event.start_mark.index
    return offset
