"""Filters, tests and calls as Python text; and values that may be missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import nodes

from engine.mapping import helpers
from engine.mapping.codes import (
    ANY,
    BOOL,
    CELL,
    MAYBE,
    QUICK_TESTS,
    STR,
    TEXTS,
    Code,
    called,
    constant,
    decides,
    field_of,
    literals,
    merged,
)
from engine.mapping.emit import Operations, Unhandled
from engine.mapping.emit_filters import SPECIAL, quick_method
from engine.mapping.evaluate import keywords
from engine.mapping.filters import FILTERS, LENIENT, RESCUING


class Emitter(Operations):
    """Emits the expressions of one mapping."""

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
        subject = self.emit(node.node).text
        if decides(node.node, self.omitting):  # a filter with a default for what it cannot read would give that
            subject = f"_demand({subject})"
        text = f"{function}({', '.join([subject, *placed])})"
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
        quick = None if flag.value else self._field_or(node.node, instead)
        if quick is not None:
            return quick, False
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

    def _field_or(self, node: nodes.Expr, instead: nodes.Expr) -> Code | None:
        """A field that may be missing, with a constant or `omit` for it."""
        found = field_of(node)
        omitted = isinstance(instead, nodes.Name) and instead.name == "omit"
        if found is None or not (omitted or isinstance(instead, nodes.Const)):
            return None
        whole, name, other = *found, self.emit(instead).text
        if isinstance(whole, nodes.Name) and (whole.name in self.constants or whole.name == "record"):
            return Code(f"row.get({name!a}, {other})") if whole.name == "record" and self.columns is None else None
        value = self.emit(whole).text
        temp = value if value.isidentifier() else self.temp()
        held = value if value.isidentifier() else f"({temp} := {value})"
        otherwise = f"_instead(_get_field({temp}, {name!a}), {other})"
        return Code(f"({temp}.get({name!a}, {other}) if {held}.__class__ is dict else {otherwise})")

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
