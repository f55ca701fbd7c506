"""A mapping → one function over a micro-batch.

`compile_mapping` reads the expressions, checks them against the allow-list and the names that exist, and gives a
`Mapper` and what it found. Nothing of the file is evaluated while it is compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from jinja2 import nodes

from engine.config.pipeline import MappingSpec
from engine.mapping import functions
from engine.mapping.checks import RESERVED, Checker, Names, Seen
from engine.mapping.codegen import generate
from engine.mapping.codes import Code
from engine.mapping.emit_calls import Emitter
from engine.mapping.evaluate import Evaluator, Scope
from engine.mapping.mapper import Fast, Mapper
from engine.mapping.operators import get_field
from engine.mapping.reference import Reference, Shape
from engine.mapping.tree import Builder, Each, Expression, Literal, Path, Text, Tree, children
from engine.mapping.values import demand
from engine.model import Failure, Mapped, Problem, Rows


@dataclass(frozen=True)
class Context:
    """What a mapping's expressions can see besides the record.

    `run` holds `id` and `started_at`; while a file is only checked, any values will do. `filters` are third parties'.
    """

    pipeline: str
    source: str
    source_key: str | None = None
    lookups: frozenset[str] = frozenset()
    vars: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=lambda: {"id": "", "started_at": ""})
    filters: Mapping[str, Callable[..., Any]] = field(default_factory=dict)


def compile_mapping(
    spec: MappingSpec, *, context: Context, columns: tuple[str, ...] | None = None
) -> tuple[Mapper | None, list[Problem]]:
    """The mapper, or None where a finding is no mere warning. `columns`: where the source knows them."""
    reading = _Reading(context, columns)
    shape = reading.mapping(spec)
    return reading.mapper(shape, 2), reading.problems


__all__ = ["Context", "Mapper", "Valuer", "compile_mapping", "compile_value"]

Valuer = Callable[..., list[Any]]


def compile_value(
    tree: Any, path: Path, *, context: Context, columns: tuple[str, ...] | None = None
) -> tuple[Valuer | None, list[Problem]]:
    """A document value with expressions → `(rows, only=None, lookups=None) -> [value | Failure, …]`, one per record.

    A record that the value skips is a `Failure` with code `skipped`.
    """
    reading = _Reading(context, columns)
    root = reading.tree(tree, path, frozenset(context.lookups))
    mapper = reading.mapper(Shape(root, any_root=True), len(path))
    return (None if mapper is None else _valuer(mapper)), reading.problems


def _valuer(mapper: Mapper) -> Valuer:
    def values(
        rows: Rows, only: Sequence[int] | None = None, lookups: Mapping[str, Sequence[Any]] | None = None
    ) -> list[Any]:
        mapped: Mapped = mapper(rows, only, lookups)
        found: dict[int, Any] = dict(zip(mapped.sources, mapped.payloads, strict=True))
        found.update(mapped.failed)
        found.update((at, Failure("skipped", "the record is left out")) for at in mapped.filtered)
        return [found[at] for at in (range(len(rows.records)) if only is None else only)]

    return values


class _Reading:
    """Reads and checks the parts of one mapping, and collects what is found."""

    def __init__(self, context: Context, columns: tuple[str, ...] | None) -> None:
        self.context, self.columns = context, columns
        self.problems: list[Problem] = []
        self.seen = Seen()

    def mapping(self, spec: MappingSpec) -> Shape:
        root = ("mappings", spec.name)
        names = frozenset(self.context.lookups)
        lets: list[tuple[str, Tree, frozenset[str]]] = []
        for name, value in spec.let.items():
            path = (*root, "let", name)
            if self._free_name(name, path, on_key=True) and name in names:
                self._shadowed(name, path)
            tree, used = self._used(value, path, names)
            lets.append((name, tree, used))
            names |= {name}
        when, needed = self._used(spec.when, (*root, "when"), names)
        if spec.when is not None:
            self._judge_when(when)
        each = None if spec.each is None else self.tree(spec.each, (*root, "each"), names)
        inner = names if spec.each is None else names | {"item"}
        key = None if spec.key is None else self.tree(spec.key, (*root, "key"), inner)
        fields = self.tree(spec.fields, (*root, "fields"), inner)
        self._map_root(fields)
        early, late = _split(lets, needed)
        return Shape(fields, early, None if spec.when is None else when, late, each, key)

    def _judge_when(self, tree: Tree) -> None:
        """Warns of a `when` that says the same of every record."""
        constant = isinstance(tree, Expression) and isinstance(tree.node, nodes.Const)
        if not constant and not isinstance(tree, Literal):
            return
        value = tree.node.value if constant else tree.value  # type: ignore[union-attr]
        if not value:
            message = "this is never true: the mapping takes no record"
            self.problems.append(Problem("unreachable", message, tree.path, warning=True))
        elif isinstance(value, str):
            hint = 'write "{{ … }}" for an expression'
            message = "this is a text, and so always true"
            self.problems.append(Problem("always-true", message, tree.path, hint=hint, warning=True))

    def _used(self, value: Any, path: Path, names: frozenset[str]) -> tuple[Tree, frozenset[str]]:
        before, self.seen.names = self.seen.names, set()
        tree = self.tree(value, path, names)
        used, self.seen.names = frozenset(self.seen.names), before | self.seen.names
        return tree, used

    def tree(self, value: Any, path: Path, names: frozenset[str]) -> Tree:
        built = Builder(self.problems.append, self._free_name).build(value, path)
        self._check(built, names)
        return built

    def _check(self, tree: Tree, names: frozenset[str]) -> None:
        if isinstance(tree, Expression | Text):
            for node in (tree.node,) if isinstance(tree, Expression) else tree.parts:
                if not isinstance(node, str):
                    self._checker(tree.path, names).check(node)
        elif isinstance(tree, Each):
            if tree.name != "item" and tree.name in names:
                self._shadowed(tree.name, (*tree.path, "$as"))
            self._check(tree.members, names)
            self._check(tree.value, names | {tree.name})
        else:
            for child in children(tree):
                self._check(child, names)

    def _checker(self, path: Path, names: frozenset[str]) -> Checker:
        context = self.context
        visible = Names(self.columns, list(context.run), list(context.vars), names, context.filters)
        return Checker(visible, path, self.problems.append, self.seen)

    def _free_name(self, name: str, path: Path, on_key: bool = False) -> bool:
        if not name.isidentifier() or name.startswith("_") or name in _WORDS:
            message = f"{name} cannot be a name: names are letters, digits and _, and do not start with _"
            self.problems.append(Problem("bad-name", message, path, on_key=on_key))
        elif name in RESERVED and (on_key or name != "item"):
            self.problems.append(Problem("reserved-name", f"{name} already means something", path, on_key=on_key))
        else:
            return True
        return False

    def _shadowed(self, name: str, path: Path) -> None:
        self.problems.append(Problem("shadowed-name", f"{name} is already the name of something here", path))

    def _map_root(self, root: Tree) -> None:
        if isinstance(root, Literal | Text) or type(root).__name__ in ("ListOf", "Each"):
            self.problems.append(
                Problem("bad-payload", "a payload is a map, or one expression that gives a map", root.path)
            )

    # --- the mapper

    def mapper(self, shape: Shape, prefix: int) -> Mapper | None:
        if any(not problem.warning for problem in self.problems):
            return None
        evaluator = Evaluator(self.context.filters, self._record_id())
        with_id = "record_id" in self.seen.names
        needs_meta = "meta" in self.seen.names or (with_id and self.context.source_key is None)
        needed = self.context.lookups & self.seen.names
        return Mapper(
            reference=lambda: Reference(shape, evaluator, prefix),
            fast=lambda: self._fast(shape, evaluator, needed, needs_meta),
            columns=self.columns,
            constants={"vars": dict(self.context.vars), "run": dict(self.context.run)},
            source=self.context.source,
            needs_meta=needs_meta,
            needs_lookups=needed,
            uses=self._uses(with_id),
            has_each=shape.each is not None,
            has_key=shape.key is not None,
        )

    def _fast(self, shape: Shape, evaluator: Evaluator, lookups: frozenset[str], needs_meta: bool) -> Fast | None:
        context = self.context
        constants = {"vars": dict(context.vars), "run": dict(context.run)}
        emitter = Emitter(self.columns, constants, context.filters, evaluator, context.source_key)
        emitter.bound["_record_id"] = partial(functions.record_id, context.pipeline, context.source)
        emitter.locals["meta"] = Code("meta")
        emitter.locals.update((name, Code(f"l{at}")) for at, name in enumerate(sorted(lookups)))
        return generate(shape, emitter, lookups, needs_meta)

    def _uses(self, with_id: bool) -> frozenset[str] | None:
        if self.seen.whole_record:
            return None
        key = self.context.source_key
        return frozenset(self.seen.fields) | (frozenset([key]) if with_id and key is not None else frozenset())

    def _record_id(self) -> Callable[[Scope], str]:
        pipeline, source, key = self.context.pipeline, self.context.source, self.context.source_key
        if key is None:
            return lambda scope: functions.record_id(pipeline, source, [scope["meta"]["file"], scope["meta"]["line"]])
        return lambda scope: functions.record_id(pipeline, source, demand(get_field(scope["record"], key, "record")))


_WORDS = frozenset({"true", "false", "none", "True", "False", "None", "and", "or", "not", "if", "else", "in", "is"})


def _split(lets: list[tuple[str, Tree, frozenset[str]]], needed: frozenset[str]) -> tuple[Any, Any]:
    """Those that `when` needs, directly or through others, and the rest; each in order."""
    early: set[str] = set()
    for name, _, used in reversed(lets):
        if name in needed:
            early.add(name)
            needed |= used
    return (
        tuple((name, tree) for name, tree, _ in lets if name in early),
        tuple((name, tree) for name, tree, _ in lets if name not in early),
    )
