"""`iterable-data-import` runs unchanged against the pretend Iterable: that is what proves the pretence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.sandbox.server import serve
from engine.sandbox.world import World
from tests.clients.running import GOLDEN, comparable, iterable_import
from tests.sandbox.helpers import Standing

pytestmark = pytest.mark.clients

CASES = [
    "u01_readme", "u02_users_typed_csv", "u03_users_2350_csv", "u04_users_nested_jsonl", "u05_user_id_only_csv",
    "u06_same_user_twice", "e01_events_jsonl", "e02_events_2000_exact", "e03_event_no_fields", "p01_purchases_csv",
    "p02_purchases_nested_jsonl", "m01_three_actions_small_batches", "m03_split_files_by_type",
]  # fmt: skip


def ran(case: str, folder: Path, **settings: Any) -> tuple[Any, World]:
    with serve(World(Standing(), (), {"iterable": settings})) as server:
        return iterable_import(case, server.urls["iterable"], folder), server.world


def recorded(case: str) -> list[tuple[str, Any]]:
    lines = (GOLDEN / case / "requests.jsonl").read_text("utf-8").splitlines()
    return [(said["path"], said["body"]) for said in map(json.loads, lines)]


@pytest.mark.parametrize("case", CASES)
def test_its_requests_are_accepted_as_recorded(case: str, tmp_path: Path) -> None:
    told, world = ran(case, tmp_path)
    assert told == {"finished": True, "refused": []}
    assert [(one.path, json.loads(one.body)) for one in world.received] == recorded(case)


def test_people_are_folded_by_address(tmp_path: Path) -> None:
    _, world = ran("u06_same_user_twice", tmp_path)
    assert world.vendors["iterable"].state()["users"] == [
        {"email": "dup@example.com", "userId": None, "dataFields": {"step": 3}},
        {"email": "other@example.com", "userId": None, "dataFields": {"step": 1}},
    ]


def test_people_events_and_purchases_of_one_file(tmp_path: Path) -> None:
    _, world = ran("m03_split_files_by_type", tmp_path)
    state = comparable(world.vendors["iterable"].state())
    assert [person["email"] for person in state["users"]] == ["a@example.com", "b@example.com"]
    assert [(one["eventName"], one["email"]) for one in state["events"]] == [
        ("Churned", "a@example.com"),
        ("Signed Up", "a@example.com"),
        ("Signed Up", "b@example.com"),
    ]
    assert [(one["user"], one["total"]) for one in state["purchases"]] == [({"email": "a@example.com"}, 10.5)]


def test_a_numeric_user_id_is_refused_in_the_recorded_words(tmp_path: Path) -> None:
    told, world = ran("u07_numeric_user_id", tmp_path)
    (line,) = [
        json.loads(text) for text in (GOLDEN / "u07_numeric_user_id/api_errors.jsonl").read_text().splitlines()
    ]
    (refused,) = told["refused"]
    assert refused["response_status"] == line["response_status"] == 400
    assert refused["request_body"] == line["request_body"]
    ours, theirs = (json.loads(answer["response_body"]) for answer in (refused, line))
    assert (ours["msg"], ours["code"]) == (theirs["msg"], theirs["code"])
    assert theirs["params"].items() <= ours["params"].items()
    assert world.received == []


def test_a_fault_reaches_it_and_it_loses_the_purchase(tmp_path: Path) -> None:
    with serve(World(Standing(), ({"nth": [2], "status": 429, "retry_after": 1},))) as server:
        told = iterable_import("p01_purchases_csv", server.urls["iterable"], tmp_path)
    assert [refused["response_status"] for refused in told["refused"]] == [429]
    assert len(server.world.received) == 3
