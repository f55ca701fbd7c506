"""Every recorded decision of the SDK 2.1.5, with the four declared repairs."""

from __future__ import annotations

from typing import Any

import pytest

from engine.vendors.buckets import Decision, bucket, compile_file, murmur, utf8, visitor_context
from tests.vendors.flagship.files import rule, targeted
from tests.vendors.flagship.golden import decider, document, rows

REPAIRS = {"astral", "fs_users", "fs_all_users", "malformed"}
ASSIGNMENTS = rows("assignments")


def decide(row: dict[str, Any]) -> Decision:
    return decider(row["f"]).decide(row["v"], visitor_context(row["x"]).values, row.get("c"))


def ids(decision: Decision) -> list[list[Any]]:
    return [[one["campaignId"], one["variationGroupId"], one["variationId"]] for one in decision.assignments]


@pytest.mark.parametrize("stem", sorted({row["f"] for row in ASSIGNMENTS}))
def test_assignments_and_values_equal_the_recording(stem: str) -> None:
    for row in (row for row in ASSIGNMENTS if row["f"] == stem):
        decision, wanted = decide(row), row.get("alt", row)
        assert (ids(decision), decision.values) == (wanted["a"], wanted["m"]), row["i"]
        assert decision.panic is row.get("panic", False), row["i"]
        if "s" in row and "alt" not in row:
            assert decision.held_ids == row["s"], row["i"]


def test_exactly_the_rows_under_a_declared_repair_use_the_repaired_answer() -> None:
    repaired = [row for row in ASSIGNMENTS if "alt" in row]
    assert len(ASSIGNMENTS) == 2062
    assert len(repaired) == 195
    assert all(REPAIRS & set(row["q"]) for row in repaired)
    assert not [row["i"] for row in ASSIGNMENTS if REPAIRS & set(row.get("q", ())) and "alt" not in row]


def test_a_malformed_piece_that_a_visitor_reaches_is_named_in_the_decision_or_the_file() -> None:
    broken = [row for row in ASSIGNMENTS if "e" in row]
    assert len(broken) == 54
    for row in broken:
        assert any("'bg'" in str(problem) for problem in decider(row["f"]).problems), row["i"]


def test_hashes_equal_the_recording_and_true_murmur_above_the_basic_plane() -> None:
    recorded = rows("hashes")
    assert len(recorded) == 167
    for row in recorded:
        number = row.get("std", row)
        assert (murmur(utf8(row["s"])), bucket("", row["s"])) == (number["h"], number["b"]), row["s"]


def test_operators_equal_the_recording() -> None:
    recorded = rows("operators")
    assert len(recorded) == 1168
    for row in recorded:
        compiled = compile_file(targeted(rule(row["op"], "key", row["val"])))
        assert bool(compiled.decide("visitor", {"key": row["ctx"]}).chosen) is row["r"], row


def uses_repaired_key(campaign: Any) -> bool:
    return "fs_users" in str(campaign["variationGroups"]) or "fs_all_users" in str(campaign["variationGroups"])


def test_info_and_saved_ids_equal_the_recording() -> None:
    """Two files are about the reserved keys, whose recorded answers are repaired: the other campaigns count."""
    recorded = rows("info")
    assert len(recorded) == 108
    for row in recorded:
        info, saved = row["info"], row["save"]
        decision = decide(row)
        if row["f"] in ("b08_fskeys", "b15_fsall_operators"):
            touched = {one["id"] for one in document(row["f"])["campaigns"] if uses_repaired_key(one)}
            assert {k: v for k, v in decision.info.items() if v["campaignId"] not in touched} == {
                k: v for k, v in info.items() if v["campaignId"] not in touched
            }, row
        else:
            assert (decision.info, decision.held_ids) == (info, saved), row
            assert decision.va_ids[: len(saved)] == saved, row
