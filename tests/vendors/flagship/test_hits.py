from __future__ import annotations

from typing import Any

import pytest

from engine.plugin import RecordError
from engine.vendors.flagship_hits import KINDS, build, check, identity, is_url
from tests.vendors.flagship.golden import rows

HITS = rows("hits")


def plain(row: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A recorded hit in our words: the SDK says `total_revenue` where we say `revenue`."""
    words = {("revenue" if word == "total_revenue" else word): value for word, value in row["hit"].items()}
    return words.pop("type").lower(), words


def named(violations: Any) -> list[str]:
    return [f"{'total_revenue' if one.field == 'revenue' else one.field}:{one.rule}" for one in violations]


@pytest.mark.parametrize("row", HITS, ids=[row["i"] for row in HITS])
def test_hits_are_built_and_checked_as_recorded_and_documented(row: dict[str, Any]) -> None:
    kind, fields = plain(row)
    wanted = row.get("violates", [])
    if row["hit"].get("value", "") is None:
        wanted = []  # a null is an absent field, and no violation
    assert named(check(kind, fields)) == wanted
    who = ("env_hits", row["visitor"]["id"], row["visitor"]["anonymous"])
    if wanted and not wanted[0].startswith("value:"):
        with pytest.raises(RecordError) as caught:
            build(kind, fields, *who)
        assert f"{caught.value.field}:" in wanted[0].replace("total_", "")
    else:
        hit = build(kind, fields, *who)
        assert hit.body == row["body"]
        assert named(hit.notes) == wanted


def test_all_recorded_hits_are_looked_at() -> None:
    assert len(HITS) == 75


def test_page_addresses_that_the_sdk_takes_are_taken_and_sound_ones_that_it_refuses_too() -> None:
    recorded = rows("page_urls")
    assert len(recorded) == 29
    assert all(is_url(row["url"]) for row in recorded if row["ok"])
    assert [row["url"] for row in recorded if not row["ok"] and is_url(row["url"])] == [
        "http://a",
        "http://a.travelers",
        "http://é.com",
        "http://a.com#f",
        "http://user@a.com",
        "http://a_b.com",
        "http://-a.com",
        "http://a.c",
        "http://[::1]/",
    ]


@pytest.mark.parametrize(
    "url", ["http://[::1", "https://", "http://:80/", "http://a.com/\x00", "http://a b/", "data:x"]
)
def test_other_page_addresses_are_refused(url: str) -> None:
    assert not is_url(url)


def test_a_login_swaps_the_ids() -> None:
    assert identity("ada") == {"vid": "ada"}
    assert identity("ada", "device") == {"vid": "device", "cuid": "ada"}


@pytest.mark.parametrize("who", [("",), (5,), (None,), ("v", ""), ("v", 5)])
def test_an_id_must_be_a_text_that_is_not_empty(who: Any) -> None:
    with pytest.raises(RecordError, match="_id must be a text"):
        identity(*who)


EVENT = {"category": "ACTION_TRACKING", "action": "a"}


def test_too_long_a_text_is_cut_between_characters() -> None:
    hit = build("event", {**EVENT, "label": "é" * 300}, "env", "v", on_violation="truncate")
    assert hit.body["el"] == "é" * 250
    hit = build("event", {**EVENT, "label": "x" + "é" * 300}, "env", "v", on_violation="truncate")
    assert hit.body["el"] == "x" + "é" * 249
    assert [(note.field, note.rule) for note in hit.notes] == [("label", "length")]


def test_what_cannot_be_cut_is_refused() -> None:
    with pytest.raises(RecordError, match="label must be a text"):
        build("event", {**EVENT, "label": 5}, "env", "v", on_violation="truncate")


def test_an_optional_field_can_be_dropped_and_a_required_one_not() -> None:
    hit = build(
        "event", {**EVENT, "label": 5, "locale": "x" * 21, "colour": 1}, "env", "v", on_violation="drop_field"
    )
    assert hit.body == {"cid": "env", "vid": "v", "t": "EVENT", "ds": "APP", "ec": "Action Tracking", "ea": "a"}
    assert [(note.field, note.rule) for note in hit.notes] == [
        ("label", "type"),
        ("locale", "length"),
        ("colour", "unknown"),
    ]
    with pytest.raises(RecordError) as caught:
        build("event", {**EVENT, "action": "x" * 501}, "env", "v", on_violation="drop_field")
    assert (caught.value.code, caught.value.field) == ("hit-length", "action")


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_missing_field_is_named(kind: str) -> None:
    required = [word for word, field in KINDS[kind][1].items() if field.required]
    assert [one.field for one in check(kind, {}) if one.rule == "missing"] == required
    with pytest.raises(RecordError, match="is required"):
        build(kind, {}, "env", "v")


@pytest.mark.parametrize(
    ("value", "sent"), [([640, 480], "640x480"), ("640x480", "640x480"), ((0, 0), "0x0"), ("0640X480", "640x480")]
)
def test_resolutions(value: Any, sent: str) -> None:
    assert build("screen", {"location": "s", "resolution": value}, "env", "v").body["sr"] == sent


@pytest.mark.parametrize(
    "value", ["640", [1], [1, 2, 3], [10**10, 1], ["1", 2], [True, 1], 5, "1x12345678901", "-1x5"]
)
def test_wrong_resolutions(value: Any) -> None:
    assert [one.field for one in check("screen", {"location": "s", "resolution": value})] == ["resolution"]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_json_cannot_hold_are_refused(number: float) -> None:
    assert named(
        check("item", {"transaction_id": "t", "product_name": "n", "product_sku": "s", "price": number})
    ) == ["price:range"]


def test_late_hits_carry_their_queue_time_and_session() -> None:
    body = build("screen", {"location": "s", "queue_time": 1500, "session_timestamp": 1700000000000}, "env", "v").body
    assert (body["qt"], body["cst"]) == (1500, 1700000000000)
