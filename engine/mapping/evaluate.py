"""Expressions as closures over a scope: the plain meaning of the language, and the slow way to a value.

A scope maps names (`record`, `item`, lookups, `let`s …) to values. A closure gives a value, or something of
`values` that stands for none; it raises `RecordError` or `Skip`. Generated code (`emit`) must agree with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jinja2 import nodes

from engine.errors import RecordError
from engine.mapping import functions, methods, operators
from engine.mapping.filters import FILTERS, RESCUING, apply, is_absent
from engine.mapping.predicates import TESTS
from engine.mapping.values import MISSING, OMIT, Missing, Signal, demand, json_value, number, settle, to_text

Scope = dict[str, Any]
Closure = Callable[[Scope], Any]

BINARY: dict[type, Callable[[Any, Any], Any]] = {
    nodes.Add: operators.add,
    nodes.Sub: operators.subtract,
    nodes.Mul: operators.multiply,
    nodes.Div: operators.divide,
    nodes.FloorDiv: operators.floor_divide,
    nodes.Mod: operators.modulo,
}
UNARY: dict[type, Callable[[Any], Any]] = {
    nodes.Neg: operators.negative,
    nodes.Pos: operators.positive,
    nodes.Not: lambda value: not value,
}


def subject(node: nodes.Node) -> str:
    """How a reason names the value of a node: `record.address`, or nothing."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        whole = subject(node.node)
        return f"{whole}.{node.attr}" if whole else ""
    return ""


def keywords(node: Any) -> list[tuple[str, nodes.Expr]]:
    """The named arguments of a filter, test or call."""
    return [(keyword.key, keyword.value) for keyword in node.kwargs]


class Evaluator:
    """Turns checked expressions into closures. `filters` are those of third parties."""

    def __init__(self, filters: Mapping[str, Callable[..., Any]], record_id: Closure) -> None:
        self._filters = {**filters, **FILTERS}
        self._third_party = frozenset(filters) - frozenset(FILTERS)
        self._record_id = record_id

    def result(self, node: nodes.Expr) -> Closure:
        """The expression's final value, or `OMIT`."""
        closure = self.compile(node)
        if trusted(node, self._third_party):
            return lambda scope: settle(closure(scope))
        return lambda scope: OMIT if (value := settle(closure(scope))) is OMIT else json_value(value)

    def compile(self, node: nodes.Expr) -> Closure:
        closure = self._closure(node)
        return closure if isinstance(node, nodes.Const | nodes.Name) else placed(closure, node)

    def _closure(self, node: nodes.Expr) -> Closure:
        if type(node) in BINARY:
            return self._binary(node, BINARY[type(node)])
        if type(node) in UNARY:
            operand, operate = self.compile(node.node), UNARY[type(node)]  # type: ignore[attr-defined]
            return lambda scope: operate(operand(scope))
        closure: Closure = getattr(self, f"_{type(node).__name__.lower()}")(node)
        return closure

    def _binary(self, node: Any, operate: Callable[[Any, Any], Any]) -> Closure:
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda scope: operate(left(scope), right(scope))

    # --- leaves and access

    def _const(self, node: nodes.Const) -> Closure:
        value = node.value
        return lambda scope: value

    def _name(self, node: nodes.Name) -> Closure:
        name = node.name
        if name == "omit":
            return lambda scope: OMIT
        if name == "record_id":
            return self._record_id
        return lambda scope: scope[name]

    def _getattr(self, node: nodes.Getattr) -> Closure:
        whole, name, known_as = self.compile(node.node), node.attr, subject(node.node)
        return lambda scope: operators.get_field(whole(scope), name, known_as)

    def _getitem(self, node: nodes.Getitem) -> Closure:
        whole, known_as = self.compile(node.node), subject(node.node)
        if isinstance(node.arg, nodes.Slice):
            parts = [
                self.compile(part or nodes.Const(None)) for part in (node.arg.start, node.arg.stop, node.arg.step)
            ]
            return lambda scope: operators.get_slice(whole(scope), *(part(scope) for part in parts))
        key = self.compile(node.arg)
        return lambda scope: operators.get_item(whole(scope), key(scope), known_as)

    # --- operations

    def _and(self, node: nodes.And) -> Closure:
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda scope: left(scope) and right(scope)

    def _or(self, node: nodes.Or) -> Closure:
        left, right = self.compile(node.left), self.compile(node.right)
        return lambda scope: left(scope) or right(scope)

    def _condexpr(self, node: nodes.CondExpr) -> Closure:
        test, yes = self.compile(node.test), self.compile(node.expr1)
        no = self.compile(node.expr2) if node.expr2 is not None else _no_else
        return lambda scope: yes(scope) if test(scope) else no(scope)

    def _concat(self, node: nodes.Concat) -> Closure:
        return self.joined(node.nodes)

    def joined(self, parts: Iterable[str | nodes.Expr]) -> Closure:
        """Texts and expressions as one text; of parts that cannot stand in one, the first is to blame."""
        parts = tuple(parts)
        made = [part if isinstance(part, str) else self.compile(part) for part in parts]

        def join(scope: Scope) -> str:
            values = [part if isinstance(part, str) else part(scope) for part in made]
            try:
                return operators.concat(*values)
            except RecordError as error:
                bad = next((n for n, value in zip(parts, values, strict=True) if not _stands_in_text(value)), None)
                if error.at is None and isinstance(bad, nodes.Expr):
                    error.at = place_of(bad)
                raise

        return join

    def _compare(self, node: nodes.Compare) -> Closure:
        first = self.compile(node.expr)
        steps = [(operators.COMPARISONS[operand.op], self.compile(operand.expr)) for operand in node.ops]

        def compare(scope: Scope) -> Any:
            left = first(scope)
            for holds, operand in steps:
                right = operand(scope)
                if not holds(left, right):
                    return False
                left = right
            return True

        return compare

    def _list(self, node: nodes.List) -> Closure:
        members = [self.compile(member) for member in node.items]
        return lambda scope: [demand(member(scope)) for member in members]

    _tuple = _list

    def _dict(self, node: nodes.Dict) -> Closure:
        pairs = [(self.compile(pair.key), self.compile(pair.value)) for pair in node.items]
        return lambda scope: {_key(key(scope)): demand(value(scope)) for key, value in pairs}

    # --- filters, tests, calls

    def _filter(self, node: nodes.Filter) -> Closure:
        assert node.node is not None
        if node.name in RESCUING:
            return self._default(node.node, node)
        name, value = node.name, self.compile(node.node)
        function = self._filters[name]
        arguments = [self.compile(argument) for argument in node.args]
        named = [(key, self.compile(argument)) for key, argument in keywords(node)]

        def filtered(scope: Scope) -> Any:
            given = [argument(scope) for argument in arguments]
            return apply(name, function, value(scope), given, {key: made(scope) for key, made in named})

        if name not in self._third_party:
            return filtered
        return lambda scope: json_value(filtered(scope))

    def _default(self, subject: nodes.Expr, node: nodes.Filter) -> Closure:
        """What stands in for a missing value is computed only then."""
        given = dict(zip(("default_value", "boolean"), node.args, strict=False))
        given.update(keywords(node))
        value = self.compile(subject)
        instead = self.compile(given.get("default_value", nodes.Const("")))
        flag = self.compile(given.get("boolean", nodes.Const(False)))

        def default(scope: Scope) -> Any:
            found = value(scope)
            if isinstance(found, Missing) or (flag(scope) and not found):
                return instead(scope)
            return found

        return default

    def _test(self, node: nodes.Test) -> Closure:
        value = self.compile(node.node)
        if node.name in ("defined", "undefined"):
            wanted = node.name == "undefined"
            return lambda scope: is_absent(value(scope)) is wanted
        test = TESTS[node.name]
        arguments = [self.compile(argument) for argument in (*node.args, *(keyword.value for keyword in node.kwargs))]
        return lambda scope: test(demand(value(scope)), *(demand(argument(scope)) for argument in arguments))

    def _call(self, node: nodes.Call) -> Closure:
        arguments = [self.compile(argument) for argument in (*node.args, *(keyword.value for keyword in node.kwargs))]
        if isinstance(node.node, nodes.Getattr):
            whole, name, known_as = self.compile(node.node.node), node.node.attr, subject(node.node.node)
            return lambda scope: methods.call_method(
                whole(scope), name, [argument(scope) for argument in arguments], known_as
            )
        called = node.node.name  # type: ignore[attr-defined]
        if called == "record_id":
            return self._record_id
        if called == "coalesce":
            return lambda scope: functions.coalesce(argument(scope) for argument in arguments)
        function = {"skip": functions.skip, "reject": functions.reject}[called]
        return lambda scope: function(*(argument(scope) for argument in arguments))


def _no_else(scope: Scope) -> Missing:
    return Missing("the condition does not hold, and there is no else")


def _key(value: Any) -> Any:
    if demand(value).__class__ is not str:
        raise RecordError("bad-type", f"{to_text(number(value)) if isinstance(value, int) else 'a key'} is no text")
    return value


# --- which results need no weighing ---------------------------------------------------------------------------------

_GROWING = (nodes.List, nodes.Dict, nodes.Tuple, nodes.Add)


def trusted(node: nodes.Node, third_party: frozenset[str]) -> bool:
    """Is the result certainly JSON of a sane size, given that the names it reads are?"""
    if isinstance(node, nodes.List | nodes.Tuple | nodes.Dict):
        return not any(isinstance(part, nodes.Expr) and not isinstance(part, nodes.Const) for part in _inside(node))
    if isinstance(node, nodes.Add):
        return False
    return all(trusted(child, third_party) for child in node.iter_child_nodes())


def _inside(node: nodes.Node) -> Any:
    for child in node.iter_child_nodes():
        yield child
        yield from _inside(child)


# --- who is to blame ------------------------------------------------------------------------------------------------

_DEFECTS = (ArithmeticError, LookupError, TypeError, ValueError, RecursionError, MemoryError)


def guarded(closure: Closure, field: str, path: tuple[str | int, ...]) -> Closure:
    """The closure, whose every failure is a `RecordError` that names the field, and its place in the file."""

    def guard(scope: Scope) -> Any:
        try:
            return closure(scope)
        except RecordError as error:
            error.field = error.field or field
            if error.path is None:
                error.path = path
            raise
        except _DEFECTS as error:
            raised = _uncomputable(error, field)
            raised.path = path
            raise raised from None

    return guard


def placed(closure: Closure, node: nodes.Expr) -> Closure:
    """The closure, whose failures say which part of the expression failed: the innermost one that can be told."""
    at = place_of(node)

    def place(scope: Scope) -> Any:
        try:
            value = closure(scope)
        except RecordError as error:
            error.at = error.at or at
            raise
        except _DEFECTS as error:
            raised = _uncomputable(error)
            raised.at = at
            raise raised from None
        if isinstance(value, Missing | Signal) and value.at is None and value is not MISSING and value is not OMIT:
            value.at = at
        return value

    return place


def _uncomputable(error: Exception, field: str = "") -> RecordError:
    return RecordError("bad-expression", f"cannot be computed: {error}"[:300], field)


def _stands_in_text(value: Any) -> bool:
    try:
        to_text(value)
    except RecordError:
        return False
    return True


def place_of(node: nodes.Node) -> tuple[int, int]:
    """Start and length, in characters of the scalar, of what names a node: a field, a filter, a function."""
    if isinstance(node, nodes.Getattr):
        return node.lineno + 1, len(node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return node.arg.lineno, len(repr(node.arg.value))
    if isinstance(node, nodes.Name | nodes.Filter | nodes.Test):
        return node.lineno, len(node.name)
    return place_of(node.node) if isinstance(node, nodes.Call) else (node.lineno, 1)
