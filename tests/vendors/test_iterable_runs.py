"""Whole runs over the pretend project: what is refused unsent, lists apart, catalogs apart, nobody to delete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.runtime.runs import World

HEAD = """
version: 1
name: shop
sources: {{rows: {{type: file, path: rows.jsonl, key: n}}}}
sinks: {{crm: {{type: iterable, api_key: "${{ITERABLE_API_KEY}}", concurrency: 1{settings}}}}}
mappings:
  all: {{from: rows, to: crm.{action}, fields: "{{{{ record.p }}}}"}}
"""


def world(folder: Path, action: str, payloads: list[Any], settings: str = "", **more: Any) -> World:
    made = World(folder, HEAD.format(action=action, settings=f", {settings}" if settings else ""), **more)
    made.write("rows.jsonl", "".join(json.dumps({"n": n, "p": p}) + "\n" for n, p in enumerate(payloads)))
    return made


def bodies(made: World) -> list[Any]:
    return [msgspec.json.decode(request.body) if request.body else request.url for request in made.requests]


def test_a_list_has_its_own_requests(tmp_path: Path) -> None:
    people = [{"listId": 1 + n % 3, "email": f"u{n}@x.test"} for n in range(1800)]
    made = world(tmp_path, "subscribe", people)
    assert made.run().exit == 0
    sizes = sorted((body["listId"], len(body["subscribers"])) for body in bodies(made))
    assert sizes == [(1, 600), (2, 600), (3, 600)]
    assert all("listId" not in one for body in bodies(made) for one in body["subscribers"])


def test_catalogs_go_apart(tmp_path: Path) -> None:
    items = [{"catalogName": f"c{n % 2}", "id": f"i{n}", "value": {"n": n}} for n in range(2500)]
    made = world(tmp_path, "upsert_catalog_item", items)
    assert made.run().exit == 0
    assert sorted(len(body["documents"]) for body in bodies(made)) == [250, 250, 1000, 1000]
    assert {name: len(held) for name, held in made.vendor.state()["catalogs"].items()} == {"c0": 1250, "c1": 1250}


def test_a_list_that_does_not_exist_halts(tmp_path: Path) -> None:
    made = world(tmp_path, "subscribe", [{"listId": 0, "email": "a@x.test"}])
    outcome = made.run()
    assert (outcome.exit, made.letters) == (3, [])
    assert "invalidListId" in outcome.report["error"]["reason"]


@pytest.mark.parametrize("name", ["a.b", "x" * 256])
def test_what_no_catalog_item_can_be_called_is_alone(name: str, tmp_path: Path) -> None:
    items = [{"catalogName": "c", "id": one, "value": {}} for one in ("a", name, "b")]
    made = world(tmp_path, "upsert_catalog_item", items)
    assert made.run().exit == 1
    assert [(x["origin"]["line"], x["stage"], x["code"]) for x in made.letters] == [(2, "payload", "invalid-payload")]


def test_what_the_project_cannot_take_is_never_sent(tmp_path: Path) -> None:
    people = [{"userId": "u1"}, {"email": "a@x.test"}, {"email": "b@x.test", "userId": "u2"}]
    made = world(tmp_path, "update_user", people, "project_type: user_id")
    outcome = made.run()
    assert (outcome.exit, outcome.report["mappings"]["all"]["delivered"]) == (1, 2)
    assert bodies(made) == [{"users": [people[0], people[2]]}]
    (letter,) = made.letters
    assert (letter["stage"], letter["code"], letter["payload"]) == ("payload", "wrong-identifier", people[1])
    assert letter["reason"].startswith("userId: ")


def test_an_address_is_changed_only_where_that_is_possible(tmp_path: Path) -> None:
    from engine.runners.local import PlanFailed

    change = [{"currentEmail": "a@x.test", "newEmail": "b@x.test"}]
    with pytest.raises(PlanFailed, match="update_email"):
        world(tmp_path, "update_email", change, "project_type: hybrid").run()


def test_ids_are_asked_for_before_anything_is_sent(tmp_path: Path) -> None:
    events = [{"eventName": "A", "email": "a@x.test", "id": "e1"}, {"eventName": "B", "email": "a@x.test"}]
    made = world(tmp_path, "track_event", events, "event_id: field")
    assert made.run().exit == 1
    assert bodies(made) == [{"events": events[:1]}]
    assert [letter["code"] for letter in made.letters] == ["missing-id"]


def test_deletions_that_find_nobody_are_deliveries_with_a_warning(tmp_path: Path) -> None:
    made = world(tmp_path, "delete_user", [{"email": "a@x.test"}, {"userId": ".."}, {"userId": "u/1"}])
    made.vendor.people.upsert({"userId": "u/1"}, {})
    outcome = made.run()
    assert (outcome.exit, outcome.report["mappings"]["all"]["delivered"]) == (1, 2)
    assert [(x["origin"]["line"], x["code"]) for x in made.letters] == [(2, "bad-identifier")]
    assert sorted(bodies(made))[1].endswith("/api/users/byUserId/u%2F1")
    assert made.vendor.state()["users"] == []
    assert any("was-not-there" in note for note in outcome.report["warnings"])


def test_a_lost_answer_about_an_address_is_unknown_and_that_about_a_list_is_asked_again(tmp_path: Path) -> None:
    lost = [{"nth": [1], "reset": "after"}]
    made = world(tmp_path, "update_email", [{"currentEmail": "a@x.test", "newEmail": "b@x.test"}], faults=lost)
    made.vendor.people.upsert({"email": "a@x.test"}, {})
    assert made.run().report["mappings"]["all"]["unknown"] == 1
    assert [one["email"] for one in made.vendor.state()["users"]] == ["b@x.test"]
    other = tmp_path / "other"
    other.mkdir()
    made = world(other, "subscribe", [{"listId": 1, "email": "a@x.test"}], faults=lost)
    assert made.run().report["mappings"]["all"]["delivered"] == 1
    assert len(made.requests) == 2
