"""Configuration and mappings together: constants that variables brought in, and places within expressions."""

import pytest

from engine.mapping.compiler import Context, compile_mapping
from engine.model import Position, Rows
from tests.config.demo import good, read


def rows():
    return Rows("people.csv", Position(), Position(1), ("id", "name"), [["7", "Ada"]], lambda _: (2, 0))


def payload(field, value):
    """What a mapping's field gives for one record, with `${V}` set to `value`."""
    text = f"mappings: {{m: {{from: people, to: out, fields: {{a: '{field}'}}}}}}"
    spec = good(text, environ={"V": value, "TOKEN": "t"}).mappings["m"]
    mapper, problems = compile_mapping(spec, context=Context("demo", "people"))
    assert problems == []
    mapped = mapper(rows())
    assert mapped.failed == []
    return mapped.payloads[0]["a"]


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "{{ record.id }}",
        "{% raw %}",
        "{# x #}",
        "}}{{",
        "\"'\\",
        "\\x7b\\n",
        "é😀\u2028",
        "a\nb\n",
        "1e5",
        "",
        "${V}",
        "{",
    ],
)
def test_a_variable_is_a_constant_to_the_mapping(value):
    assert payload("${V}", value) == value
    assert payload("{{ record.name }}: ${V}.", value) == f"Ada: {value}."
    assert payload("[${V}|${V}] {{ record.id }} {${V}{ x }}", value) == f"[{value}|{value}] 7 {{{value}{{ x }}}}"


def found(fields):
    """The one problem that the mapping room finds in a file, placed."""
    loaded = read("mappings:\n  m:\n    from: people\n    to: out\n    fields:\n" + fields)
    assert loaded.findings == []
    _, problems = compile_mapping(
        loaded.pipeline.mappings["m"], context=Context("demo", "people"), columns=("id", "name")
    )
    (problem,) = problems
    finding = loaded.document.place(problem)
    return finding.line, finding.column, finding.source[finding.column - 1 :][: finding.length]


@pytest.mark.parametrize(
    ("fields", "line", "column"),
    [
        ('      a: "{{ record.id | nope }}"\n', 6, 26),
        ("      a: '{{ ''x'' | nope }}'\n", 6, 22),
        ('      a: "\\u00e9 \\"{{ record.id | nope }}"\n', 6, 35),
        ("      a: |\n        one\n          {{ record.id | nope }}\n", 8, 26),
        ("      a: >-\n        one\n        two\n\n        {{ record.id\n        | nope }}\n", 11, 11),
        ("      a: one\n        {{ record.id | nope }}\n", 7, 24),
        ("      a: {b: [x, '{{ record.id | nope }}']}\n", 6, 34),
        ("      a: ${WORD} {{ record.id | nope }}\n", 6, 33),
    ],
)
def test_the_place_within_an_expression(fields, line, column):
    assert found(fields) == (line, column, "nope")


def test_the_place_behind_an_anchor():
    loaded = read(
        'x-fields: &fields {a: "{{ record.id | nope }}"}\n'
        "mappings:\n  m:\n    from: people\n    to: out\n    fields:\n      <<: *fields\n      b: 1\n"
    )
    _, problems = compile_mapping(loaded.pipeline.mappings["m"], context=Context("demo", "people"))
    finding = loaded.document.place(problems[0])
    assert (finding.line, finding.column, finding.length) == (1, 39, 4)
    assert (finding.related.line, finding.related.note) == (7, "used here")
