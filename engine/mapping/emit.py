"""Expressions as Python text: the optimistic fast way.

The emitted text gives exactly the value that `evaluate` gives, or raises something; then the row goes the slow way,
which decides. So it may use whatever Python does faster, as long as it never gives another value.

No text of the pipeline file lands in the source but as the `ascii()` of a constant; names are made here.
A value that may be missing is emitted only where something provides for it (`possibly`): there it may be a `Missing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import nodes

from engine.mapping import helpers
from engine.mapping.codes import (
    ANY,
    BOOL,
    CELL,
    LIST,
    NUM,
    SIGNS,
    STR,
    TEXTS,
    Code,
    constant,
    merged,
    named_in,
)
from engine.mapping.evaluate import BINARY, Evaluator, trusted
from engine.mapping.filters import FILTERS
from engine.mapping.values import MAX_SIZE


class Unhandled(Exception):
    """The expression goes the slow way."""


class Operations:
    """Emits leaves, access and operations; `emit_calls` adds the rest.

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
        if sign and (sign != "+" or NUM in (left.kind, right.kind)):
            return self._of_numbers(left, sign, right)
        kind = ANY if isinstance(node, nodes.Add) else NUM
        return Code(f"_{BINARY[type(node)].__name__}({left.text}, {right.text})", kind)

    def _of_numbers(self, left: Code, sign: str, right: Code) -> Code:
        """Numbers of an ordinary size at once; the rest is for the reference to judge."""
        checks, sides = [], []
        for side in (left, right):
            held = side.text
            if side.kind != NUM:
                held = self.temp()
                checks.append(f"({held} := {side.text}).__class__ in _NUMBERS and ")
            sides.append(held)
        temp = self.temp()
        made = f"-1e300 < ({temp} := {sides[0]} {sign} {sides[1]}) < 1e300"
        return Code(f"({temp} if {''.join(checks)}{made} else _bail())", NUM)

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
