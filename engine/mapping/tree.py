"""A value of the pipeline file as a tree of literals, expressions, texts around them, maps, lists and `$each`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import nodes

from engine.mapping.language import Unreadable, has_markup, read
from engine.model import Problem

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    value: Any
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    node: nodes.Expr
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    parts: tuple[str | nodes.Expr, ...]
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class MapOf:
    entries: tuple[tuple[str, Tree], ...]
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class ListOf:
    members: tuple[Tree, ...]
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class Each:
    members: Tree
    name: str
    value: Tree
    path: Path


Tree = Literal | Expression | Text | MapOf | ListOf | Each
DEEPEST_PATH = 60  # keys from the document's root
EACH_WORDS = ("$each", "$as", "$value")


def expressions(tree: Tree) -> Iterator[nodes.Expr]:
    """Every expression in the tree, in order."""
    if isinstance(tree, Expression):
        yield tree.node
    elif isinstance(tree, Text):
        yield from (part for part in tree.parts if not isinstance(part, str))
    else:
        for child in children(tree):
            yield from expressions(child)


def children(tree: Tree) -> tuple[Tree, ...]:
    if isinstance(tree, MapOf):
        return tuple(value for _, value in tree.entries)
    if isinstance(tree, ListOf):
        return tree.members
    return (tree.members, tree.value) if isinstance(tree, Each) else ()


class Builder:
    """Builds trees out of document values; every finding goes to `report`, and a null stands where one was."""

    def __init__(self, report: Callable[[Problem], None], check_name: Callable[[str, Path], bool]) -> None:
        self._report, self._check_name = report, check_name

    def build(self, value: Any, path: Path) -> Tree:
        """The tree of a value that stands at `path`."""
        if isinstance(value, str) and has_markup(value):
            return self._template(value, path)
        if not isinstance(value, dict | list | tuple):
            return Literal(value, path)
        if len(path) > DEEPEST_PATH:
            return self._wrong("too-deep", "the payload is nested too deeply", path)
        if isinstance(value, list | tuple):
            return ListOf(tuple(self.build(member, (*path, at)) for at, member in enumerate(value)), path)
        if any(word in value for word in EACH_WORDS):
            return self._each(value, path)
        return MapOf(tuple((key, self._entry(key, member, (*path, key))) for key, member in value.items()), path)

    def _wrong(self, code: str, message: str, path: Path, on_key: bool = False) -> Literal:
        self._report(Problem(code, message, path, on_key=on_key))
        return Literal(None, path)

    def _template(self, text: str, path: Path) -> Tree:
        try:
            template = read(text)
        except Unreadable as error:
            self._report(Problem(error.code, error.message, path, error.at, error.length, hint=error.hint))
            return Literal(None, path)
        node = template.alone
        return Text(template.parts, path) if node is None else Expression(node, path)

    def _entry(self, key: Any, value: Any, path: Path) -> Tree:
        if not isinstance(key, str):
            return self._wrong("bad-key", "keys of a payload are texts", path, on_key=True)
        if key.startswith("$"):
            return self._wrong(
                "bad-key", f"{key} is not a word of the language; $each, $as and $value are", path, True
            )
        if has_markup(key):
            message = "keys are literal: expressions in them are not evaluated"
            self._report(Problem("expression-in-key", message, path, on_key=True, warning=True))
        return self.build(value, path)

    def _each(self, value: dict[Any, Any], path: Path) -> Tree:
        for key in value:
            if key not in EACH_WORDS:  # what stands beside it is judged all the same
                message = f"{key} cannot stand beside $each: what the list holds goes under $value"
                self._wrong("bad-each", message, (*path, key), on_key=True)
        if "$each" not in value or "$value" not in value:
            return self._wrong("bad-each", "a list needs both $each and $value", path)
        name = value.get("$as", "item")
        if not isinstance(name, str):
            return self._wrong("bad-name", "$as must be a plain name", (*path, "$as"))
        self._check_name(name, (*path, "$as"))
        members = self.build(value["$each"], (*path, "$each"))
        return Each(members, name, self.build(value["$value"], (*path, "$value")), path)
