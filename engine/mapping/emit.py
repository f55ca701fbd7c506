"""Expressions as Python text: the optimistic fast way.

The emitted text gives exactly the value that `evaluate` gives, or raises something; then the row goes the slow way,
which decides. So it may use whatever Python does faster, as long as it never gives another value.

No text of the pipeline file lands in the source but as the `ascii()` of a constant; names are made here.
A value that may be missing is emitted only where something provides for it (`possibly`): there it may be a `Missing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jinja2 import nodes

from engine.mapping import helpers
from engine.mapping.emit_filters import SPECIAL, quick_method
from engine.mapping.evaluate import BINARY, Evaluator, keywords, trusted
from engine.mapping.filters import FILTERS, LENIENT, RESCUING
from engine.mapping.values import MAX_SIZE

STR, CELL, NUM, BOOL, LIST, NONE, ANY = "str", "cell", "num", "bool", "list", "none", "any"
TEXTS = (STR, CELL)
SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in", "notin": "not in"}
MAYBE = frozenset({"first", "last", "min", "max"})  # filters that can give a missing value
DECISIONS = frozenset({"skip", "reject", "omit"})


class Code(NamedTuple):
    """Python text, and what is known of its value: `cell` is a text or None, `any` anything."""

    text: str
    kind: str = ANY


class Unhandled(Exception):
    """The expression goes the slow way."""


class Emitter:
    """Emits the expressions of one mapping.

    `bound` are the names its text uses; `locals` what the names of expressions are called there.
    """

    def __init__(
        self, columns: tuple[str, ...] | None, constants: Mapping[str, Mapping[str, Any]],
        filters: Mapping[str, Callable[..., Any]], evaluator: Evaluator, source_key: str | None,
    ) -> None:  # fmt: skip
        self.columns, self.constants, self.filters, self.evaluator = columns, constants, filters, evaluator
        self.source_key = source_key
        self.third_party = frozenset(filters) - frozenset(FILTERS)
        self.bound: dict[str, Any] = dict(helpers.NAMES)
        self.locals: dict[str, Code] = {}
        self.omitting: set[str] = set()  # names of `let`s that may be omitted
        self.hoisted: dict[str, Code] = {}  # repr of an expression → the local that holds its value
        self.keys: dict[int, str] = {}  # id of a node → its repr, for candidates
        self.needs_record = self.needs_id = False
        self._temps = 0

    # --- small tools

    def temp(self) -> str:
        self._temps += 1
        return f"t{self._temps}"

    def bind(self, value: Any, stem: str = "k") -> str:
        """A name for an object."""
        name = f"_{stem}{len(self.bound)}"
        self.bound[name] = value
        return name

    def column(self, name: str) -> Code | None:
        assert self.columns is not None
        return Code(f"c{self.columns.index(name)}", CELL) if name in self.columns else None

    def result(self, node: nodes.Expr) -> Code:
        """The final value of an expression, `_OMIT` included; the slow way where there is no fast one."""
        try:
            code = self.emit(node)
        except (Unhandled, RecursionError):
            return self.slow(node)
        return code if trusted(node, self.third_party) or code.kind != ANY else Code(f"_json_value({code.text})")

    def slow(self, node: nodes.Expr) -> Code:
        closure = self.bind(self.evaluator.result(node), "slow")
        used = {found.name for found in named_in(node)}
        scope = [f"{name!a}: {self.locals[name].text}" for name in sorted(used) if name in self.locals]
        scope += [f"{name!a}: {self.bind(value)}" for name, value in self.constants.items() if name in used]
        if "record" in used or "record_id" in used:
            scope.append(f"'record': {self._record().text}")
        return Code(f"{closure}({{{', '.join(scope)}}})")

    def _record(self) -> Code:
        self.needs_record = self.columns is not None
        return Code("row" if self.columns is None else "R")

    # --- values

    def emit(self, node: nodes.Expr) -> Code:
        """A value; the text raises where there is none."""
        held = self.hoisted.get(self.keys.get(id(node), "")) if self.hoisted else None
        if held is not None:
            return held
        if type(node) in BINARY:
            return self._arithmetic(node)
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise Unhandled
        code: Code = method(node)
        return code

    def possibly(self, node: nodes.Expr) -> tuple[Code, bool]:
        """A value or a `Missing`; the second is whether it can be missing at all."""
        if isinstance(node, nodes.Getattr):
            return self._possible_field(node.node, node.attr)
        if isinstance(node, nodes.Getitem) and not isinstance(node.arg, nodes.Slice):
            if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str):
                return self._possible_field(node.node, node.arg.value)
            return Code(f"_get_item({self.emit(node.node).text}, {self.emit(node.arg).text})"), True
        if isinstance(node, nodes.CondExpr):
            return self._condition(node, self.possibly)
        if isinstance(node, nodes.And | nodes.Or):
            right, missing = self.possibly(node.right)
            sign = "and" if isinstance(node, nodes.And) else "or"
            return Code(f"({self.emit(node.left).text} {sign} {right.text})"), missing
        if isinstance(node, nodes.Filter) and node.name in RESCUING:
            return self._default(node, self.possibly)
        if isinstance(node, nodes.Filter) and node.name in MAYBE:
            return self._general_filter(node), True
        if isinstance(node, nodes.Call) and called(node) == "coalesce":
            return self._coalesce(node, "_MISSING"), True
        return self.emit(node), False

    def _sure(self, node: nodes.Expr) -> tuple[Code, bool]:
        return self.emit(node), False

    def _const(self, node: nodes.Const) -> Code:
        return constant(node.value)

    def _name(self, node: nodes.Name) -> Code:
        if node.name == "omit":
            return Code("_OMIT")
        if node.name == "record":
            return self._record()
        if node.name == "record_id":
            return self._record_id()
        if node.name in self.constants:
            return Code(self.bind(self.constants[node.name]))
        if node.name not in self.locals:
            raise Unhandled
        return self.locals[node.name]

    def _record_id(self) -> Code:
        self.needs_id = True
        if self.source_key is None:
            return Code("_record_id([meta['file'], meta['line']])", STR)
        return Code(f"_record_id({self._field(nodes.Name('record', 'load'), self.source_key).text})", STR)

    # --- access

    def _getattr(self, node: nodes.Getattr) -> Code:
        return self._field(node.node, node.attr)

    def _getitem(self, node: nodes.Getitem) -> Code:
        arg = node.arg
        if isinstance(arg, nodes.Slice):
            return self._slice(node.node, arg)
        if isinstance(arg, nodes.Const) and isinstance(arg.value, str):
            return self._field(node.node, arg.value)
        whole = self.emit(node.node)
        if isinstance(arg, nodes.Const) and arg.value.__class__ is int:
            return Code(f"{whole.text}[{arg.value}]", STR if whole.kind in (*TEXTS, LIST) else ANY)
        return Code(f"_demand(_get_item({whole.text}, {self.emit(arg).text}))")

    def _slice(self, whole: nodes.Expr, cut: nodes.Slice) -> Code:
        bounds = [part.value if isinstance(part, nodes.Const) else part for part in (cut.start, cut.stop, cut.step)]
        if any(bound.__class__ is not int and bound is not None for bound in bounds) or bounds[2] == 0:
            parts = ["None" if part is None else self.emit(part).text for part in (cut.start, cut.stop, cut.step)]
            return Code(f"_get_slice({self.emit(whole).text}, {', '.join(parts)})")
        written = ":".join("" if bound is None else str(bound) for bound in bounds)
        value = self.emit(whole)
        return Code(f"{value.text}[{written}]", STR if value.kind in TEXTS else value.kind)

    def _field(self, whole: nodes.Expr, name: str) -> Code:
        if isinstance(whole, nodes.Name) and whole.name in self.constants:
            found = self.constants[whole.name].get(name, helpers.MISSING)
            return Code("_bail()") if found is helpers.MISSING else self._held(found)
        if isinstance(whole, nodes.Name) and whole.name == "record" and self.columns is not None:
            return self.column(name) or Code("_bail()")
        value = "row" if isinstance(whole, nodes.Name) and whole.name == "record" else self.emit(whole).text
        return Code(f"{value}[{name!a}]")

    def _held(self, value: Any) -> Code:
        if value is None or value.__class__ in (str, int, float, bool):
            return constant(value)
        return Code(self.bind(value))

    def _possible_field(self, whole: nodes.Expr, name: str) -> tuple[Code, bool]:
        if isinstance(whole, nodes.Name) and (whole.name in self.constants or whole.name == "record"):
            if self.columns is None and whole.name == "record":
                return Code(f"row.get({name!a}, _MISSING)"), True
            found = self._field(whole, name)
            return (Code("_MISSING"), True) if found.text == "_bail()" else (found, False)
        value, temp = self.emit(whole).text, self.temp()
        there = f"{temp}.get({name!a}, _MISSING) if ({temp} := {value}).__class__ is dict"
        return Code(f"({there} else _get_field({temp}, {name!a}))"), True

    # --- operations

    def _arithmetic(self, node: Any) -> Code:
        left, right = self.emit(node.left), self.emit(node.right)
        if isinstance(node, nodes.Add) and left.kind in TEXTS and right.kind in TEXTS:
            return self._bounded_text([left.text, right.text])
        sign = {nodes.Add: "+", nodes.Sub: "-", nodes.Mul: "*"}.get(type(node))
        if sign and left.kind == right.kind == NUM:
            temp = self.temp()
            return Code(f"({temp} if -1e300 < ({temp} := {left.text} {sign} {right.text}) < 1e300 else _bail())", NUM)
        kind = ANY if isinstance(node, nodes.Add) else NUM
        return Code(f"_{BINARY[type(node)].__name__}({left.text}, {right.text})", kind)

    def _bounded_text(self, parts: list[str]) -> Code:
        temp = self.temp()
        return Code(f"({temp} if len({temp} := {' + '.join(parts)}) <= {MAX_SIZE} else _bail())", STR)

    def _neg(self, node: nodes.Neg) -> Code:
        return Code(f"_negative({self.emit(node.node).text})", NUM)

    def _pos(self, node: nodes.Pos) -> Code:
        return Code(f"_positive({self.emit(node.node).text})", NUM)

    def _not(self, node: nodes.Not) -> Code:
        return Code(f"(not {self.emit(node.node).text})", BOOL)

    def _and(self, node: nodes.And) -> Code:
        left, right = self.emit(node.left), self.emit(node.right)
        return Code(f"({left.text} and {right.text})", merged(left.kind, right.kind))

    def _or(self, node: nodes.Or) -> Code:
        left, right = self.emit(node.left), self.emit(node.right)
        kind = STR if left.kind == CELL and right.kind == STR else merged(left.kind, right.kind)
        return Code(f"({left.text} or {right.text})", kind)

    def _condexpr(self, node: nodes.CondExpr) -> Code:
        return self._condition(node, self._sure)[0]

    def _condition(self, node: nodes.CondExpr, way: Callable[[nodes.Expr], tuple[Code, bool]]) -> tuple[Code, bool]:
        yes, missing = way(node.expr1)
        if node.expr2 is not None:
            no, absent = way(node.expr2)
        else:
            no, absent = Code("_bail()" if way == self._sure else "_MISSING", yes.kind), way != self._sure
        text = f"({yes.text} if {self.emit(node.test).text} else {no.text})"
        return Code(text, merged(yes.kind, no.kind)), missing or absent

    def _concat(self, node: nodes.Concat) -> Code:
        return self.joined([self.emit(part) for part in node.nodes])

    def joined(self, parts: list[Code]) -> Code:
        """The parts as one text."""
        return self._bounded_text([self._text_of(part) for part in parts] if len(parts) > 1 else
                                  [self._text_of(part) for part in parts] + ["''"])  # fmt: skip

    def _text_of(self, part: Code) -> str:
        return part.text if part.kind in TEXTS else f"_text({part.text})"

    def _compare(self, node: nodes.Compare) -> Code:
        rest = "".join(f" {SIGNS[operand.op]} {self.emit(operand.expr).text}" for operand in node.ops)
        return Code(f"({self.emit(node.expr).text}{rest})", BOOL)

    def _list(self, node: nodes.List) -> Code:
        return Code(f"[{', '.join(self.emit(member).text for member in node.items)}]")

    _tuple = _list

    def _dict(self, node: nodes.Dict) -> Code:
        if not all(isinstance(pair.key, nodes.Const) and isinstance(pair.key.value, str) for pair in node.items):
            raise Unhandled
        return Code(f"{{{', '.join(f'{self.emit(p.key).text}: {self.emit(p.value).text}' for p in node.items)}}}")

    # --- filters, tests, calls

    def _filter(self, node: nodes.Filter) -> Code:
        assert node.node is not None
        if node.name in RESCUING:
            return self._default(node, self._sure)[0]
        special = None if node.name in self.third_party else SPECIAL.get(node.name)
        if special is not None and not decides(node, ()):
            arguments = literals(node)
            code = None if arguments is None else special(self, self.emit(node.node), arguments)
            if code is not None:
                return Code(*code)
        code = self._general_filter(node)
        return Code(f"_demand({code.text})") if node.name in MAYBE else code

    def _general_filter(self, node: nodes.Filter) -> Code:
        """A call of the filter itself."""
        assert node.node is not None
        third = node.name in self.third_party
        function = self.bind((self.filters if third else FILTERS)[node.name], "filter")
        arguments = [*node.args, *(keyword.value for keyword in node.kwargs)]
        if any(decides(argument, self.omitting) for argument in arguments):
            if node.name not in LENIENT:
                raise Unhandled
            given, waiting = [self._waiting(argument) for argument in arguments], True
        else:
            given, waiting = [self.emit(argument).text for argument in arguments], False
        placed, rest = given[: len(node.args)], given[len(node.args) :]
        if rest:
            named = [f"{keyword.key!a}: {text}" for keyword, text in zip(node.kwargs, rest, strict=True)]
            placed.append(f"**{{{', '.join(named)}}}")
        text = f"{function}({', '.join([self.emit(node.node).text, *placed])})"
        if third:
            return Code(f"_json_value({text})")
        return Code(f"_settle({text})" if waiting else text)

    def _waiting(self, node: nodes.Expr) -> str:
        """An argument that is, or may be, a decision that only counts when it is needed."""
        if called(node) in ("skip", "reject"):
            assert isinstance(node, nodes.Call)
            return f"_wait_{called(node)}({', '.join(self.emit(argument).text for argument in node.args)})"
        if isinstance(node, nodes.Name) and node.name == "omit":
            return "_OMIT"
        if decides(node, self.omitting):
            raise Unhandled
        return self.emit(node).text

    def _default(self, node: nodes.Filter, way: Callable[[nodes.Expr], tuple[Code, bool]]) -> tuple[Code, bool]:
        assert node.node is not None
        named = dict(keywords(node))
        instead = node.args[0] if node.args else named.get("default_value", nodes.Const(""))
        flag = node.args[1] if len(node.args) > 1 else named.get("boolean", nodes.Const(False))
        if not isinstance(flag, nodes.Const):
            raise Unhandled
        if self.columns is None and isinstance(instead, nodes.Const) and not flag.value:
            name = record_field(node.node)
            if name is not None:
                return Code(f"row.get({name!a}, {constant(instead.value).text})"), False
        value, missing = self.possibly(node.node)
        if not missing and not flag.value:
            return value, False
        other, absent = way(instead)
        kind = merged(STR if flag.value and value.kind == CELL else value.kind, other.kind)
        if not missing:
            return Code(f"({value.text} or {other.text})", kind), absent
        temp = self.temp()
        test = f"({temp} := {value.text}).__class__ is _Missing" + (f" or not {temp}" if flag.value else "")
        return Code(f"({other.text} if {test} else {temp})", kind), absent

    def _coalesce(self, node: nodes.Call, otherwise: str) -> Code:
        parts = []
        for argument in node.args:
            value, missing = self.possibly(argument)
            temp = self.temp()
            there = f" and {temp}.__class__ is not _Missing" if missing else ""
            test = f"({temp} := {value.text}) is not None{there}"
            parts.append(f"{temp} if {test} else ")
        return Code(f"({''.join(parts)}{otherwise})")

    def _test(self, node: nodes.Test) -> Code:
        if node.name in ("defined", "undefined"):
            value, missing = self.possibly(node.node)
            if decides(node.node, self.omitting):
                raise Unhandled
            sign = "is not" if node.name == "defined" else "is"
            if not missing:
                sure = "True" if node.name == "defined" else "False"
                plain = value.text.isidentifier()
                return Code(sure if plain else f"(({value.text}), {sure})[1]", BOOL)
            return Code(f"({value.text}.__class__ {sign} _Missing)", BOOL)
        value = self.emit(node.node)
        if decides(node.node, self.omitting):
            value = Code(f"_demand({value.text})")
        quick = QUICK_TESTS.get(node.name)
        if quick is not None:
            return Code(quick.format(value.text), BOOL)
        arguments = [*node.args, *(keyword.value for keyword in node.kwargs)]
        given = ", ".join([value.text, *(self.emit(argument).text for argument in arguments)])
        return Code(f"{self.bind(helpers.TESTS[node.name], 'test')}({given})", BOOL)

    def _call(self, node: nodes.Call) -> Code:
        if isinstance(node.node, nodes.Getattr):
            return self._method(node, node.node)
        name = called(node)
        if name == "record_id":
            return self._record_id()
        if name == "coalesce":
            return self._coalesce(node, "_bail()")
        if name in ("skip", "reject"):
            return Code(f"_now_{name}({self._waiting(node)})")
        raise Unhandled

    def _method(self, node: nodes.Call, target: nodes.Getattr) -> Code:
        value = self.emit(target.node)
        constants = [argument.value for argument in node.args if isinstance(argument, nodes.Const)]
        if value.kind in (*TEXTS, ANY) and len(constants) == len(node.args):
            quick = self._quick_method(value, target.attr, constants)
            if quick is not None:
                return quick
        given = [self.emit(argument) for argument in node.args]
        return Code(f"_call_method({value.text}, {target.attr!a}, [{', '.join(code.text for code in given)}])")

    def _quick_method(self, value: Code, name: str, constants: list[Any]) -> Code | None:
        if value.kind in TEXTS:
            known = quick_method(self, value, name, constants)
            return None if known is None else Code(*known)
        temp = self.temp()
        quick = quick_method(self, Code(temp, STR), name, constants)
        if quick is None:
            return None
        given = ", ".join(constant(argument).text for argument in constants)
        otherwise = f"_call_method({temp}, {name!a}, [{given}])"
        return Code(f"({quick[0]} if ({temp} := {value.text}).__class__ is str else {otherwise})")


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


def record_field(node: nodes.Node) -> str | None:
    """`a` of `record.a` and `record["a"]`."""
    if not isinstance(node, nodes.Getattr | nodes.Getitem) or not isinstance(node.node, nodes.Name):
        return None
    if node.node.name != "record":
        return None
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) and isinstance(node.arg.value, str) else None
