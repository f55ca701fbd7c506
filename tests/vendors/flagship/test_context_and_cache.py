from __future__ import annotations

import pytest

from engine.plugin import RecordError
from engine.vendors.buckets import (
    PRESET_NAMES,
    PRESETS,
    accept,
    modification,
    read_entry,
    sendable,
    visitor_context,
    write_entry,
)
from tests.vendors.flagship.golden import rows


def test_context_pairs_are_accepted_and_sent_as_recorded() -> None:
    recorded = rows("context")
    assert len(recorded) == 17
    for row in recorded:
        report = visitor_context({row["key"]: row["value"]})
        assert (not report.refused) is row["accepted"], row
        sent = sendable(report.values)
        assert (row["key"] in sent and sent[row["key"]] == row["value"]) is row["on_wire"], row


def test_a_context_starts_with_23_blank_presets_of_which_21_are_sent() -> None:
    values = visitor_context({}).values
    assert len(values) == len(PRESET_NAMES) == 23
    assert set(values.values()) == {""}
    assert len(sendable(values)) == 21
    assert sendable({**values, "sdk_city": "Lyon", "mine": ""}, blank_presets=False) == {
        "sdk_city": "Lyon",
        "mine": "",
    }


def test_visitors_do_not_share_their_presets() -> None:
    visitor_context({"sdk_city": "Lyon"})
    assert PRESETS["sdk_city"] == ""


def test_a_refused_pair_is_named_and_the_others_are_kept() -> None:
    report = accept([("a", 1), (5, "x"), ("b", None), ("c", [1]), ("a", 2)])
    assert report.values == {"a": 2}
    assert [finding.where for finding in report.refused] == ["context key 5", "context key 'b'", "context key 'c'"]
    assert "not null" in str(report.refused[1])


def test_a_subclass_of_a_scalar_is_refused() -> None:
    class Text(str):
        pass

    assert accept([("a", Text("x"))]).values == {}


def test_lists_are_for_the_server_rules_only() -> None:
    assert accept([("a", ["x", 1])], lists=True).values == {"a": ["x", 1]}
    assert accept([("a", [["x"]])], lists=True).values == {}


def test_visitor_cache_entries_are_used_as_recorded_and_versions_below_one_are_unknown() -> None:
    recorded = rows("visitor_cache")
    assert len(recorded) == 24
    repaired = [
        row for row in recorded if isinstance(row["lookup"], dict) and row["lookup"].get("version") in (0, -1)
    ]
    assert repaired
    for row in recorded:
        used = row["used"] and not any(row is one for one in repaired)
        assert (read_entry(row["lookup"], row["visitor_id"]) is not None) is used, row


def test_an_entry_reads_back_what_was_written() -> None:
    entry = write_entry("toto", ["bmsor064jaeg0gm41het"])
    assert entry == {"version": 1, "data": {"vId": "toto", "vaIds": ["bmsor064jaeg0gm41het"]}}
    assert read_entry(entry, "toto") == ["bmsor064jaeg0gm41het"]
    assert read_entry(entry, "tata") is None


def test_flags_are_read_as_recorded() -> None:
    recorded = [row for row in rows("get_modification") if "default" in row]
    for row in recorded:
        held = {row["key"]: row["stored"]} if row["present"] else {}
        reading = modification(held, row["key"], row["default"])
        assert reading.value == row["returns"] and type(reading.value) is type(row["returns"]), row
        assert (reading.exposed and row["activate"]) is bool(row["activations"]), row
    assert len(recorded) > 80


@pytest.mark.parametrize(
    ("stored", "default", "given"),
    [
        ("x", 1, 1),
        (1, "d", "d"),
        (1, 2.5, 1),
        (1.5, 2, 1.5),
        (True, 1, 1),
        (1, True, True),
        ([1], {}, {}),
        ("x", "", "x"),
    ],
)
def test_another_kind_than_the_default_can_give_the_default(stored: object, default: object, given: object) -> None:
    assert modification({"k": stored}, "k", default, type_mismatch="default").value == given


def test_panic_gives_the_default_and_no_activation() -> None:
    assert modification({"k": "x"}, "k", "d", panic=True) == ("d", False, False)


def test_a_null_default_is_refused() -> None:
    with pytest.raises(RecordError, match="NoneType"):
        modification({}, "k", None)
