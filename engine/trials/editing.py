"""Edits of a pipeline file as text, at the places of its values: comments and layout stay as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.config.nodes import Node, Path
from engine.errors import InvalidPipeline

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORDS = {"true", "false", "null"}


@dataclass(frozen=True)
class Edit:
    """A new value for what stands at a path."""

    path: Path
    value: Any


def flow(value: Any) -> str:
    """A value in YAML's flow style, on one line. Texts are quoted, and `${` stays what it is."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        text = json.dumps(value.replace("${", "$${"), ensure_ascii=False)
        return "".join(c if c.isprintable() else _escaped(c) for c in text)
    return json.dumps(value)


def _key(key: Any) -> str:
    return key if _PLAIN_KEY.fullmatch(key) and key not in _WORDS else flow(str(key))


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible_end(node: Node, text: str) -> int:
    """Where a value ends to the eye: not behind the comments and empty lines that follow it."""
    if node.kind == "scalar" or is_flow(node, text):
        return node.start + len(text[node.start : node.end].rstrip())
    return max((visible_end(child, text) for _, child in node.children()), default=node.end)


def is_flow(node: Node, text: str) -> bool:
    """Is it written with brackets?"""
    return text[node.start : node.start + 1] in ("[", "{")


def edited(text: str, root: Node, edits: Iterable[Edit]) -> str:
    """The text with new values; an edit within another's place falls out."""
    kept: list[Edit] = []
    for edit in sorted(edits, key=lambda edit: len(edit.path)):
        if not any(edit.path[: len(other.path)] == other.path for other in kept):
            kept.append(edit)
    places = sorted(((_place(root, edit.path), edit) for edit in kept), key=lambda found: -found[0].start)
    for node, edit in places:
        end = visible_end(node, text)
        text = text[: node.start] + _written(edit.value, node, text) + text[end:]
    return text


def aliased(root: Node, path: Path) -> tuple[int, int] | None:
    """Where an alias or merge key on the way to a value is used, and where the value is written: offsets in the text.

    Such a value is not edited: who else uses it would get another one. None where it stands in its own place.
    """
    node, used = root, None
    for step in path:
        entry = node.child(step)
        if entry is None:
            break
        node, used = entry.value, entry.used if used is None else used
    return None if used is None else (used, node.start)


def _place(root: Node, path: Path) -> Node:
    node = root.get(*path)
    if node is None or aliased(root, path) is not None:
        raise InvalidPipeline(f"{_dotted(path)} comes by an alias: change it where it is written")
    return node


def _dotted(path: Path) -> str:
    return ".".join(map(str, path))


def _written(value: Any, node: Node, text: str) -> str:
    """The value in the style of what it replaces: lists and maps of a block stay a block."""
    if node.kind == "scalar" or is_flow(node, text) or not value or not isinstance(value, list | dict):
        return flow(value)
    line = "\n" + " " * (node.start - text.rfind("\n", 0, node.start) - 1)
    if isinstance(value, list):
        return line.join(f"- {flow(member)}" for member in value)
    return line.join(f"{_key(key)}: {flow(inner)}" for key, inner in value.items())


def with_test(text: str, root: Node, test: Mapping[str, Any]) -> str:
    """The text with one test more, at the end of its `tests`."""
    tests = root.get("tests")
    if tests is None:
        return text.rstrip("\n") + "\n\ntests:\n" + _block(test, "  ") + "\n"
    if tests.kind == "list" and tests.items and not is_flow(tests, text):
        end = visible_end(tests, text)
        indent = " " * (tests.start - text.rfind("\n", 0, tests.start) - 1)
        line_end = text.find("\n", end)
        end = len(text) if line_end < 0 else line_end  # a comment on the last line stays there
        return text[:end] + "\n" + _block(test, indent) + text[end:]
    if tests.items:
        raise InvalidPipeline("`tests:` is written with brackets: write it as a list of lines, then record")
    end = visible_end(tests, text)
    return text[: tests.start].rstrip(" ") + "\n" + _block(test, "  ") + text[end:]


def _block(test: Mapping[str, Any], indent: str) -> str:
    """A test, a record or payload a line."""
    lines = []
    for word, value in test.items():
        lines += _lines(word, value, "", 2 if word in ("given", "expect", "lookups") else 0)
    return "\n".join(f"{indent}{'- ' if at == 0 else '  '}{line}" for at, line in enumerate(lines))


def _lines(key: str, value: Any, indent: str, depth: int) -> list[str]:
    if depth and isinstance(value, Mapping) and value:
        inner = (line for name, one in value.items() for line in _lines(name, one, indent + "  ", depth - 1))
        return [f"{indent}{_key(key)}:", *inner]
    if depth and isinstance(value, list) and value:
        return [f"{indent}{_key(key)}:", *(f"{indent}  - {flow(one)}" for one in value)]
    return [f"{indent}{_key(key)}: {flow(value)}"]
