"""A mapping, record by record and field by field: the slow way, which names the field that fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from engine.errors import RecordError
from engine.mapping.evaluate import Closure, Evaluator, Scope, guarded
from engine.mapping.tree import Each, Expression, ListOf, Literal, MapOf, Path, Text, Tree
from engine.mapping.values import MAX_MEMBERS, OMIT, Skip, demand, kind, too_large

WALKED = "$walked"  # in a scope; no name of the language


class Made(NamedTuple):
    """One payload of a record."""

    payload: Any
    element: int | None
    key: Any


@dataclass(frozen=True, slots=True)
class Shape:
    """The trees of a mapping. `early` are the `let`s that `when` needs, `late` the others, each in order."""

    root: Tree
    early: tuple[tuple[str, Tree], ...] = ()
    when: Tree | None = None
    late: tuple[tuple[str, Tree], ...] = ()
    each: Tree | None = None
    key: Tree | None = None
    any_root: bool = False  # the root may be any value, not only a map


class Reference:
    """Maps one scope; raises `Skip` (the record is filtered) or `RecordError`."""

    def __init__(self, shape: Shape, evaluator: Evaluator, prefix: int) -> None:
        self._evaluator, self._prefix = evaluator, prefix
        self._early = [(name, self._value(tree)) for name, tree in shape.early]
        self._late = [(name, self._value(tree)) for name, tree in shape.late]
        self._when, self._key = self._optional(shape.when), self._optional(shape.key)
        self._members = None if shape.each is None else self._walk(shape.each, "each", "each")
        self._root, self._any_root = self._value(shape.root), shape.any_root

    def __call__(self, scope: Scope) -> Sequence[Made]:
        scope[WALKED] = [0]
        self._name(self._early, scope)
        if self._when is not None and not self._when(scope):
            raise Skip("when")
        self._name(self._late, scope)
        if self._members is None:
            return [self._one(scope, None)]
        made = [self._element(scope, at, item) for at, item in enumerate(self._members(scope))]
        return [each for each in made if each is not None]

    def _name(self, lets: list[tuple[str, Closure]], scope: Scope) -> None:
        for name, closure in lets:
            scope[name] = closure(scope)

    def _element(self, scope: Scope, at: int, item: Any) -> Made | None:
        scope["item"] = item
        try:
            return self._one(scope, at)
        except Skip:
            return None
        except RecordError as error:
            raise error.again(f"element {at} of each: {error.reason}") from None

    def _one(self, scope: Scope, element: int | None) -> Made:
        payload = self._root(scope)
        if not self._any_root and payload.__class__ is not dict:
            if payload is OMIT:
                raise RecordError("misused-omit", 'omit cannot be the whole payload; write skip("why")')
            raise RecordError("bad-type", f"the payload must be a map, not {kind(payload)}")
        return Made(payload, element, None if self._key is None else demand(self._key(scope)))

    # --- trees

    def _optional(self, tree: Tree | None) -> Closure | None:
        if tree is None:
            return None
        closure = self._value(tree)
        return guarded(lambda scope: demand(closure(scope)), self._field(tree.path), tree.path)

    def _value(self, tree: Tree) -> Closure:
        if isinstance(tree, Literal):
            value = tree.value
            return lambda scope: value
        if isinstance(tree, MapOf):
            entries = [(key, self._value(member)) for key, member in tree.entries]
            return lambda scope: {k: v for k, make in entries if (v := make(scope)) is not OMIT}
        if isinstance(tree, ListOf):
            members = [self._value(member) for member in tree.members]
            return lambda scope: [v for make in members if (v := make(scope)) is not OMIT]
        if isinstance(tree, Each):
            return self._list(tree)
        leaf = self._evaluator.result(tree.node) if isinstance(tree, Expression) else self._text(tree)
        return guarded(leaf, self._field(tree.path), tree.path)

    def _text(self, tree: Text) -> Closure:
        return self._evaluator.joined(tree.parts)

    def _list(self, tree: Each) -> Closure:
        walk, made, name = (
            self._walk(tree.members, "$each", self._field(tree.path)),
            self._value(tree.value),
            tree.name,
        )

        def each(scope: Scope) -> list[Any]:
            inner = dict(scope)
            result = []
            for member in walk(scope):
                inner[name] = member
                value = made(inner)
                if value is not OMIT:
                    result.append(value)
            return result

        return each

    def _walk(self, tree: Tree, what: str, field: str) -> Closure:
        members = self._value(tree)
        return guarded(lambda scope: member_list(members(scope), what, scope[WALKED]), field, tree.path)

    def _field(self, path: Path) -> str:
        return field_name(path, self._prefix)


def field_name(path: Path, prefix: int) -> str:
    """The place in the payload, dotted: `items.price`."""
    rest = [str(part) for part in path[prefix:] if part not in ("$each", "$value")]
    return ".".join(rest[1:] if rest[:1] == ["fields"] else rest)


def member_list(value: Any, what: str, walked: list[int]) -> list[Any]:
    """A list to go through. `walked` counts the members that a record has had walked so far, and is bounded."""
    if demand(value).__class__ is not list:
        hint = "; write `| default([], true)` for none" if value is None else ""
        raise RecordError("bad-type", f"{what} needs a list, not {kind(value)}{hint}")
    walked[0] += len(value)
    if walked[0] > MAX_MEMBERS:
        raise too_large("the list, or all lists inside one another,")
    return value  # type: ignore[no-any-return]
