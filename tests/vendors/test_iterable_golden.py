"""The recorded answers of Iterable about users, events and purchases: each row's verdict, each record's outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.plugin import Conversation, NoAnswer, Payloads, Response, Secret, action, post
from engine.vendors.iterable import Iterable
from engine.vendors.iterable_answers import plain
from tests.vendors.conversations import Exchanged, exchange

GOLDEN = Path(__file__).parents[1] / "golden" / "iterable" / "bulk_responses.jsonl"
ACTIONS = {  # endpoint → action, and where its payloads stand
    "users/bulkUpdate": ("update_user", "users"),
    "users/update": ("update_user", ""),  # ours are bulk requests of one row
    "events/trackBulk": ("track_event", "events"),
    "events/track": ("track_one", ""),
    "commerce/trackPurchase": ("track_purchase", ""),
}
ROWS = [row for row in map(json.loads, GOLDEN.read_text("utf-8").splitlines()) if row["endpoint"] in ACTIONS]
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


def answered(row: dict[str, Any]) -> Exchanged:
    name, place = ACTIONS[row["endpoint"]]
    payloads = row["request"][place] if place else [row["request"]]
    said = row["response"]
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    headers = {key.lower(): value for key, value in row.get("headers", {}).items()}
    lost = NoAnswer("reset", ambiguous=True)
    answer = Response(row["status"], headers, body) if row["status"] else lost
    return exchange(Single(api_key=Secret("k")), name, payloads, answer)


def test_the_rows_are_all_there() -> None:
    assert len(ROWS) == 44


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_an_answer_means_what_was_recorded(row: dict[str, Any]) -> None:
    got = answered(row)
    assert got.batch in AT_ONCE[row["verdict"]["batch"]], row["why"]
    stopped = row["verdict"]["batch"] == "stop"
    for record, wanted in zip(got.records, row["verdict"]["records"], strict=True):
        assert record.outcome == ("halted" if stopped else OUTCOMES[wanted["outcome"]]), row["why"]
        if "reason" in wanted:
            assert record.code == wanted["reason"].replace("_", "-"), row["why"]


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
