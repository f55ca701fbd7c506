"""What is laid over a file before it is judged: an environment, `--set`, and the settings of connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engine.config.messages import did_you_mean
from engine.config.nodes import Entry, Node
from engine.config.references import BadSchema
from engine.config.shapes import KINDS, Shapes, is_of
from engine.config.variables import read_set
from engine.model import Problem


def apply_environment(root: Node, name: str | None) -> tuple[Node, list[Problem]]:
    """The file with the environment `name` laid over it: maps are merged, everything else is replaced."""
    if name is None:
        return root, []
    overlay = root.get("environments", name)
    if overlay is None:
        known = root.get("environments")
        hint = did_you_mean(name, known.entries) if known else "the file has none; they stand under `environments:`"
        path = ("environments",) if known else ()
        return root, [
            Problem("unknown-environment", f'there is no environment "{name}"', path, on_key=True, hint=hint)
        ]
    if overlay.kind != "map":
        return root, []
    entries = {key: entry for key, entry in overlay.entries.items() if key in root_words() and key != "description"}
    return _merged(root, overlay.with_entries(entries), 0), []


def root_words() -> frozenset[str]:
    """The words that an environment may change."""
    return frozenset((*KINDS, "vars", "connections", "mappings", "delivery", "errors", "dead_letters", "state"))


def _merged(below: Node, above: Node, depth: int) -> Node:
    """A part that changes its `type` is replaced as a whole: the old settings are not its own."""
    if below.kind != "map" or above.kind != "map":
        return above
    if depth == 2 and "type" in above.entries and not _same_type(below, above):
        return above
    entries = dict(below.entries)
    for name, entry in above.entries.items():
        under = entries.get(name)
        if under is None or under.value.kind != "map" or entry.value.kind != "map":
            entries[name] = entry
        else:
            merged = _merged(under.value, entry.value, depth + 1)
            entries[name] = Entry(merged, entry.key if merged is entry.value else under.key, entry.used)
    return below.with_entries(entries)


def _same_type(below: Node, above: Node) -> bool:
    one, other = below.get("type"), above.get("type")
    return one is not None and other is not None and one.text == other.text


class AsItIs(NamedTuple):
    """A value for `sets` that is not read as a YAML scalar: it has its type already."""

    value: str | int | float | bool | None


def apply_sets(root: Node, sets: Mapping[str, str | AsItIs]) -> tuple[Node, list[Problem]]:
    """The file with `--set name=value` in place of its `vars`."""
    if not sets:
        return root, []
    entry = root.entries.get("vars")
    current = entry.value.entries if entry else {}
    problems = [_unknown_var(name, current) for name in sets if name not in current]
    entries = dict(current)
    for name, given in sets.items():
        if name in current:
            old = current[name].value
            value = given.value if isinstance(given, AsItIs) else read_set(given)
            entries[name] = Entry(Node("scalar", old.start, old.end, "'", value=value), current[name].key)
    if entry is None or entry.value.kind != "map":
        return root, problems
    changed = Entry(entry.value.with_entries(entries), entry.key)
    return root.with_entries({**root.entries, "vars": changed}), problems


def _unknown_var(name: str, known: Iterable[str]) -> Problem:
    hint = did_you_mean(name, known) or f"name it under vars, with a default: `vars: {{{name}: …}}`"
    return Problem(
        "unknown-var", f'--set names "{name}", which is not among the vars', ("vars",), on_key=True, hint=hint
    )


def apply_connections(root: Node, shapes: Shapes) -> tuple[Node, list[Problem]]:
    """The file whose parts hold the settings of the connection they name; what they say themselves wins."""
    problems: list[Problem] = []
    connections = root.get("connections")
    known = connections.entries if connections else {}
    entries = dict(root.entries)
    for kind in KINDS:
        parts = entries.get(kind)
        if parts is None or parts.value.kind != "map":
            continue
        filled = {
            name: Entry(_filled(root, kind, name, part, known, shapes, problems), part.key, part.used)
            for name, part in parts.value.entries.items()
        }
        entries[kind] = Entry(parts.value.with_entries(filled), parts.key, parts.used)
    return root.with_entries(entries), problems


def _filled(
    root: Node,
    kind: str,
    name: str,
    part: Entry,
    connections: Mapping[str, Entry],
    shapes: Shapes,
    problems: list[Problem],
) -> Node:
    node = part.value
    word = node.get("connection") if node.kind == "map" else None
    if word is None or not isinstance(word.value, str):
        return node
    path = (kind, name, "connection")
    connection = connections.get(word.value)
    if connection is None:
        hint = did_you_mean(word.value, connections) or "name it under `connections`"
        problems.append(Problem("unknown-connection", f'there is no connection "{word.value[:80]}"', path, hint=hint))
        return node
    own, vendor = _type(node), _type(connection.value)
    if own and vendor and not is_of(own, vendor):
        message = f'the connection "{word.value}" is an account of {vendor}, not of {own}'
        problems.append(Problem("wrong-connection", message, path))
        return node
    takes = _properties(root, kind, name, shapes)
    taken = {
        key: Entry(entry.value, entry.key, word.start)
        for key, entry in connection.value.entries.items()
        if key != "type" and key in takes
    }
    return node.with_entries({**taken, **node.entries})


def _type(node: Node) -> str:
    word = node.get("type") if node.kind == "map" else None
    return word.value if word is not None and isinstance(word.value, str) else ""


def _properties(root: Node, kind: str, name: str, shapes: Shapes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = shapes.of_part(root, kind, name).get("properties", {})
    except BadSchema:
        return {}
    return found
