"""The quick forms of generated code say what the reference says, also of what they are not made for."""

from __future__ import annotations

import pytest

from engine.mapping import helpers
from engine.mapping.values import MAX_MEMBERS
from tests.mapping.support import mapper_of, outcome, rows_of, slow

ODD = [1, 2.5, True, 0, -0.0, 1e300, 10**400, "7", "", None, [], [1], {"n": 1}]
LISTS = [[], [1, 2], [1, 2.5, True], [1, "2"], [1, None], [[1]], "12", None, 7, {"n": 1}, [1e300, 1e300], [10**400]]
DAYS = [
    "2024-02-29", "2023-02-29", "2024-1-01", "2024-01-01\n", " 2024-01-01", "٢٠٢٤-01-01", "2024-W01-1", "0001-01-01",
    "9999-12-31", "2024-01-01T00:00", "", "2024001", None, 5, 1.5, True,
]  # fmt: skip


def agree(fields, record):
    """What the quick way makes of it, after the reference made the same."""
    mapper, rows = mapper_of(fields), rows_of([record])
    assert outcome(mapper, rows) == outcome(slow(mapper), rows)
    return outcome(mapper, rows)


@pytest.mark.parametrize("sign", ["+", "-", "*"])
@pytest.mark.parametrize("left", ODD, ids=repr)
def test_arithmetic_on_anything(sign, left):
    for right in ODD:
        agree({"x": f"{{{{ record.a {sign} record.b }}}}"}, {"a": left, "b": right})
        agree({"x": f"{{{{ (record.a | length) {sign} record.b }}}}"}, {"a": left, "b": right})


@pytest.mark.parametrize("listed", LISTS, ids=repr)
def test_sums_of_anything(listed):
    agree({"x": "{{ record.l | sum }}"}, {"l": listed})
    agree({"x": "{{ record.l | sum(attribute='n') }}"}, {"l": listed})
    maps = [{"n": member} for member in listed] if isinstance(listed, list) else listed
    agree({"x": "{{ record.l | sum(attribute='n') }}"}, {"l": maps})
    each = {"$each": "{{ record.l }}", "$as": "m", "$value": "{{ m * 2 }}"}
    mapper, rows = mapper_of({"x": "{{ made | sum | round(1) }}"}, let={"made": each}), rows_of([{"l": listed}])
    assert outcome(mapper, rows) == outcome(slow(mapper), rows)


@pytest.mark.parametrize(
    "filter", ["int(0)", "float(default=0)", "bool(true)", "iso(default='')", "epoch_ms(default=0)"]
)
def test_what_is_omitted_is_nothing_that_a_default_stands_for(filter):
    for record in ({}, {"n": "x"}, {"n": "7"}):
        agree({"x": f"{{{{ record.n | default(omit) | {filter} }}}}"}, record)
    fields, let = {"x": f"{{{{ n | {filter} }}}}"}, {"n": "{{ record.n | default(omit) }}"}
    mapper, rows = mapper_of(fields, let=let), rows_of([{}])
    assert outcome(mapper, rows)[0] == outcome(slow(mapper), rows)[0] == "failed"


@pytest.mark.parametrize("day", DAYS, ids=repr)
def test_days(day):
    for filter in ("epoch_ms", "epoch_ms('Europe/Paris')", "epoch_ms(default=0)"):
        agree({"x": f"{{{{ record.d | {filter} }}}}"}, {"d": day})


@pytest.mark.parametrize("more", [0, 1])
def test_lists_are_bounded_together(more):
    half = MAX_MEMBERS // 2
    fields = {name: {"$each": f"{{{{ record.{name} }}}}", "$value": "{{ item }}"} for name in ("a", "b")}
    made = agree(fields, {"a": [0] * half, "b": [0] * (half + more)})
    assert made[0] == ("failed" if more else "payload")


def test_a_memo_starts_anew_when_it_is_full(monkeypatch):
    monkeypatch.setattr(helpers, "REMEMBERED", 3)
    memo = helpers.Memo(str.upper)
    assert [memo[text] for text in "abcdeab"] == list("ABCDEAB")
    assert len(memo) <= 3
