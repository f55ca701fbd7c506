"""Generated mappings, whole: the generated function and the slow way must agree on every payload and every failure."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mapping.support import mapper_of, rows_of, same, slow

COLUMNS = ("id", "a", "b", "l")
LEAVES = st.sampled_from(
    ["{{ record.id }}", "{{ record.a }}", "{{ record.a | lower }}", "{{ record.a | lower }}", "{{ record.b | int }}",
     "{{ record.b | int }}", "{{ record.b | int(omit) }}", "{{ record.b | float(0) }}", "{{ record.a ~ record.b }}",
     "{{ record.a }}-{{ record.b }}", "{{ record.a | default(omit) }}", "{{ record.a | default('x', true) }}",
     "{{ omit if record.a == 'x' else record.a }}", "{{ skip('s') if record.b == '1' else record.b }}",
     "{{ record.b | default(skip('no'), true) }}", "{{ reject('r') if record.a is none else 1 }}",
     "{{ coalesce(record.a, record.b, omit) }}", "{{ record.a | default(reject('gone')) }}", "{{ early }}", "{{ late }}",
     "{{ late | default('z', true) }}", "{{ early ~ '!' }}", "{{ record.b | int + 1 if record.a else none }}",
     "{{ record_id }}", "{{ meta.line }}", "{{ record.a.split(',') }}", "{{ record.a | length > 1 }}", "{{ record }}",
     "{{ (record.a | lower) ~ (record.a | lower) }}", "{{ record.l }}", "{{ [record.a, record.b] }}", "{{ omit }}", 5, None,
     "text", "{{ record.b | epoch_ms(default=omit) }}", "{{ record.a if record.b | int > 1 else record.l }}",
     "{{ 'y' if early is none else 'n' }}", "{{ late is string }}", "{{ vars.min_ltv * 2 }}", "{{ record.a is defined }}"]
)  # fmt: skip
INNER = st.sampled_from(["{{ item }}", "{{ item ~ record.id }}", "{{ item.k }}", "{{ item | int }}", "{{ item | default(omit) }}",
                         "{{ omit if item == 1 else item }}", "{{ skip('i') if item == 2 else 1 }}"])  # fmt: skip


def _trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    listed = st.sampled_from(
        ["{{ record.l }}", "{{ record.l | default([]) }}", "{{ [record.a, 1, 2] }}", "{{ record.a.split(',') }}"]
    )
    each = st.builds(lambda members, value: {"$each": members, "$value": value}, listed, st.one_of(INNER, leaves))
    return st.recursive(
        st.one_of(leaves, leaves, each),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("pqr"), inner, max_size=3)
        ),
        max_leaves=5,
    )


FREE = LEAVES.filter(lambda leaf: not (isinstance(leaf, str) and ("early" in leaf or "late" in leaf)))
MAPPINGS = st.fixed_dictionaries(
    {
        "fields": st.dictionaries(st.sampled_from("uvwxyz"), _trees(LEAVES), max_size=4),
        "let": st.fixed_dictionaries({"early": _trees(FREE), "late": _trees(FREE)}),
    },
    optional={
        "when": st.sampled_from(["{{ record.a }}", "{{ early }}", "{{ record.b | int > 0 }}", "{{ not late }}"]),
        "each": st.sampled_from(["{{ record.l }}", "{{ record.l | default([]) }}", "{{ [1, 2, '3'] }}"]),
        "key": st.sampled_from(["{{ record.id }}", "{{ record.a | lower }}", "{{ early }}"]),
    },
)
CELLS = st.sampled_from([None, "", "x", "1", "12", "n/a", "a,b", "X", "2024-01-01"])
LISTS = st.one_of(
    st.none(), CELLS, st.lists(st.one_of(st.integers(0, 3), CELLS, st.just({"k": 1}), st.just([])), max_size=3)
)
OBJECTS = st.fixed_dictionaries(
    {"id": CELLS},
    optional={"a": st.one_of(CELLS, st.integers(0, 2)), "b": st.one_of(CELLS, st.just(2.5)), "l": LISTS},
)
TABLES = st.lists(st.tuples(CELLS, CELLS, CELLS, CELLS).map(list), max_size=5)
USUAL = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def _agree(mapping: dict[str, Any], records: list[Any], columns: tuple[str, ...] | None) -> None:
    parts = {**mapping}
    mapper = mapper_of(parts.pop("fields"), columns, **parts)
    assert mapper._fast is not None
    rows = rows_of(records, columns)
    fast, plain = mapper(rows), slow(mapper)(rows)
    assert same(fast.payloads, plain.payloads)
    assert fast == plain
    told = [*{*fast.sources}, *fast.filtered, *(index for index, _ in fast.failed)]
    assert sorted(told) == list(range(len(records)))
    assert fast.sources == sorted(fast.sources) and len(fast.sources) == len(fast.payloads)
    for listed in (fast.keys, fast.elements):
        assert listed is None or len(listed) == len(fast.payloads)


@USUAL
@given(MAPPINGS, st.lists(OBJECTS, max_size=5))
def test_free_objects(mapping: dict[str, Any], records: list[dict[str, Any]]) -> None:
    _agree(mapping, records, None)


@USUAL
@given(MAPPINGS, TABLES)
def test_rows_of_known_columns(mapping: dict[str, Any], records: list[Any]) -> None:
    _agree(mapping, records, COLUMNS)
