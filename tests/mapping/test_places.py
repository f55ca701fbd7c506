"""What fails in an expression is told with the place of the part that failed: the scalar, start and length."""

import pytest

from tests.mapping.support import mapped, mapper_of, rows_of, slow

CASES = [
    ("{{ record.gone }}", "gone"),
    ("{{ record.gone | lower }}", "gone"),
    ("{{ record['gone'] | lower }}", "'gone'"),
    ("{{ record.a.gone }}", "gone"),
    ("{{ record.text | int + record.number }}", "int"),
    ("{{ record.number + record.text | float }}", "float"),
    ("{{ (record.text | upper) | int }}", "int"),
    ("{{ record.text.index(record.gone) }}", "gone"),
    ("Dear {{ record.text }} of {{ record.none }}", "none"),
    ("Dear {{ record.text }} of {{ record.gone | default(record.none) }}", "default"),
    ("{{ record.text ~ record.list }}", "list"),
    ("{{ 1 if record.text else 2 }}{{ record.gone }}", "gone"),
    ("{{ record.number if record.gone else 2 }}", "gone"),
    ("{{ record.list | map('int') | list }}", "map"),
    ("{{ record.text.upper().gone }}", "gone"),
    ("{{ reject('no') }}", "reject"),
    ("{{ record.text - 1 }}", "record.text"[:1]),
]
RECORD = {"text": "x", "number": 7, "none": None, "list": ["a"], "a": {}}


@pytest.mark.parametrize(("text", "part"), CASES)
def test_the_part_that_failed(text, part):
    for mapper in (mapper_of({"x": {"y": text}}), slow(mapper_of({"x": {"y": text}}))):
        [(_, failure)] = mapper(rows_of([RECORD])).failed
        start, length = failure.at
        assert text[start : start + length] == part
        assert failure.path == ("mappings", "profiles", "fields", "x", "y")


def test_the_scalar_that_failed():
    """`let`, `when`, `each`, `key` and the members of `$each` have scalars of their own."""
    lists = {"rows": {"$each": "{{ record.list }}", "$as": "one", "$value": {"n": "{{ one | int }}"}}}
    for parts, path in (
        ({"let": {"a": "{{ record.gone }}"}, "fields": {"x": "{{ a }}"}}, ("let", "a")),
        ({"when": "{{ record.gone }}", "fields": {}}, ("when",)),
        ({"each": "{{ record.gone }}", "fields": {}}, ("each",)),
        ({"each": "{{ record.number }}", "fields": {}}, ("each",)),
        ({"key": "{{ record.gone }}", "fields": {}}, ("key",)),
        ({"fields": lists}, ("fields", "rows", "$value", "n")),
        ({"fields": {"rows": {**lists["rows"], "$each": "{{ record.text }}"}}}, ("fields", "rows", "$each")),
        ({"fields": {"x": ["{{ record.gone }}"]}}, ("fields", "x", 0)),
    ):
        [(_, failure)] = mapped(parts.pop("fields"), RECORD, **parts).failed
        assert failure.path == ("mappings", "profiles", *path)


def test_an_element_of_each_keeps_the_place():
    [(_, failure)] = mapped({"x": "{{ item | int }}"}, RECORD, each="{{ record.list }}").failed
    assert failure.reason == 'element 0 of each: int: "a" is not a whole number'
    assert failure.at == (10, 3)
