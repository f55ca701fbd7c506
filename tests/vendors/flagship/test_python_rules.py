"""What the recordings do not show of `rules: python-2.1`."""

from __future__ import annotations

import pytest

from engine.plugin import InvalidPipeline, RecordError, Unreadable
from engine.vendors.buckets import bucket, compile_file
from tests.vendors.flagship.files import ALL, campaign, file, group, rule, targeted, variation


def test_unknown_rules_name_those_that_exist() -> None:
    with pytest.raises(InvalidPipeline, match=r"python-2\.1, server"):
        compile_file({}, "python-3")


@pytest.mark.parametrize("document", [None, [], "x", 3])
def test_a_document_that_is_no_object_is_unreadable(document: object) -> None:
    with pytest.raises(Unreadable, match="not a JSON object"):
        compile_file(document)


@pytest.mark.parametrize("rules", ["python-2.1", "server"])
def test_a_visitor_id_must_be_a_text(rules: str) -> None:
    with pytest.raises(RecordError, match="int"):
        compile_file(targeted(ALL), rules).decide(5, {})  # type: ignore[arg-type]


@pytest.mark.parametrize("rules", ["python-2.1", "server"])
def test_only_true_is_panic(rules: str) -> None:
    assert compile_file({**targeted(ALL), "panic": True}, rules).decide("v", {}).panic
    decision = compile_file({**targeted(ALL), "panic": 1}, rules).decide("v", {})
    assert (decision.panic, len(decision.chosen)) == (False, 1)


def test_an_unknown_operator_is_named_and_never_matches() -> None:
    compiled = compile_file(targeted(rule("EXISTS", "a", True)))
    assert not compiled.decide("v", {"a": 1}).chosen
    [problem] = compiled.problems
    assert problem.code == "unknown-operator"
    assert "campaign 'c', group 'g'" in str(problem) and "EXISTS" in str(problem)


def test_every_malformed_piece_has_a_name_and_the_rest_goes_on() -> None:
    compiled = compile_file(
        file(
            None,
            {"id": "no-groups"},
            campaign("c1", {"id": "g0"}, {"variations": []}, group("g1", variation("v1"))),
            campaign("c2", {**group("g2"), "variations": None}),
            campaign("c3", group("g3", variation("v3"), any_of=[[None, ALL], [{"key": "a", "value": 1}]])),
            campaign("c4", {**group("g4", variation("v4")), "targeting": {"targetingGroups": [None]}}),
            campaign("c5", group("g5", variation("v5"))),
        )
    )
    assert [(problem.code, problem.where) for problem in compiled.problems] == [
        ("malformed-campaign", "campaigns[0]"),
        ("malformed-campaign", "campaign 'no-groups'"),
        ("malformed-group", "campaign 'c1', group 'g0'"),
        ("malformed-group", "campaign 'c1', group 2"),
        ("malformed-group", "campaign 'c2', group 'g2'"),
        ("malformed-rule", "campaign 'c3', group 'g3'"),
        ("malformed-rule", "campaign 'c3', group 'g3'"),
        ("malformed-group", "campaign 'c4', group 'g4'"),
    ]
    assert list(compiled.decide("v", {"a": 1}).values) == ["flag_v1", "flag_v5"]


def visitor_in(group_id: str, low: int, high: int) -> str:
    return next(name for name in map(str, range(9999)) if low <= bucket(group_id, name) < high)


def test_a_broken_variation_counts_only_once_the_walk_reaches_it() -> None:
    bad = {"id": "bad", "allocation": 50}
    compiled = compile_file(file(campaign("c", group("g", variation("v", 50), bad), group("next", variation("w")))))
    before = compiled.decide(visitor_in("g", 0, 50), {})
    assert (list(before.values), before.problems) == (["flag_v"], [])
    after = compiled.decide(visitor_in("g", 50, 100), {})
    assert list(after.values) == ["flag_w"]
    assert [problem.where for problem in after.problems] == ["campaign 'c', group 'g', variation 2"]


@pytest.mark.parametrize(
    ("variations", "cached", "flags"),
    [
        ([variation("v"), {"allocation": 1}], [], ["flag_w"]),
        ([variation("v"), {"allocation": 1}], ["elsewhere"], ["flag_w"]),
        ([variation("v"), {"allocation": 1}], ["v"], ["flag_v"]),
        ([{"allocation": 0}, variation("v")], ["v"], ["flag_w"]),
        ([variation("u", None), variation("v")], ["v"], ["flag_v"]),
        ([variation("u", None), variation("v")], ["u"], ["flag_u"]),
        ([variation("u", None), variation("v")], None, ["flag_w"]),
    ],
)
def test_a_broken_variation_beside_a_remembered_one(variations: list, cached: list | None, flags: list[str]) -> None:
    compiled = compile_file(file(campaign("c", group("g", *variations), group("next", variation("w")))))
    assert list(compiled.decide("visitor", {}, cached).values) == flags


def test_the_items_of_a_cache_may_be_anything() -> None:
    compiled = compile_file(file(campaign("c", group("g", variation("a", 100), variation("b", 0)))))
    assert list(compiled.decide("v", {}, [None, {}, [1], "b"]).values) == ["flag_b"]


def test_all_users_and_users_are_repaired_whatever_the_context_says() -> None:
    everybody = compile_file(targeted(rule("NOT_EQUALS", "fs_all_users", "")))
    assert everybody.decide("v", {"fs_all_users": ""}).chosen
    listed = compile_file(targeted(rule("EQUALS", "fs_users", ["ada", "bob"])))
    assert listed.decide("bob", {"fs_users": "eve"}).chosen
    assert not listed.decide("eve", {"fs_users": "ada"}).chosen


def test_values_that_no_context_holds_match_nothing() -> None:
    for operator in ("EQUALS", "NOT_EQUALS", "CONTAINS", "NOT_CONTAINS", "LOWER_THAN", "ENDS_WITH"):
        for target in ("x", 1, ["x"], None):
            compiled = compile_file(targeted(rule(operator, "a", target)))
            for value in (None, ["x"], {"x": 1}):
                assert not compiled.decide("v", {"a": value}).chosen, (operator, target, value)


def test_half_a_surrogate_pair_and_endless_integers_are_hashed_and_compared() -> None:
    huge = 10**5000
    compiled = compile_file(
        file(
            campaign("c1", group("g\ud800", variation("v1", 50), variation("v2", 50))),
            campaign("c2", group("g2", variation("v3"), any_of=[[rule("ENDS_WITH", "n", 0)]])),
            campaign("c3", group("g3", variation("v4", huge), variation("v5", 0.5))),
            campaign("c4", group("g4", variation("v6"), any_of=[[rule("CONTAINS", "s", [huge, "zz"])]])),
        )
    )
    decision = compiled.decide("v\udfff", {"n": huge, "s": "1" + "0" * 5000})
    assert list(decision.values)[1:] == ["flag_v3", "flag_v4", "flag_v6"]


def test_no_text_of_the_file_becomes_code() -> None:
    hostile = "x') or __import__('os').abort() or ('\n\"\"\"\\"
    compiled = compile_file(
        file(campaign(hostile, group(hostile, variation(hostile), any_of=[[rule("EQUALS", hostile, hostile)]])))
    )
    assert compiled.decide("v", {hostile: hostile}).assignments[0]["campaignId"] == hostile
    assert not compiled.decide("v", {hostile: "x"}).chosen


def test_ids_to_save_hold_every_assigned_variation_once() -> None:
    compiled = compile_file(
        file(
            campaign("c1", group("g1", variation("a", flag=1))),
            campaign("c2", group("g2", variation("b", flag=2))),
            campaign("c3", group("g3", {**variation("c"), "modifications": {"type": "JSON", "value": {}}})),
        )
    )
    decision = compiled.decide("v", {})
    assert decision.held_ids == ["b"]
    assert decision.va_ids == ["b", "a", "c"]
    assert decision.by_group == {"g1": "a", "g2": "b", "g3": "c"}


def test_flags_leave_out_what_is_null() -> None:
    compiled = compile_file(file(campaign("c", group("g", variation("v", kept=1, nothing=None)))))
    assert compiled.decide("v", {}).flags == {"kept": 1}
