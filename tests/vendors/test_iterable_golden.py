"""The recorded answers of Iterable, one by one: each batch's verdict, each record's outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.plugin import Conversation, NoAnswer, Payloads, Response, Secret, action, post
from engine.vendors.iterable import Iterable
from engine.vendors.iterable_answers import plain
from tests.vendors.conversations import Exchanged, body, exchange

GOLDEN = Path(__file__).parents[1] / "golden" / "iterable" / "bulk_responses.jsonl"
ACTIONS = {  # endpoint → action, and where its payloads stand
    "users/bulkUpdate": ("update_user", "users"),
    "users/update": ("update_user", ""),  # ours are bulk requests of one row
    "events/trackBulk": ("track_event", "events"),
    "events/track": ("track_one", ""),
    "commerce/trackPurchase": ("track_purchase", ""),
    "lists/subscribe": ("subscribe", "subscribers"),
    "lists/unsubscribe": ("unsubscribe", "subscribers"),
    "users/bulkUpdateSubscriptions": ("update_subscriptions", "updateSubscriptionsRequests"),
    "catalogs/books/items": ("upsert_catalog_item", ""),
}
ROWS = [json.loads(line) for line in GOLDEN.read_text("utf-8").splitlines()]
AT_ONCE = {  # what the recorded verdict on a batch is in the engine's words
    "done": {"done"},
    "fail": {"done"},
    "retry": {"retry"},
    "split": {"split"},
    "one_by_one": {"again"},
    "isolate": {"again"},
    "stop": {"stop"},
}
OUTCOMES = {"sent": "sent", "failed": "rejected", "dropped": "dropped", "again": "again", "unknown": "unknown"}


class Single(Iterable):
    """Iterable, and its endpoint for one event."""

    @action()
    def track_one(self, events: Payloads) -> Conversation:
        reply = yield post("/events/track", events.raw[0])
        return plain(reply)


def payloads_of(row: dict[str, Any]) -> list[Any]:
    """The payloads that make this request."""
    said, place = row["request"], ACTIONS[row["endpoint"]][1]
    if "documents" in said:
        flag = {"replaceUploadedFieldsOnly": said["replaceUploadedFieldsOnly"]}
        return [{"catalogName": "books", "id": n, "value": v, **flag} for n, v in said["documents"].items()]
    about = {"listId": said["listId"]} if "listId" in said else {}
    return [{**about, **one} for one in said[place]] if place else [said]


def answered(row: dict[str, Any]) -> Exchanged:
    name, payloads = ACTIONS[row["endpoint"]][0], payloads_of(row)
    said = row["response"]
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    headers = {key.lower(): value for key, value in row.get("headers", {}).items()}
    lost = NoAnswer("reset", ambiguous=True)
    answer = Response(row["status"], headers, body) if row["status"] else lost
    return exchange(Single(api_key=Secret("k")), name, payloads, answer)


def test_the_rows_are_all_there() -> None:
    assert len(ROWS) == 50


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_an_answer_means_what_was_recorded(row: dict[str, Any]) -> None:
    got = answered(row)
    assert got.batch in AT_ONCE[row["verdict"]["batch"]], row["why"]
    stopped = row["verdict"]["batch"] == "stop"
    for record, wanted in zip(got.records, row["verdict"]["records"], strict=True):
        assert record.outcome == ("halted" if stopped else OUTCOMES[wanted["outcome"]]), row["why"]
        if "reason" in wanted and record.outcome != "sent":
            assert record.code == wanted["reason"].replace("_", "-"), row["why"]


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_the_recorded_request_is_ours(row: dict[str, Any]) -> None:
    request = answered(row).request
    assert request is not None
    if row["endpoint"] not in ("users/update", "events/track"):
        assert (request.path, body(request)) == (f"/{row['endpoint']}", row["request"])


def test_who_was_not_there_is_noted() -> None:
    (row,) = [row for row in ROWS if row["id"] == "g42"]
    (note,) = answered(row).notes
    assert note.code == row["verdict"]["records"][1]["reason"].replace("_", "-")
    assert "@" not in note.text


@pytest.mark.parametrize("row", [row for row in ROWS if "warnings" in row], ids=lambda row: row["id"])
def test_recorded_warnings_are_noted(row: dict[str, Any]) -> None:
    notes = {note.code: note.text for note in answered(row).notes}
    assert all(field in notes["fields-left-out"] for field in row["warnings"]["filtered"])
    assert all(field in notes["fields-created"] for field in row["warnings"]["created"])


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_an_erased_person_is_not_named(row: dict[str, Any]) -> None:
    for record in answered(row).records:
        if record.outcome == "dropped":
            assert "@" not in record.reason
