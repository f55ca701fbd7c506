"""What can still be said of a file with mistakes: its parts that are whole, so that their expressions are judged.

Findings come in one pass: an unknown filter is told of beside a mistyped key. What would only follow from a finding
that is told of anyway is left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from engine.config.build import Builder
from engine.config.nodes import Entry, Node
from engine.config.pipeline import DeadLetters, LookupSpec, MappingSpec, Pipeline, SourceSpec
from engine.config.shapes import KINDS
from engine.model import Problem

_BROKEN = {"sources": SourceSpec, "lookups": LookupSpec}
_BESIDE = frozenset({"unknown-field", "missing-field", "wrong-type", "unknown-key", "bad-enum", "duplicate-key"})
"""Findings about a value's place or type: what is wrong within its expression is another matter."""
_SHAPE = frozenset({"bad-payload", "bad-each", "bad-name", "reserved-name", "shadowed-name", "bad-key"})
"""Findings about expressions that repeat what was found about the shape."""


_APART = frozenset(
    {"format", "mode", "max_line", "ragged", "on_empty", "duplicate_keys", "null_values", "timeout", "retries"}
)
"""Settings of a source that do not decide its columns: a wrong one is left out (a format is what the suffix says)."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A pipeline as far as it is whole. `broken` are parts (kind, name) that exist but cannot be made.

    Mappings are there whole or not; one whose sink, action or source is unknown has an empty name there.
    """

    pipeline: Pipeline
    broken: frozenset[tuple[str, str]] = frozenset()
    problems: tuple[Problem, ...] = field(default=(), repr=False)

    def news(self, problems: Iterable[Problem]) -> list[Problem]:
        """Those that say something new beside what was found before."""
        errors = [problem for problem in self.problems if not problem.warning]
        return [problem for problem in problems if not any(_follows(problem, error) for error in errors)]


def _follows(problem: Problem, error: Problem) -> bool:
    """Is a problem of an expression only another word for, or a consequence of, what was found before?"""
    if error.path == ("vars",) and problem.code == "unknown-vars":
        return True
    if problem.code in _SHAPE:
        return error.path[: len(problem.path)] == problem.path or problem.path[: len(error.path)] == error.path
    return error.path == problem.path and not error.on_key and error.code not in _BESIDE


def drafted(builder: Builder, problems: Iterable[Problem]) -> Draft:
    """The draft of a tree in which `problems` were found."""
    found = tuple(problems)
    errors = [problem.path for problem in found if not problem.warning]
    left_out = {path[:3] for path in errors if path[:1] == ("sources",) and len(path) > 2 and path[2] in _APART}
    errors = [path for path in errors if path[:3] not in left_out]
    builder = Builder(_without(builder.root, left_out), builder.path, builder.shapes)
    broken = frozenset(
        (kind, name)
        for kind in KINDS
        for name, node in _parts(builder.root, kind)
        if _is_broken(kind, name, node, errors)
    )
    usable = all(problem.code != "bad-schema" for problem in found)  # else no target can be looked up
    data = builder.root.get("vars")
    folder = builder.path.parent / ".engine"
    pipeline = Pipeline(
        name=_text(builder.root.get("name")) or "draft",
        path=builder.path,
        sources={
            name: SourceSpec(name, "", {}) if ("sources", name) in broken else builder.source(name)
            for name, _ in _parts(builder.root, "sources")
        },
        sinks={
            name: builder.sink(name) for name, _ in _parts(builder.root, "sinks") if ("sinks", name) not in broken
        },
        mappings={
            name: _mapping(builder, name, node)
            for name, node in _parts(builder.root, "mappings")
            if node.kind == "map" and usable
        },
        dead_letters=DeadLetters(folder / "dead.jsonl"),
        state=folder,
        lookups={
            name: _asking(builder, name) if ("lookups", name) in broken else builder.lookup(name)
            for name, _ in _parts(builder.root, "lookups")
        },
        vars=data.data() if data is not None and data.kind == "map" else {},
    )
    return Draft(pipeline, broken, found)


def _without(node: Node, places: Iterable[tuple[str | int, ...]]) -> Node:
    """The tree without the entries at these paths."""
    for place in places:
        node = _less(node, place)
    return node


def _less(node: Node, place: tuple[str | int, ...]) -> Node:
    entries = dict(node.entries)
    first, rest = str(place[0]), place[1:]
    entry = entries.pop(first)
    if rest:
        entries[first] = Entry(_less(entry.value, rest), entry.key, entry.used)
    return node.with_entries(entries)


def _parts(root: Node, kind: str) -> list[tuple[str, Node]]:
    parts = root.get(kind)
    return [(str(name), node) for name, node in parts.children()] if parts is not None and parts.kind == "map" else []


def _is_broken(kind: str, name: str, node: Node, errors: list[tuple[str | int, ...]]) -> bool:
    """A part with a mistake, or with the account of one."""
    account = _text(node.get("connection"))
    places = [(kind, name), ("connections", account)] if account else [(kind, name)]
    return node.kind != "map" or any(path[:2] in places or path == (kind,) for path in errors)


def _mapping(builder: Builder, name: str, node: Node) -> MappingSpec:
    """The mapping with whatever of it has the right shape."""
    spec = builder.mapping(name)
    words: dict[str, Any] = {word: getattr(spec, word) for word in ("fields", "when", "each", "key")}
    let = spec.let if isinstance(spec.let, dict) else {}
    fields = words.pop("fields")
    return MappingSpec(
        name, _text(node.get("from")), spec.sink, spec.action, {} if fields is None else fields, **words,
        let=let, parameters=spec.parameters,
    )  # fmt: skip


def _asking(builder: Builder, name: str) -> LookupSpec:
    """A lookup that cannot be made: its name, and what it would be asked."""
    asked = builder.root.get("lookups", name, "with")
    return LookupSpec(name, "", {}, asked.data() if asked is not None and asked.kind == "map" else {})


def _text(node: Node | None) -> str:
    return node.value if node is not None and isinstance(node.value, str) else ""
