"""Short ways to map a record, and Jinja itself as the judge of what an expression means."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jinja2
from jinja2 import StrictUndefined

from engine.config.pipeline import MappingSpec
from engine.errors import RecordError
from engine.mapping import functions, methods, operators
from engine.mapping.compiler import Context, Mapper, compile_mapping
from engine.mapping.filters import FILTERS, LENIENT, RESCUING, default
from engine.mapping.predicates import TESTS
from engine.mapping.values import OMIT, Missing, demand, json_value
from engine.model import Mapped, Position, Problem, Rows

CONTEXT = Context(
    pipeline="shop",
    source="customers",
    source_key="id",
    lookups=frozenset({"flags"}),
    vars={"min_ltv": 10, "greeting": "Hi"},
    run={"id": "r1", "started_at": "2024-05-01T00:00:00+00:00"},
)


def rows_of(records: Sequence[Any], columns: tuple[str, ...] | None = None) -> Rows:
    """A micro-batch; record `i` stands in line `i + 2`."""
    end = Position(len(records))
    return Rows("data.csv", Position(), end, columns, list(records), lambda row: (row + 2, row * 100))


def compiled(
    fields: Any, columns: tuple[str, ...] | None = None, context: Context = CONTEXT, **parts: Any
) -> tuple[Mapper | None, list[Problem]]:
    spec = MappingSpec("profiles", "customers", "crm", "update_user", fields, **parts)
    return compile_mapping(spec, context=context, columns=columns)


def mapper_of(fields: Any, columns: tuple[str, ...] | None = None, **parts: Any) -> Mapper:
    mapper, problems = compiled(fields, columns, **parts)
    assert mapper is not None, problems
    return mapper


def mapped(fields: Any, *records: dict[str, Any], lookups: Any = None, **parts: Any) -> Mapped:
    """The records as free objects."""
    given = lookups or {"flags": [{"values": {}} for _ in records]}
    return mapper_of(fields, **parts)(rows_of(records), None, given)


def value_of(expression: Any, record: Mapping[str, Any] | None = None) -> Any:
    """The value of one expression; both shapes and the slow way must agree. Raises `RecordError` for a failure."""
    record = dict(record or {})
    results = [outcome(mapper_of({"x": expression}), rows_of([record]))]
    results.append(outcome(slow(mapper_of({"x": expression})), rows_of([record])))
    if all(cell is None or isinstance(cell, str) for cell in record.values()):
        columns = tuple(record)
        found, _ = compiled({"x": expression}, columns)
        if found is not None:
            results.append(outcome(found, rows_of([list(record.values())], columns)))
    assert all(same(result, results[0]) for result in results), results
    kind, result = results[0]
    if kind == "failed":
        raise RecordError(*result)
    return result.get("x", OMIT) if kind == "payload" else kind


def slow(mapper: Mapper) -> Mapper:
    """The mapper without its generated function."""
    mapper._fast = None
    return mapper


def outcome(mapper: Mapper, rows: Rows) -> tuple[str, Any]:
    """What became of the only record."""
    result = mapper(rows, None, {"flags": [{"values": {}}] * len(rows.records)})
    if result.failed:
        return "failed", result.failed[0][1]
    return ("filtered", None) if result.filtered else ("payload", result.payloads[0])


def same(left: Any, right: Any) -> bool:
    """Equal in value and type all the way down: 1 is not 1.0 and not true."""
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and (left is right or left == right)


# --- Jinja as the judge -----------------------------------------------------------------------------------------


class _FieldOrMethod(Missing):
    """Missing as a value; called, it is the method of that name."""

    __slots__ = ("_call",)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)


class _Judge(jinja2.Environment):
    def getattr(self, obj: Any, attribute: str) -> Any:
        found = operators.get_field(obj, attribute)
        if isinstance(found, Missing):
            found = _FieldOrMethod(name=attribute, subject="value")
            found._call = lambda *arguments: methods.call_method(obj, attribute, list(arguments))
        return found

    def getitem(self, obj: Any, argument: Any) -> Any:
        return operators.get_item(obj, argument)


def _guarded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(value: Any, *arguments: Any, **named: Any) -> Any:
        if name not in RESCUING:
            demand(value)
        if name not in LENIENT:
            for argument in (*arguments, *named.values()):
                demand(argument)
        return function(value, *arguments, **named)

    return guarded


def judge() -> jinja2.Environment:
    """Jinja with our filters, tests and functions, and nothing else of ours."""
    environment = _Judge(undefined=Missing, optimized=False)
    environment.filters = {
        name: _guarded(name, function) for name, function in {**FILTERS, "default": default}.items()
    }
    tests = {name: _guarded(name, function) for name, function in TESTS.items()}
    tests["defined"] = lambda value: not isinstance(value, StrictUndefined)
    tests["undefined"] = lambda value: isinstance(value, StrictUndefined)
    environment.tests = tests
    environment.globals = {
        "omit": OMIT,
        "skip": functions.skip,
        "reject": functions.reject,
        "coalesce": lambda *values: functions.coalesce(values),
    }
    return environment


def judged(environment: jinja2.Environment, expression: str, names: dict[str, Any]) -> Any:
    """What Jinja makes of the expression; raises where it fails."""
    value = environment.compile_expression(expression, undefined_to_none=False)(**names)
    return json_value(demand(value))
