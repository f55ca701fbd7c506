"""`rules: server`: one test or more for each way in which the vendor's server differs from the SDK 2.1."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from engine.vendors.buckets import bucket, compile_file
from tests.vendors.flagship.files import ALL, campaign, file, group, rule, targeted, variation


def matches(operator: str, value: Any, target: Any) -> bool:
    compiled = compile_file(targeted(rule(operator, "key", target)), "server")
    return bool(compiled.decide("visitor", {"key": value}).chosen)


def flags(document: Any, visitor: str = "visitor", context: Any = None, *cached: Any, **more: Any) -> list[str]:
    return list(compile_file(document, "server").decide(visitor, context or {}, *cached, **more).values)


def visitor_in(group_id: str, low: int, high: int) -> str:
    return next(name for name in map(str, range(9999)) if low <= bucket(group_id, name) < high)


@pytest.mark.parametrize(
    ("operator", "value", "target", "answer"),
    [
        ("EQUALS", "PARIS", "paris", True),
        ("EQUALS", "\u212a", "k", True),  # the Kelvin sign
        ("EQUALS", "straße", "STRASSE", False),
        ("EQUALS", "straße", "STRAẞE", True),
        ("EQUALS", "ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς", True),
        ("EQUALS", "ı", "I", False),
        ("EQUALS", "İ", "i", False),
        ("NOT_EQUALS", "PARIS", "paris", False),
        ("CONTAINS", "I love PARIS", "Paris", True),
        ("CONTAINS", "İZMIR", "izm", True),
        ("NOT_CONTAINS", "I love PARIS", "Paris", False),
        ("STARTS_WITH", "Paris", "PA", True),
        ("ENDS_WITH", "Paris", "RIS", True),
        ("ENDS_WITH", "ΣΑΣ", "σ", True),
        ("LOWER_THAN", "a", "Z", True),
        ("GREATER_THAN", "Z", "a", True),
        ("LOWER_THAN_OR_EQUALS", "A", "a", True),
        ("GREATER_THAN_OR_EQUALS", "a", "A", True),
    ],
)
def test_text_is_compared_without_case(operator: str, value: Any, target: Any, answer: bool) -> None:
    assert matches(operator, value, target) is answer


@pytest.mark.parametrize(
    ("operator", "value", "target", "answer"),
    [
        ("EQUALS", 3, 3.0, True),
        ("EQUALS", 2**53 + 1, float(2**53), True),  # numbers are doubles there
        ("NOT_EQUALS", 3, 4, True),
        ("GREATER_THAN", 10**400, 1e308, True),
        ("LOWER_THAN", 3, 4, True),
        ("LOWER_THAN_OR_EQUALS", 3, 3, True),
        ("GREATER_THAN_OR_EQUALS", 2, 3, False),
        ("EQUALS", True, True, True),
        ("NOT_EQUALS", True, False, True),
    ],
)
def test_numbers_and_booleans_are_compared_with_their_kind(
    operator: str, value: Any, target: Any, answer: bool
) -> None:
    assert matches(operator, value, target) is answer


@pytest.mark.parametrize(
    ("operator", "value", "target"),
    [
        ("NOT_EQUALS", "1", 1),
        ("NOT_EQUALS", 1, "1"),
        ("EQUALS", True, 1),
        ("NOT_EQUALS", True, 0),
        ("EQUALS", 1, True),
        ("CONTAINS", 12, 1),
        ("NOT_CONTAINS", 12, 5),
        ("LOWER_THAN", False, True),
        ("equals", "a", "a"),
        ("NOT_EQUALS", "a", None),
    ],
)
def test_kinds_that_do_not_go_together_spoil_the_whole_group(operator: str, value: Any, target: Any) -> None:
    either = file(campaign("c", group("g", variation("v"), any_of=[[ALL], [rule(operator, "key", target)]])))
    assert flags(either, "visitor", {"key": value}) == []
    assert flags(either, "visitor", {}) == ["flag_v"]  # an absent key is no clash


def test_a_spoilt_group_leaves_the_next_one_its_turn() -> None:
    spoilt = group("g", variation("v"), any_of=[[rule("EQUALS", "key", 1)]])
    assert flags(file(campaign("c", spoilt, group("h", variation("w")))), "visitor", {"key": "1"}) == ["flag_w"]


@pytest.mark.parametrize("operator", ["EQUALS", "NOT_EQUALS", "GREATER_THAN", "SEMVER_EQUALS", "whatever"])
def test_all_users_always_match(operator: str) -> None:
    assert flags(targeted(rule(operator, "fs_all_users", "x")), "visitor", {"fs_all_users": "y"}) == ["flag_v"]


def test_users_are_the_visitor_id_whatever_the_context_says() -> None:
    document = targeted(rule("EQUALS", "fs_users", ["Ada", "bob"]))
    assert flags(document, "ADA", {"fs_users": "eve"}) == ["flag_v"]
    assert flags(document, "eve", {"fs_users": "bob"}) == []


def test_an_empty_rule_list_does_not_match() -> None:
    assert flags(file(campaign("c", group("g", variation("v"), any_of=[[]])))) == []
    assert flags(file(campaign("c", group("g", variation("v"), any_of=[[], [ALL]])))) == ["flag_v"]


@pytest.mark.parametrize("operator", ["EQUALS", "NOT_EQUALS", "NOT_CONTAINS", "LOWER_THAN", "SEMVER_NOT_EQUALS"])
def test_a_missing_key_matches_nothing(operator: str) -> None:
    assert flags(targeted(rule(operator, "key", "x"))) == []


@pytest.mark.parametrize(
    ("operator", "target", "with_key", "without"),
    [
        ("EXISTS", True, True, False),
        ("EXISTS", False, False, True),
        ("NOT_EXISTS", True, False, True),
        ("NOT_EXISTS", False, True, False),
    ],
)
def test_presence_can_be_asked_for(operator: str, target: bool, with_key: bool, without: bool) -> None:
    document = targeted(rule(operator, "key", target))
    for value in ("x", 0, False, ""):
        assert bool(flags(document, "visitor", {"key": value})) is with_key
    assert bool(flags(document)) is without


@pytest.mark.parametrize(
    ("name", "value", "target", "answer"),
    [
        ("EQUALS", "1.2.3", "v1.2.3", True),
        ("EQUALS", "v1.2.3+build.5", "1.2.3", True),
        ("EQUALS", "1.2", "1.2.0", True),
        ("NOT_EQUALS", "1.2.3", "1.2.4", True),
        ("LOWER_THAN", "1.9.0", "1.10.0", True),
        ("LOWER_THAN", "1.0.0-rc.1", "1.0.0", True),
        ("LOWER_THAN", "1.0.0-alpha.2", "1.0.0-alpha.10", True),
        ("LOWER_THAN", "1.0.0-1", "1.0.0-a", True),
        ("GREATER_THAN", "1.0.0-a.b", "1.0.0-a", True),
        ("GREATER_THAN", "10.0.0", "9.99.99", True),
        ("GREATER_THAN", "1" + "0" * 5000 + ".0.0", "9.0.0", True),
        ("LOWER_THAN_OR_EQUALS", "2.0.0", "2.0.0", True),
        ("GREATER_THAN_OR_EQUALS", "1.9.9", "2.0.0", False),
        ("NOT_EQUALS", "one", "1.0.0", False),
        ("NOT_EQUALS", "1.0.0", "one", False),
        ("NOT_EQUALS", "", "1.0.0", False),
        ("NOT_EQUALS", "01.0.0", "1.0.0", False),
        ("NOT_EQUALS", "1.0.0-01", "1.0.0", False),
        ("NOT_EQUALS", "1.2-rc", "1.0.0", False),
        ("NOT_EQUALS", "1.0.0\n", "1.0.1", False),
        ("EQUALS", "1.0.0", ["2.0.0", "1.0.0"], False),
    ],
)
def test_versions(name: str, value: str, target: Any, answer: bool) -> None:
    assert matches(f"SEMVER_{name}", value, target) is answer


@pytest.mark.parametrize(
    ("operator", "value", "target", "answer"),
    [
        ("EQUALS", "b", ["a", "B"], True),
        ("EQUALS", "b", [1, "b"], True),
        ("EQUALS", "b", [], False),
        ("NOT_EQUALS", "b", ["a", "c"], True),
        ("NOT_EQUALS", "b", ["a", "B"], False),
        ("NOT_EQUALS", "b", [1, "a"], False),  # an item of another kind is no match
        ("NOT_EQUALS", "b", [], True),
        ("CONTAINS", "abc", ["x", "B"], True),
        ("NOT_CONTAINS", "abc", ["x", "y"], True),
        ("GREATER_THAN", 5, [1, 2], False),
        ("STARTS_WITH", "abc", ["a"], False),
        ("ENDS_WITH", "abc", ["c"], False),
    ],
)
def test_a_list_in_the_rule(operator: str, value: Any, target: Any, answer: bool) -> None:
    assert matches(operator, value, target) is answer


@pytest.mark.parametrize(
    ("operator", "value", "target", "answer"),
    [
        ("EQUALS", ["a", "B"], "b", True),
        ("EQUALS", ["a"], "b", False),
        ("EQUALS", [], "b", False),
        ("CONTAINS", ["xyz", "abc"], "B", True),
        ("NOT_EQUALS", ["a", "c"], "b", True),
        ("NOT_EQUALS", ["a", "b"], "b", False),
        ("NOT_EQUALS", [], "b", True),
        ("NOT_CONTAINS", ["abc", "xyz"], "b", False),
        ("EQUALS", [1, 2], 2, True),
        ("GREATER_THAN", [5], 1, False),
        ("EQUALS", ["a", 2], "a", False),  # mixed kinds within the list
        ("EQUALS", [1], "1", False),
    ],
)
def test_a_list_in_the_context(operator: str, value: Any, target: Any, answer: bool) -> None:
    assert matches(operator, value, target) is answer


def test_a_gap_ends_the_campaign() -> None:
    document = file(campaign("c", group("g", variation("v", 50)), group("h", variation("w"))))
    assert flags(document, visitor_in("g", 0, 50)) == ["flag_v"]
    assert flags(document, visitor_in("g", 50, 100)) == []
    assert compile_file(document).decide(visitor_in("g", 50, 100), {}).values == {"flag_w": "w"}


def test_bucket_ranges_let_visitors_in_by_their_own_hash() -> None:
    document = file(campaign("c", group("g", variation("v")), ranges=[{"r": [0, 10]}, {"r": [50, 60.0]}]))
    for start, end, enters in [(0, 10, True), (10, 50, False), (50, 60, True), (60, 100, False)]:
        assert bool(flags(document, visitor_in("", start, end))) is enters
    assert bucket("", visitor_in("", 10, 11)) == 10


def test_without_bucket_ranges_nobody_enters_and_the_file_is_told_so() -> None:
    compiled = compile_file(file(campaign("c", group("g", variation("v")), ranges=[])), "server")
    assert not compiled.decide("visitor", {}).chosen
    assert [problem.code for problem in compiled.problems] == ["closed-campaign"]


def three_tests(**settings: Any) -> dict[str, Any]:
    return file(
        campaign("t", group("gt", variation("t")), type="toggle"),
        campaign("a", group("ga", variation("a"))),
        campaign("b", group("gb", variation("b"))),
        accountSettings=settings,
    )


def test_one_visitor_one_test() -> None:
    assert flags(three_tests()) == ["flag_t", "flag_a", "flag_b"]
    assert flags(three_tests(enabled1V1T=True)) == ["flag_t", "flag_a"]
    assert flags(three_tests(enabled1V1T=True), "visitor", {}, {"gb": "b"}) == ["flag_t", "flag_b"]
    assert flags(three_tests(enabled1V1T=True), "visitor", {}, ["b"]) == ["flag_t", "flag_b"]


def test_a_decision_group_replaces_the_visitor_in_the_hash() -> None:
    document = file(campaign("c", group("g", variation("a", 50), variation("b", 50))))
    hashed = base64.b64encode(b"family").decode()
    wanted = "flag_a" if bucket("g", hashed) < 50 else "flag_b"
    other = visitor_in("g", 50, 100) if wanted == "flag_a" else visitor_in("g", 0, 50)
    assert flags(document, other, decision_group="family") == [wanted]
    assert flags(document, other) != [wanted]


def test_a_single_variation_at_100_percent_takes_everybody() -> None:
    document = file(campaign("c", group("g", variation("v"))))
    assert all(flags(document, visitor_in("g", start, start + 1)) for start in range(0, 100, 9))


def test_a_remembered_variation_wins_over_its_allocation_and_a_deleted_one_gives_nothing() -> None:
    document = file(campaign("c", group("g", variation("a", 100), variation("b", 0))))
    assert flags(document, "visitor", {}, {"g": "b"}) == ["flag_b"]
    assert flags(document, "visitor", {}, {"g": "gone"}) == []
    assert flags(document, "visitor", {}, {"other": "b"}) == ["flag_a"]
    assert flags(document, "visitor", {}, ["b", "gone"]) == ["flag_b"]


def test_of_duplicate_campaigns_the_first_counts() -> None:
    document = file(
        campaign("c", group("g", variation("v"), any_of=[[rule("EQUALS", "key", "x")]])),
        campaign("c", group("h", variation("w"))),
    )
    assert flags(document) == []
    assert list(compile_file(document).decide("visitor", {}).values) == ["flag_w"]
    assert "duplicate-campaign" in [problem.code for problem in compile_file(document, "server").problems]


def test_an_anonymous_assignment_goes_on_after_login_where_the_file_says_so() -> None:
    document = file(campaign("c", group("g", variation("a", 100), variation("b", 0))))
    assert flags(document, anonymous={"g": "b"}) == ["flag_a"]
    document["accountSettings"] = {"enabledXPC": True}
    assert flags(document, anonymous={"g": "b"}) == ["flag_b"]
    assert flags(document, "visitor", {}, {"g": "a"}, anonymous={"g": "b"}) == ["flag_a"]
    assert flags(document, "visitor", {}, {"g": "gone"}, anonymous={"g": "b"}) == ["flag_b"]
    assert flags(document, anonymous={"g": "gone"}) == []


def test_allocations_add_up_in_single_precision() -> None:
    tenths = [variation(f"v{number}", 0.1) for number in range(10)]
    document = file(campaign("c", group("g", *tenths, variation("rest", 0))))
    assert flags(document, visitor_in("g", 1, 2)) == ["flag_v9"]  # the sum is a hair above 1
    assert not compile_file(document).decide(visitor_in("g", 1, 2), {}).chosen  # and a hair below it as doubles
