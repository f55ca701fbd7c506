"""Whole mappings over micro-batches: both shapes, and always the generated function against the slow way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.mapping.compiler import compile_value
from engine.model import Failure, Malformed, Mapped, Position, Rows
from tests.mapping.support import CONTEXT, compiled, mapped, mapper_of, rows_of, same, slow

COLUMNS = ("id", "email", "ltv")


def both_ways(fields: Any, rows: Rows, only: Any = None, lookups: Any = None, **parts: Any) -> Mapped:
    """What the generated function gives; the slow way must give the same."""
    mapper = mapper_of(fields, rows.columns, **parts)
    assert mapper._fast is not None
    fast = mapper(rows, only, lookups)
    plain = slow(mapper)(rows, only, lookups)
    assert same(fast.payloads, plain.payloads)
    assert fast == plain
    return fast


def test_one_bad_row_in_two_hundred_fails_alone_and_names_its_field() -> None:
    cells = [[str(at), f"U{at}@X", "12.5"] for at in range(200)]
    cells[77][2] = "n/a"
    fields = {"userId": "{{ record.id }}", "dataFields": {"ltv": "{{ record.ltv | float }}"}}
    for rows in (rows_of(cells, COLUMNS), rows_of([dict(zip(COLUMNS, row, strict=True)) for row in cells])):
        result = both_ways(fields, rows)
        assert result.failed == [(77, Failure("bad-value", 'float: "n/a" is not a number', "dataFields.ltv"))]
        assert result.sources == [at for at in range(200) if at != 77]
        assert [payload["userId"] for payload in result.payloads] == [str(at) for at in result.sources]
        assert result.filtered == [] and result.elements is None and result.keys is None


def test_every_row_may_fail() -> None:
    result = both_ways({"x": "{{ record.ltv | int }}"}, rows_of([["1", "a", "x"]] * 5, COLUMNS))
    assert [at for at, _ in result.failed] == [0, 1, 2, 3, 4]
    assert result.payloads == [] and result.sources == []


def test_only_names_the_records_to_map() -> None:
    rows = rows_of([[str(at), "a", "x" if at == 4 else "1"] for at in range(6)], COLUMNS)
    result = both_ways({"id": "{{ record.id }}", "n": "{{ record.ltv | int }}"}, rows, only=[1, 4, 5])
    assert result.sources == [1, 5]
    assert [payload["id"] for payload in result.payloads] == ["1", "5"]
    assert [at for at, _ in result.failed] == [4]
    assert both_ways({"id": "{{ record.id }}"}, rows, only=[]).payloads == []


def test_nothing_comes_of_nothing() -> None:
    assert both_ways({"id": "{{ record.id }}"}, rows_of([], COLUMNS)) == Mapped([], [], None, None, [], [])


def test_when_leaves_records_out() -> None:
    records = [{"e": "a"}, {"e": ""}, {"e": None}, {}, {"e": "b"}]
    result = both_ways({"e": "{{ record.e }}"}, rows_of(records), when="{{ record.e }}")
    assert result.sources == [0, 4] and result.filtered == [1, 2]
    assert result.failed == [(3, Failure("missing-field", 'record has no field "e"', "when"))]


def test_let_is_computed_before_when_only_if_when_needs_it() -> None:
    parts: dict[str, Any] = {
        "let": {"age": "{{ record.age | int(none) }}", "older": "{{ age + 1 }}", "adult": "{{ age is not none and age >= 18 }}"},
        "when": "{{ adult }}",
    }  # fmt: skip
    records = [{"age": "40"}, {"age": "x"}, {"age": "9"}]
    result = both_ways({"age": "{{ older }}"}, rows_of(records), **parts)
    assert result.payloads == [{"age": 41}]
    assert result.filtered == [1, 2] and result.failed == []


def test_a_failing_let_is_named() -> None:
    result = mapped({"x": "{{ a }}"}, {"n": "x"}, let={"a": "{{ record.n | float }}"})
    assert result.failed == [(0, Failure("bad-value", 'float: "x" is not a number', "let.a"))]


def test_let_can_be_a_list_and_can_be_omitted() -> None:
    parts: dict[str, Any] = {
        "let": {
            "totals": {"$each": "{{ record.lines }}", "$as": "l", "$value": "{{ l.price * l.qty }}"},
            "note": "{{ record.note | default(omit) }}",
        }
    }
    fields = {"total": "{{ totals | sum | round(2) }}", "note": "{{ note }}", "n": "{{ totals | length }}"}
    records = [{"lines": [{"price": 1.25, "qty": 2}, {"price": 1, "qty": 3}]}, {"lines": [], "note": "x"}]
    result = both_ways(fields, rows_of(records), **parts)
    assert same(result.payloads, [{"total": 5.5, "n": 2}, {"total": 0, "note": "x", "n": 0}])


def test_each_gives_a_payload_per_element() -> None:
    fields = {"id": "{{ item.id }}", "who": "{{ record.who | upper }}"}
    records = [
        {"who": "ada", "orders": [{"id": 1}, {"id": 2}]},
        {"who": "bob", "orders": []},
        {"who": "cyd"},
        {"who": "dan", "orders": [{"id": 3}, {"no": 4}]},
        {"who": "eve", "orders": {"id": 5}},
        {"who": "fay", "orders": None},
        {"who": "gil", "orders": [{"id": 6}]},
    ]
    parts = {"each": "{{ record.orders | default([]) }}", "key": "{{ record.who }}-{{ item.id }}"}
    result = both_ways(fields, rows_of(records), **parts)
    assert result.payloads == [{"id": 1, "who": "ADA"}, {"id": 2, "who": "ADA"}, {"id": 6, "who": "GIL"}]
    assert (result.sources, result.elements, result.keys) == ([0, 0, 6], [0, 1, 0], ["ada-1", "ada-2", "gil-6"])
    assert result.filtered == [1, 2]
    assert result.failed == [
        (3, Failure("missing-field", 'element 1 of each: item has no field "id"', "id")),
        (4, Failure("bad-type", "each needs a list, not a map", "each")),
        (5, Failure("bad-type", "each needs a list, not null; write `| default([], true)` for none", "each")),
    ]


@pytest.mark.parametrize("statement", [False, True])
def test_skip_leaves_out_an_element_or_the_record(statement: bool) -> None:
    fields: dict[str, Any] = {"n": "{{ item if item > 1 else skip('small') }}"}
    if statement:
        fields["o"] = "{{ omit }}"
    records = [{"l": [1, 2, 3]}, {"l": [0, 1]}, {"l": [5]}]
    result = both_ways(fields, rows_of(records), each="{{ record.l }}")
    assert [payload["n"] for payload in result.payloads] == [2, 3, 5]
    assert (result.sources, result.elements) == ([0, 0, 2], [1, 2, 0])
    assert result.filtered == [1]
    single = {"n": "{{ record.n if record.n else skip('none') }}", **({"o": "{{ omit }}"} if statement else {})}
    result = both_ways(single, rows_of([{"n": 0}, {"n": 1}, {"n": 0}]))
    assert (result.filtered, result.sources) == ([0, 2], [1])


def test_the_first_field_decides_whether_a_record_fails_or_is_skipped() -> None:
    failing, skipping = "{{ record.n | int }}", "{{ skip('x') }}"
    for inner in ({"z": "{{ omit }}"}, {"z": 1}):
        result = both_ways({"a": failing, "m": {**inner, "b": skipping}}, rows_of([{"n": "x"}]))
        assert result.failed and not result.filtered
        result = both_ways({"m": {**inner, "b": skipping}, "a": failing}, rows_of([{"n": "x"}]))
        assert result.filtered and not result.failed


def test_omit_leaves_out_keys_members_and_elements_but_no_payload() -> None:
    fields = {
        "a": "{{ record.a | default(omit) }}",
        "m": {"x": 1, "b": "{{ record.b | default(omit) }}", "y": 2},
        "l": [1, "{{ record.a | default(omit) }}", 3],
        "e": {"$each": "{{ record.l }}", "$value": "{{ item if item else omit }}"},
        "z": None,
    }
    result = both_ways(fields, rows_of([{"l": [0, 1, 2]}, {"a": None, "b": "B", "l": []}]))
    assert result.payloads == [
        {"m": {"x": 1, "y": 2}, "l": [1, 3], "e": [1, 2], "z": None},
        {"a": None, "m": {"x": 1, "b": "B", "y": 2}, "l": [1, None, 3], "e": [], "z": None},
    ]
    assert [list(payload) for payload in result.payloads] == [["m", "l", "e", "z"], ["a", "m", "l", "e", "z"]]
    assert list(result.payloads[1]["m"]) == ["x", "b", "y"]
    assert both_ways("{{ omit }}", rows_of([{}])).failed[0][1].code == "misused-omit"
    assert both_ways({"x": 1}, rows_of([{}]), key="{{ omit }}").failed[0][1].field == "key"


def test_lists_inside_a_payload_may_stand_in_one_another() -> None:
    fields = {
        "rows": {
            "$each": "{{ record.rows }}",
            "$as": "r",
            "$value": {"n": "{{ r.n }}", "cells": {"$each": "{{ r.cells }}", "$value": "{{ r.n ~ item }}"}},
        }
    }
    result = both_ways(fields, rows_of([{"rows": [{"n": "a", "cells": ["x", "y"]}, {"n": "b", "cells": []}]}]))
    assert result.payloads == [{"rows": [{"n": "a", "cells": ["ax", "ay"]}, {"n": "b", "cells": []}]}]
    bad = both_ways(fields, rows_of([{"rows": [{"n": "a", "cells": "xy"}]}]))
    assert bad.failed == [(0, Failure("bad-type", "$each needs a list, not a text", "rows.cells"))]


def test_a_payload_may_be_one_expression_that_gives_a_map() -> None:
    rows = rows_of([["1", "a@x", "5"]], COLUMNS)
    assert both_ways("{{ record | without('ltv') }}", rows).payloads == [{"id": "1", "email": "a@x"}]
    assert both_ways("{{ record }}", rows).payloads == [{"id": "1", "email": "a@x", "ltv": "5"}]
    failed = both_ways("{{ record.id }}", rows).failed
    assert failed == [(0, Failure("bad-type", "the payload must be a map, not a text", ""))]


def test_lookups_are_given_per_record() -> None:
    fields = {"button": "{{ flags.values.button | default(omit) }}", "p": "{{ flags.panic }}"}
    lookups = {"flags": [{"values": {"button": "red"}, "panic": False}, {"values": {}, "panic": True}]}
    mapper = mapper_of(fields)
    assert mapper.needs_lookups == {"flags"} and mapper.uses == frozenset()
    result = both_ways(fields, rows_of([{}, {}]), lookups=lookups)
    assert result.payloads == [{"button": "red", "p": False}, {"p": True}]


def test_meta_counts_malformed_rows() -> None:
    rows = Rows("f.csv", Position(), Position(3), ("id",), [["a"], ["b"]], lambda row: (row + 2, row * 10),
                [Malformed(1, "ragged", "", "")], [0, 2])  # fmt: skip
    result = both_ways(
        {"at": "{{ meta.file }}:{{ meta.line }}", "o": "{{ meta.offset }}", "s": "{{ meta.source }}"}, rows
    )
    assert result.payloads == [
        {"at": "f.csv:2", "o": 0, "s": "customers"},
        {"at": "f.csv:4", "o": 20, "s": "customers"},
    ]


def test_record_id_falls_back_on_file_and_line() -> None:
    context = replace(CONTEXT, source_key=None)
    mapper, _ = compiled({"id": "{{ record_id }}"}, None, context)
    assert mapper is not None
    first, second = mapper(rows_of([{"a": 1}, {"a": 1}])).payloads
    assert first != second and first == mapper(rows_of([{"a": 2}])).payloads[0]


def test_rows_of_another_shape_go_the_slow_way() -> None:
    mapper = mapper_of({"e": "{{ record.email }}"}, COLUMNS)
    other = rows_of([["x", "a@x"]], ("other", "email"))
    assert mapper(other).payloads == [{"e": "a@x"}]
    assert mapper(rows_of([{"email": "b"}])).payloads == [{"e": "b"}]


def test_lineage_names_the_fields_that_are_read() -> None:
    fields = {"a": "{{ record.x.y }}", "b": {"c": "{{ record['z'] | default(record.w) }}"}}
    assert mapper_of(fields, when="{{ record.v }}", key="{{ record_id }}").uses == {"x", "z", "w", "v", "id"}
    assert mapper_of({"a": "{{ record | pick('a') }}"}).uses is None
    assert mapper_of({"a": "{{ record.get('a') }}"}).uses is None


def test_all_findings_come_in_one_pass() -> None:
    mapper, problems = compiled(
        {"a": "{{ record.nope }}", "b": {"c": "{{ x }}", "d": "{% if %}"}, "l": ["{{ 1 | f }}"],
         "e": {"$each": "{{ record.id }}", "$value": "{{ item.x }} {{ line }}", "more": 1}, "$x": 1, "g": {"$each": []}},
        COLUMNS, when="{{ record.emial }}", each="{{ item }}", key="{{ ky }}", let={"record": 1, "_x": 2, "item": 3},
    )  # fmt: skip
    assert mapper is None
    assert {(problem.code, problem.path[2:]) for problem in problems} == {
        ("unknown-column", ("fields", "a")),
        ("unknown-name", ("fields", "b", "c")),
        ("statement", ("fields", "b", "d")),
        ("unknown-filter", ("fields", "l", 0)),
        ("bad-each", ("fields", "e", "more")),
        ("unknown-name", ("fields", "e", "$value")),
        ("bad-key", ("fields", "$x")),
        ("bad-each", ("fields", "g")),
        ("unknown-column", ("when",)),
        ("unknown-name", ("key",)),
        ("reserved-name", ("let", "record")),
        ("bad-name", ("let", "_x")),
        ("reserved-name", ("let", "item")),
    }


def test_an_unknown_column_that_is_provided_for_is_a_warning() -> None:
    mapper, problems = compiled(
        {"a": "{{ record.nope | default('x') }}", "b": "{{ record.nope is defined }}"}, COLUMNS
    )
    assert mapper is not None
    assert [(problem.code, problem.warning) for problem in problems] == [("unknown-column", True)] * 2
    assert mapper(rows_of([["1", "e", "2"]], COLUMNS)).payloads == [{"a": "x", "b": False}]


def test_third_parties_add_filters_whose_results_are_checked() -> None:
    def shout(value: str, mark: str = "!") -> str:
        return value.upper() + mark

    context = replace(
        CONTEXT, filters={"shout": shout, "leak": lambda value: object(), "lower": lambda value: "never"}
    )
    fields = {"a": "{{ record.a | shout }}", "b": "{{ record.a | shout(mark='?') | lower }}"}
    mapper, _ = compiled(fields, None, context)
    assert mapper is not None
    assert mapper(rows_of([{"a": "x"}])).payloads == [{"a": "X!", "b": "x?"}]
    mapper, _ = compiled({"a": "{{ record.a | leak }}"}, None, context)
    assert mapper is not None
    assert mapper(rows_of([{"a": "x"}])).failed[0][1].reason == "the result is no JSON value (object)"
    _, problems = compiled({"a": "{{ record.a | shot }}", "b": "{{ record.a | shout(1, 2) }}"}, None, context)
    assert [problem.code for problem in problems] == ["unknown-filter", "bad-arguments"]
    assert problems[0].hint == 'did you mean "shout"?'


def test_a_value_for_another_room() -> None:
    tree = {
        "visitor_id": "{{ record.id }}",
        "context": {"n": "{{ record.n | int }}", "x": "{{ omit }}"},
        "fixed": [1, "a"],
    }
    values, problems = compile_value(tree, ("lookups", "flags", "with"), context=CONTEXT)
    assert values is not None, problems
    rows = rows_of([{"id": "1", "n": "5"}, {"id": "2", "n": "x"}, {"id": "3", "n": "6"}])
    first = {"visitor_id": "1", "context": {"n": 5}, "fixed": [1, "a"]}
    bad = Failure("bad-value", 'int: "x" is not a whole number', "context.n")
    third = {"visitor_id": "3", "context": {"n": 6}, "fixed": [1, "a"]}
    assert values(rows) == [first, bad, third]
    assert values(rows, [1, 2]) == [bad, third]
    text, _ = compile_value("out/{{ record.id }}.csv", ("sinks", "f", "path"), context=CONTEXT, columns=COLUMNS)
    assert text is not None
    assert text(rows_of([["7", "", ""]], COLUMNS)) == ["out/7.csv"]
    skipping, _ = compile_value("{{ skip('no') }}", ("x",), context=CONTEXT)
    assert skipping is not None
    assert skipping(rows_of([{}]))[0].code == "skipped"


def test_expressions_used_twice_are_computed_once_and_mean_the_same() -> None:
    fields = {
        "a": "{{ record.ltv | float }}",
        "b": "{{ record.ltv | float > 5 }}",
        "c": "{{ 'x' if record.ltv | float > 5 else record.email | int }}",
        "d": "{{ record.email | lower ~ '!' }} {{ record.email | lower ~ '!' }}",
        "e": "{{ record.email | int if false else 1 }}",
    }
    mapper = mapper_of(fields, COLUMNS)
    assert mapper._fast is not None
    assert mapper._fast.__dict__["source"].count("float(") == 1
    result = both_ways(fields, rows_of([["1", "A@X", "7.5"], ["2", "3", "1"], ["3", "x", "1"]], COLUMNS))
    assert result.payloads == [
        {"a": 7.5, "b": True, "c": "x", "d": "a@x! a@x!", "e": 1},
        {"a": 1.0, "b": False, "c": 3, "d": "3! 3!", "e": 1},
    ]
    assert [at for at, _ in result.failed] == [2]


def test_a_null_cell_is_null() -> None:
    rows = rows_of([["1", None, ""]], COLUMNS)
    fields = {"e": "{{ record.email }}", "l": "{{ record.ltv | default('x', true) }}", "n": "{{ record.email is none }}",
              "d": "{{ record.email | default('d') }}", "c": "{{ coalesce(record.email, record.id) }}"}  # fmt: skip
    assert both_ways(fields, rows).payloads == [{"e": None, "l": "x", "n": True, "d": None, "c": "1"}]
    assert both_ways({"x": "{{ record.email | lower }}"}, rows).failed[0][1].code == "bad-type"
    assert both_ways({"x": "a{{ record.email }}"}, rows).failed[0][1].code == "bad-type"
