"""What no schema can say: whether the names in a file name something, and whether payloads have their fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from engine.config.messages import did_you_mean
from engine.config.nodes import Node, Path, walk
from engine.config.payloads import check_fields, check_markup
from engine.config.references import BadSchema
from engine.config.shapes import KINDS, Shapes
from engine.model import Problem

_SEEN = "record item vars meta run omit skip reject coalesce record_id"
_WORDS = "and or not in is if elif else for true false none True False None loop self caller varargs kwargs"
RESERVED = frozenset(f"{_SEEN} {_WORDS}".split())
"""Names that expressions already have; a lookup or a `let` of that name would hide them."""

_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}")
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_TEMPLATES = ("let", "when", "each", "key", "fields", "model_id")
_COUNTS = ("records", "filtered", "failed", "payloads", "delivered", "dropped", "rejected", "unknown")
_EXPECTED = ("requests", "counts", "dead_letters", "status")


def check_names(root: Node) -> Iterator[Problem]:
    """Names of parts can stand in reports and `sink.action`; those that expressions see are free identifiers."""
    for kind in ("sources", "sinks", "mappings", "connections", "environments"):
        for name in _names(root, kind):
            if not _LABEL.fullmatch(name):
                yield _bad_name(kind, name, "letters, digits, `_` and `-`, a letter first")
    for kind in ("lookups", "vars"):
        for name in _names(root, kind):
            yield from _variable((kind, name), name, reserved=kind == "lookups")
    for mapping in _names(root, "mappings"):
        for name in _names(root, "mappings", mapping, "let"):
            path = ("mappings", mapping, "let", name)
            yield from _variable(path, name, reserved=True)
            if name in _names(root, "lookups"):
                yield Problem(
                    "bad-name", f'"{name}" is the name of a lookup too', path, on_key=True, hint="rename one"
                )


def _bad_name(kind: str, name: str, rule: str) -> Problem:
    return Problem("bad-name", f'"{name[:80]}" cannot be a name here', (kind, name), on_key=True, hint=f"use {rule}")


def _variable(path: Path, name: str, reserved: bool) -> Iterator[Problem]:
    if not _VARIABLE.fullmatch(name):
        hint = "use letters, digits and `_`, a letter first: expressions name it"
        yield Problem("bad-name", f'"{name[:80]}" cannot be a name here', path, on_key=True, hint=hint)
    elif reserved and name in RESERVED:
        hint = "choose another name"
        yield Problem("bad-name", f'"{name}" already means something in expressions', path, on_key=True, hint=hint)


def _names(root: Node, *path: str) -> list[str]:
    node = root.get(*path)
    return list(node.entries) if node is not None and node.kind == "map" else []


def check_mappings(root: Node, shapes: Shapes) -> Iterator[Problem]:
    """Sources, sinks, actions, fields and markup of every mapping."""
    for name in _names(root, "mappings"):
        path = ("mappings", name)
        mapping = root.get(*path)
        assert mapping is not None
        if mapping.kind != "map":
            continue
        yield from _source(root, mapping, path)
        for word in _TEMPLATES:
            yield from _markup(mapping.get(word), (*path, word))
        target, problem = target_of(root, mapping, path, shapes)
        if problem:
            yield problem
        elif target:
            yield from _payload(mapping, path, *target, shapes)


def _source(root: Node, mapping: Node, path: Path) -> Iterator[Problem]:
    node = mapping.get("from")
    known = _names(root, "sources")
    if node is None or not isinstance(node.value, str) or node.unset or node.value in known or not known:
        return
    hint = did_you_mean(node.value, known)
    yield Problem("unknown-source", f'there is no source "{node.value[:80]}"', (*path, "from"), hint=hint)


def _markup(node: Node | None, path: Path) -> Iterator[Problem]:
    if node is not None:
        for place, child in walk(node, path):
            if child.kind == "scalar" and "{" in child.text:
                yield from check_markup(child, place)


Target = tuple[str, str, str]


def target_of(root: Node, mapping: Node, path: Path, shapes: Shapes) -> tuple[Target | None, Problem | None]:
    """Sink, its type and the action that a mapping's `to` names, or why it names none."""
    node = mapping.get("to")
    if node is None or not isinstance(node.value, str) or node.unset:
        return None, None
    sink, dot, action = node.value.partition(".")
    path = (*path, "to")
    known = _names(root, "sinks")
    if not known:
        return None, None
    if sink not in known:
        hint = did_you_mean(sink, known)
        return None, Problem("unknown-sink", f'there is no sink "{sink[:80]}"', path, 0, len(sink), hint=hint)
    kind = root.get("sinks", sink, "type")
    if kind is None or kind.value not in shapes.catalog.names("sinks"):
        return None, None
    actions = shapes.actions(kind.value)
    if not dot and len(actions) == 1:
        return (sink, kind.value, actions[0]), None
    if action in actions:
        return (sink, kind.value, action), None
    return None, _no_action(sink, kind.value, dot, action, actions, path)


def _no_action(sink: str, kind: str, dot: str, action: str, actions: list[str], path: Path) -> Problem:
    if not dot:
        hint = did_you_mean("", (f"{sink}.{name}" for name in actions))
        return Problem("missing-action", f"{sink} has several actions; name one", path, hint=hint)
    hint = did_you_mean(action, actions)
    at = len(sink) + 1
    return Problem(
        "unknown-action", f'{kind} has no action "{action[:80]}"', path, at, max(1, len(action)), hint=hint
    )


def _payload(mapping: Node, path: Path, sink: str, kind: str, action: str, shapes: Shapes) -> Iterator[Problem]:
    node = mapping.get("fields")
    if node is None:
        return
    name = f"{sink}.{action}"
    yield from check_fields(node, shapes.payloads("sinks", kind)[action], name, (*path, "fields"))


def check_lookups(root: Node, shapes: Shapes) -> Iterator[Problem]:
    """Markup and parameters of every lookup."""
    for name in _names(root, "lookups"):
        path = ("lookups", name, "with")
        node, word = root.get(*path), root.get("lookups", name, "type")
        yield from _markup(node, path)
        if word is None or word.value not in shapes.catalog.names("lookups"):
            continue
        schema = shapes.payloads("lookups", word.value).get("with")
        if schema is None:
            continue
        if node is not None:
            yield from check_fields(node, schema, name, path)
        elif schema.get("required"):
            message = f"{name} needs parameters: {', '.join(schema['required'])}"
            yield Problem("missing-setting", message, ("lookups", name), on_key=True, hint="add `with:`")


def check_types(root: Node, shapes: Shapes) -> Iterator[Problem]:
    """The `type` of every part exists, and its own schema can be used."""
    for kind in KINDS:
        for name in _names(root, kind):
            yield from _type(root, kind, name, shapes)
    for name in _names(root, "connections"):
        node = root.get("connections", name, "type")
        if node is None or not isinstance(node.value, str) or node.unset or shapes.parts_of(node.value):
            continue
        hint = did_you_mean(node.value, shapes.vendors())
        yield Problem(
            "unknown-type", f'there is no vendor "{node.value[:80]}"', ("connections", name, "type"), hint=hint
        )


def _type(root: Node, kind: str, name: str, shapes: Shapes) -> Iterator[Problem]:
    node = root.get(kind, name, "type")
    if node is None or not isinstance(node.value, str) or node.unset:
        return
    path = (kind, name, "type")
    known = shapes.catalog.names(kind)
    if node.value not in known:
        hint = _elsewhere(node.value, kind, shapes) or _as_format(node.value, known)
        hint = hint or did_you_mean(node.value, known)
        yield Problem("unknown-type", f'there is no {KINDS[kind]} of type "{node.value[:80]}"', path, hint=hint)
        return
    try:
        shapes.part(kind, node.value)
        shapes.payloads(kind, node.value)
    except BadSchema as error:
        yield Problem(
            "bad-schema", f"the schema of {node.value} cannot be used: {error}", path, hint="mend the plugin"
        )


def _elsewhere(word: str, kind: str, shapes: Shapes) -> str:
    for other, singular in KINDS.items():
        if other != kind and word in shapes.catalog.names(other):
            return f'"{word}" is a {singular}: it goes under `{other}:`'
    return ""


def _as_format(word: str, known: Iterable[str]) -> str:
    formats = {"csv": "csv", "tsv": "tsv", "json": "json", "jsonl": "jsonl", "ndjson": "jsonl"}
    if (word := word.lower()) in formats and "file" in known:
        return f"write `type: file`; its format is told by the suffix, or by `format: {formats[word]}`"
    return ""


def check_tests(root: Node) -> Iterator[Problem]:
    """Tests speak of sources, lookups and mappings that exist."""
    tests = root.get("tests")
    for index, test in tests.children() if tests and tests.kind == "list" else ():
        path = ("tests", index)
        yield from _known(test, path, "expect", [*_names(root, "mappings"), *_EXPECTED], "mapping")
        yield from _counts(root, test, path)
        yield from _known(test, path, "lookups", _names(root, "lookups"), "lookup")
        yield from _known(test, path, "given", _names(root, "sources"), "source")
        yield from _unnamed(root, test, path)
        yield from _known(test, path, "vars", _names(root, "vars"), "var")


def _counts(root: Node, test: Node, path: Path) -> Iterator[Problem]:
    """`counts` holds counts over all mappings, or maps of counts by mapping."""
    counts = test.get("expect", "counts")
    path = (*path, "expect", "counts")
    for name, node in counts.children() if counts is not None and counts.kind == "map" else ():
        if node.kind != "map":
            yield from _count(str(name), (*path, name))
        elif name not in (known := _names(root, "mappings")):
            hint = did_you_mean(str(name), known)
            yield Problem("unknown-mapping", f'there is no mapping "{name}"', (*path, name), on_key=True, hint=hint)
        else:
            for word in node.entries:
                yield from _count(word, (*path, name, word))


def _count(word: str, path: Path) -> Iterator[Problem]:
    if word not in _COUNTS:
        hint = did_you_mean(word, _COUNTS)
        yield Problem("unknown-key", f'counts has no key "{word[:80]}"', path, on_key=True, hint=hint)


def _unnamed(root: Node, test: Node, path: Path) -> Iterator[Problem]:
    """A list of records is for the only source."""
    given, sources = test.get("given"), _names(root, "sources")
    if given is not None and given.kind == "list" and len(sources) > 1:
        message = "there are several sources: say which one gives these records"
        hint = f"write `given: {{{sources[0]}: […]}}`"
        yield Problem("unnamed-source", message, (*path, "given"), on_key=True, hint=hint)


def _known(test: Node, path: Path, word: str, known: Iterable[str], what: str) -> Iterator[Problem]:
    node = test.get(word)
    known = list(known)
    for name in node.entries if node is not None and node.kind == "map" else ():
        if name not in known:
            hint = did_you_mean(name, known)
            yield Problem(
                f"unknown-{what}", f'there is no {what} "{name[:80]}"', (*path, word, name), on_key=True, hint=hint
            )
