"""Python text and what is known of it; and small questions about expressions."""

from __future__ import annotations

from typing import Any, NamedTuple

from jinja2 import nodes

STR, CELL, NUM, BOOL, LIST, NUMS, NONE, ANY = "str", "cell", "num", "bool", "list", "nums", "none", "any"
TEXTS = (STR, CELL)
SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in", "notin": "not in"}
MAYBE = frozenset({"first", "last", "min", "max"})  # filters that can give a missing value
DECISIONS = frozenset({"skip", "reject", "omit"})


class Code(NamedTuple):
    """Python text, and what is known of its value: `cell` is a text or None, `nums` a list of numbers."""

    text: str
    kind: str = ANY


QUICK_TESTS = {
    "none": "({} is None)", "true": "({} is True)", "false": "({} is False)", "string": "({}.__class__ is str)",
    "mapping": "({}.__class__ is dict)", "boolean": "({}.__class__ is bool)", "integer": "({}.__class__ is int)",
    "float": "({}.__class__ is float)",
}  # fmt: skip


def constant(value: Any) -> Code:
    """A literal, written so that nothing of it can be read as code."""
    if value is None or value.__class__ is bool:
        return Code(repr(value), NONE if value is None else BOOL)
    if value.__class__ is str:
        return Code(ascii(value), STR)
    return Code(f"({value!r})", NUM)


def merged(left: str, right: str) -> str:
    if left == right:
        return left
    return CELL if {left, right} <= {STR, CELL, NONE} else ANY


def literals(node: nodes.Filter) -> dict[Any, Any] | None:
    """The arguments by place or name, where all are constants."""
    pairs = [*enumerate(node.args), *((keyword.key, keyword.value) for keyword in node.kwargs)]
    if all(isinstance(value, nodes.Const) for _, value in pairs):
        return {key: value.value for key, value in pairs}  # type: ignore[attr-defined]
    return None


def decides(node: nodes.Node, omitting: Any) -> bool:
    """Does it hold `omit`, `skip` or `reject`, or a name that may be omitted?"""
    return any(name.name in DECISIONS or name.name in omitting for name in named_in(node))


def named_in(node: nodes.Node) -> list[nodes.Name]:
    """The names that an expression holds."""
    return [node] if isinstance(node, nodes.Name) else list(node.find_all(nodes.Name))


def called(node: nodes.Node) -> str:
    """The name of the function that a call calls."""
    is_plain = isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name)
    return node.node.name if is_plain else ""  # type: ignore[attr-defined]


def field_of(node: nodes.Node) -> tuple[nodes.Expr, str] | None:
    """`x` and `"a"` of `x.a` and `x["a"]`."""
    if isinstance(node, nodes.Getattr):
        return node.node, node.attr
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
        return node.node, node.arg.value
    return None
