"""The allow-list: which nodes, names, filters, tests, functions and methods an expression may hold.

A walk over the tree that evaluates nothing. It also notes which fields of the record an expression reads.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jinja2 import nodes

from engine.errors import RecordError
from engine.mapping.dates import DATE_ARGUMENTS, check_argument
from engine.mapping.filters import FILTERS, LITERAL_PATTERNS, MAPPABLE, RESCUING
from engine.mapping.methods import METHOD_NAMES
from engine.mapping.patterns import BadPattern, compile_pattern
from engine.mapping.predicates import TESTS
from engine.mapping.values import closest, show
from engine.model import Problem

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "skip": lambda why="": None,
    "reject": lambda why="": None,
    "coalesce": lambda first, *more: None,
    "record_id": lambda: None,
}
CONSTANT_NAMES = ("omit", "record_id")
META_FIELDS = ("source", "file", "line", "offset", "timestamp")
RESERVED = ("item", "record", "meta", "run", "vars", *FUNCTIONS, "omit")
BINARY = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.And, nodes.Or)
INSTEAD = {"tojson": "json", "format": "~ between texts", "attr": "record.field", "string.format": "~ between texts",
           "range": "$each over a list of the record", "now": "run.started_at", "env": "vars", "environ": "vars",
           "dict": "{'key': value}", "str": "| string", "len": "| length", "int": "| int", "float": "| float",
           "sum": "| sum", "min": "| min", "max": "| max", "round": "| round", "null": "none"}  # fmt: skip


@dataclass
class Names:
    """What an expression can see: `fields` of the four fixed maps (None: anything), and other names."""

    columns: tuple[str, ...] | None
    run: Iterable[str]
    vars: Iterable[str]
    others: frozenset[str]  # lookups, `let`, `item`, `$as`
    filters: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def fields(self, name: str) -> Iterable[str] | None:
        return {"record": self.columns, "meta": META_FIELDS, "run": self.run, "vars": self.vars}.get(name)

    def all(self) -> list[str]:
        return [*self.others, "record", "meta", "run", "vars", "omit", *FUNCTIONS]


@dataclass
class Seen:
    """What a set of expressions uses."""

    fields: set[str] = field(default_factory=set)
    whole_record: bool = False
    names: set[str] = field(default_factory=set)


class Checker:
    """Walks expressions of one scalar. Findings go to `report`, what is used into `seen`."""

    def __init__(self, names: Names, path: tuple[str | int, ...], report: Callable[[Problem], None], seen: Seen):
        self.names, self.path, self.report, self.seen = names, path, report, seen

    def problem(self, code: str, message: str, node: nodes.Node, length: int = 1, hint: str = "") -> None:
        self.report(Problem(code, message, self.path, node.lineno, length, hint=hint))

    def check(self, node: nodes.Expr, optional: bool = False) -> None:
        """`optional`: a missing value is provided for by what stands around the node."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is not None:
            method(node, optional)
        elif isinstance(node, BINARY):
            self.check(node.left)
            self.check(node.right, optional and isinstance(node, nodes.And | nodes.Or))
        elif isinstance(node, nodes.Neg | nodes.Pos | nodes.Not):
            self.check(node.node)
        elif isinstance(node, nodes.Tuple | nodes.List):
            self._all(node.items)
        else:
            hint = "multiply instead" if isinstance(node, nodes.Pow) else ""
            self.problem("not-allowed", f"{_word(node)} is not part of the language", node, hint=hint)

    def _all(self, found: Iterable[nodes.Expr]) -> None:
        for node in found:
            self.check(node)

    # --- leaves and access

    def _const(self, node: nodes.Const, optional: bool) -> None:
        if isinstance(node.value, float) and not abs(node.value) < float("inf"):
            self.problem("bad-number", "the number is too large", node)

    def _name(self, node: nodes.Name, optional: bool) -> None:
        self.seen.names.add(node.name)
        if node.name == "record":
            self.seen.whole_record = True
        self._known_name(node)

    def _known_name(self, node: nodes.Name) -> None:
        name = node.name
        if name in self.names.others or name in (*CONSTANT_NAMES, "record", "meta", "run", "vars"):
            return
        if name in FUNCTIONS:
            self.problem("not-called", f"{name} is a function: write {name}(…)", node, len(name))
            return
        self._unknown("name", name, node, self.names.all())

    def _unknown(self, what: str, name: str, node: nodes.Node, known: Iterable[str]) -> None:
        near = INSTEAD.get(name) or closest(name, sorted(known))
        hint = f"did you mean {show(near) if near in known else near}?" if near else ""
        self.problem(f"unknown-{what}", f"there is no {what} {show(name)}", node, len(name), hint)

    def _getattr(self, node: nodes.Getattr, optional: bool) -> None:
        if node.attr.startswith("_"):
            hint = f"a field of that name is reached with [{show(node.attr)}]"
            self.problem("private-name", f"{node.attr} cannot be reached", node, len(node.attr) + 1, hint)
            return
        self._field(node, node.attr, optional)

    def _getitem(self, node: nodes.Getitem, optional: bool) -> None:
        if isinstance(node.arg, nodes.Slice):
            self.check(node.node)
            self._all(part for part in (node.arg.start, node.arg.stop, node.arg.step) if part is not None)
        elif isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
            self._field(node, node.arg.value, optional)
        else:
            self.check(node.node)
            self.check(node.arg)

    def _field(self, node: nodes.Getattr | nodes.Getitem, name: str, optional: bool) -> None:
        """`name` of a fixed map is looked up here and now."""
        root = node.node
        if not isinstance(root, nodes.Name) or root.name not in ("record", "meta", "run", "vars"):
            self.check(root)
            return
        self.seen.names.add(root.name)
        if root.name == "record":
            self.seen.fields.add(name)
        known = self.names.fields(root.name)
        if known is not None and name not in known:
            self._unknown_field(node, root.name, name, list(known), optional)

    def _unknown_field(self, node: nodes.Node, root: str, name: str, known: list[str], optional: bool) -> None:
        code, what = ("unknown-column", "the source has no column") if root == "record" else (
            f"unknown-{root}", f"{root} has no field")  # fmt: skip
        near = closest(name, known)
        there = f"there are: {', '.join(map(show, known[:20]))}" if known else f"add it under `{root}`"
        hint = f"did you mean {show(near)}?" if near else there
        end = "; what stands in for it is always used" if optional else ""
        at = node.lineno + (1 if isinstance(node, nodes.Getattr) else 0)
        self.report(Problem(code, f"{what} {show(name)}{end}", self.path, at, len(name), False, hint, optional))

    # --- operations

    def _concat(self, node: nodes.Concat, optional: bool) -> None:
        self._all(node.nodes)

    def _compare(self, node: nodes.Compare, optional: bool) -> None:
        self._all([node.expr, *(operand.expr for operand in node.ops)])

    def _condexpr(self, node: nodes.CondExpr, optional: bool) -> None:
        self.check(node.test)
        self.check(node.expr1, optional)
        if node.expr2 is not None:
            self.check(node.expr2, optional)

    def _dict(self, node: nodes.Dict, optional: bool) -> None:
        for pair in node.items:
            self.check(pair.key)
            self.check(pair.value)

    # --- filters, tests, calls

    def _filter(self, node: nodes.Filter, optional: bool) -> None:
        rescued = node.name in RESCUING
        if node.node is None:
            self.problem("not-allowed", "a filter needs a value", node)
            return
        self.check(node.node, optional=rescued)
        self._arguments(node, optional_arguments=rescued and optional)
        function = {**self.names.filters, **FILTERS}.get(node.name)
        if function is None:
            self._unknown("filter", node.name, node, [*FILTERS, *self.names.filters])
        elif self._fits(node.name, function, node) and node.name in FILTERS:
            self._literal_arguments(node)

    def _literal_arguments(self, node: nodes.Filter) -> None:
        if node.name in LITERAL_PATTERNS:
            self._pattern(node)
        elif node.name in DATE_ARGUMENTS:
            self._dates(node)
        elif node.name == "map" and node.args:
            self._named(node, node.args[0], "filter", MAPPABLE)
        elif node.name in ("select", "reject") and node.args:
            self._named(node, node.args[0], "test", TESTS)
        elif node.name in ("selectattr", "rejectattr") and len(node.args) > 1:
            self._named(node, node.args[1], "test", [*TESTS, "defined", "undefined"])

    def _named(self, node: nodes.Filter, name: nodes.Expr, what: str, known: Iterable[str]) -> None:
        if not isinstance(name, nodes.Const) or not isinstance(name.value, str):
            self.problem("not-literal", f"{node.name}: the name of the {what} must be a literal text", name)
        elif name.value not in known:
            self._unknown(what, name.value, name, known)

    def _pattern(self, node: nodes.Filter) -> None:
        pattern = node.args[0] if node.args else node.kwargs[0].value
        named = not node.args and node.kwargs[0].key != "pattern"
        if named or not isinstance(pattern, nodes.Const) or not isinstance(pattern.value, str):
            self.problem("not-literal", f"{node.name}: the pattern must come first, as a literal text", node)
            return
        try:
            compile_pattern(pattern.value)
        except BadPattern as error:
            self.problem("bad-pattern", str(error), pattern)

    def _dates(self, node: nodes.Filter) -> None:
        """A zone or a format that is written out is read now, not with the first record."""
        given = [
            *zip(DATE_ARGUMENTS[node.name], node.args, strict=False),
            *((pair.key, pair.value) for pair in node.kwargs),
        ]
        for name, argument in given:
            if isinstance(argument, nodes.Const) and argument.value is not None and name in ("format", "tz"):
                try:
                    check_argument(name, argument.value)
                except RecordError as error:
                    self.problem("bad-arguments", error.reason, argument)

    def _test(self, node: nodes.Test, optional: bool) -> None:
        about_missing = node.name in ("defined", "undefined")
        self.check(node.node, optional=about_missing)
        self._arguments(node)
        if about_missing:
            self._fits(node.name, _about_missing, node)
        elif node.name not in TESTS:
            self._unknown("test", node.name, node, [*TESTS, "defined", "undefined"])
        else:
            self._fits(node.name, TESTS[node.name], node)

    def _call(self, node: nodes.Call, optional: bool) -> None:
        target = node.node
        if isinstance(target, nodes.Getattr):
            self.check(target.node)
            self._arguments(node)
            if target.attr not in METHOD_NAMES:
                self._unknown("method", target.attr, target, METHOD_NAMES)
            elif node.kwargs:
                self.problem("bad-arguments", f"{target.attr}() takes no named arguments", node)
            return
        self._arguments(node, optional_arguments=isinstance(target, nodes.Name) and target.name == "coalesce")
        if not isinstance(target, nodes.Name):
            self.problem("not-allowed", "this cannot be called", node)
        elif target.name not in FUNCTIONS:
            self._unknown("function", target.name, target, FUNCTIONS)
        else:
            self.seen.names.add(target.name)
            self._fits(target.name, FUNCTIONS[target.name], node, value=False)

    def _arguments(self, node: Any, optional_arguments: bool = False) -> None:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            self.problem("not-allowed", "arguments are written out: * and ** are not part of the language", node)
        for argument in node.args:
            self.check(argument, optional_arguments)
        for named in node.kwargs:
            self.check(named.value, optional_arguments)

    def _fits(self, name: str, function: Callable[..., Any], node: Any, value: bool = True) -> bool:
        """Do the arguments fit the signature?"""
        named = tuple(keyword.key for keyword in node.kwargs)
        try:
            why = _misfit(function, len(node.args) + value, named)
        except TypeError:  # a third party's callable that cannot be remembered
            why = _misfit.__wrapped__(function, len(node.args) + value, named)
        if why:
            self.problem("bad-arguments", f"{name}: {why}", node, len(name))
        return not why


@lru_cache(4096)
def _misfit(function: Callable[..., Any], count: int, named: tuple[str, ...]) -> str:
    """Why so many arguments and these named ones do not fit; nothing where they do, or where nobody can tell."""
    if len(set(named)) < len(named):
        return "an argument is given twice"
    try:
        inspect.signature(function).bind(*[None] * count, **dict.fromkeys(named))
    except TypeError as error:
        return str(error)
    except ValueError:  # a builtin without a signature
        pass
    return ""


def _about_missing(value: Any) -> None:
    """The signature of `is defined`."""


def _word(node: nodes.Node) -> str:
    return {"Pow": "**", "Slice": "this slice"}.get(type(node).__name__, type(node).__name__)
