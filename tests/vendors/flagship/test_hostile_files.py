"""Whatever a file or a context holds: findings, never an exception that is not ours."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plugin import EngineError
from engine.vendors.buckets import RULES, accept, compile_file, read_entry, visitor_context
from tests.vendors.flagship.files import ALL

OPERATORS = [
    f"{prefix}{name}"
    for prefix in ("", "NOT_", "SEMVER_")
    for name in ("EQUALS", "CONTAINS", "EXISTS", "GREATER_THAN", "LOWER_THAN_OR_EQUALS", "STARTS_WITH", "ENDS_WITH")
]
TEXT = st.one_of(st.text(max_size=8), st.text(st.characters(categories=["Cs", "Lu"]), max_size=3))
NUMBER = st.one_of(st.integers(), st.floats(), st.sampled_from([10**400, -(10**999), 1e308, 0, 100, 50]))
SCALAR = st.one_of(st.none(), st.booleans(), NUMBER, TEXT)
JSON = st.recursive(
    SCALAR, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXT, inner, max_size=3))
)
KEY = st.sampled_from(["a", "b", "fs_users", "fs_all_users", ""])


def shape(**members: Any) -> st.SearchStrategy[Any]:
    """Mostly an object of these members, now and then without one or with anything in its place."""
    loose = {name: st.one_of(value, value, value, JSON) for name, value in members.items()}
    return st.one_of(st.fixed_dictionaries(members), st.fixed_dictionaries({}, optional=loose), JSON)


RULE = st.one_of(shape(operator=st.sampled_from(OPERATORS), key=KEY, value=JSON), st.just(ALL))
TARGETING = shape(targetingGroups=st.lists(shape(targetings=st.lists(RULE, max_size=3)), max_size=3))
VARIATION = shape(
    id=TEXT,
    allocation=NUMBER,
    reference=st.booleans(),
    modifications=shape(type=st.just("JSON"), value=st.dictionaries(TEXT, JSON, max_size=2)),
)
GROUP = shape(id=TEXT, targeting=TARGETING, variations=st.lists(VARIATION, max_size=3))
RANGES = st.lists(shape(r=st.lists(NUMBER, max_size=3)), max_size=2)
CAMPAIGN = shape(id=TEXT, type=st.just("ab"), bucketRanges=RANGES, variationGroups=st.lists(GROUP, max_size=3))
FILE = shape(
    campaigns=st.lists(CAMPAIGN, max_size=3),
    panic=st.sampled_from([False, None]),
    accountSettings=shape(enabled1V1T=st.booleans(), enabledXPC=st.booleans()),
)
CONTEXT = st.dictionaries(KEY, JSON, max_size=4)
CACHED = st.one_of(st.none(), st.lists(JSON, max_size=3), st.dictionaries(TEXT, JSON, max_size=3))


@pytest.mark.parametrize("rules", list(RULES))
@settings(max_examples=150, deadline=None)
@given(document=FILE, visitor=TEXT, context=CONTEXT, cached=CACHED)
def test_deciding_never_raises_but_our_own(
    rules: str, document: Any, visitor: str, context: dict[str, Any], cached: Any
) -> None:
    try:
        compiled = compile_file(document, rules)
    except EngineError:
        assert not isinstance(document, dict)
        return
    decision = compiled.decide(visitor, context, cached, anonymous=cached)
    again = compiled.decide(visitor, context, cached, anonymous=cached)
    assert [id(one) for one in decision.chosen] == [id(one) for one in again.chosen]
    assert set(decision.info) == set(decision.values)
    assert len(decision.assignments) <= len(compiled.campaigns)
    assert all(str(problem) for problem in [*compiled.problems, *decision.problems])


@given(entry=JSON, visitor=TEXT, pairs=st.lists(st.tuples(JSON, JSON), max_size=4))
def test_contexts_and_cache_entries_never_raise(entry: Any, visitor: str, pairs: list[tuple[Any, Any]]) -> None:
    assert read_entry(entry, visitor) is None or entry["data"]["vId"] == visitor
    assert len(accept(pairs, lists=True).values) <= len(pairs)


@pytest.mark.parametrize("rules", list(RULES))
def test_a_value_nested_beyond_reason_is_survived(rules: str) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    document = {"campaigns": [{"id": "c", "bucketRanges": [{"r": [0, 100]}], "variationGroups": [{
        "id": "g",
        "targeting": {"targetingGroups": [{"targetings": [{"operator": "CONTAINS", "key": "a", "value": deep}]}]},
        "variations": [{"id": "v", "allocation": 100, "modifications": {"type": "JSON", "value": {}}}],
    }]}]}  # fmt: skip
    compiled = compile_file(document, rules)
    assert not compiled.decide("visitor", visitor_context({"a": "x"}).values).chosen
    assert any("nested" in str(problem) for problem in compiled.problems)


@pytest.mark.parametrize("rules", list(RULES))
def test_integers_without_end_can_stand_anywhere(rules: str) -> None:
    huge = 10**5000
    document = {"campaigns": [{"id": huge, "bucketRanges": [{"r": [-huge, huge]}], "variationGroups": [{
        "id": "g",
        "targeting": {"targetingGroups": [{"targetings": [{**ALL, "key": "a", "value": huge}, ALL, 5]}]},
        "variations": [{"id": huge, "allocation": huge, "modifications": {"type": "JSON", "value": {"a": huge}}}],
    }]}]}  # fmt: skip
    compiled = compile_file(document, rules)
    assert not compiled.decide("visitor", accept([(huge, 1), ("a", huge)]).values).chosen
    assert all(str(problem) for problem in compiled.problems)
    assert "malformed-rule" in [problem.code for problem in compiled.problems]
