"""The Iterable examples in `pipelines/`, run against the pretend project: what is there afterwards, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.runs import World

PIPELINES = Path(__file__).parents[2] / "pipelines"
NAMES = sorted(path.stem for path in PIPELINES.glob("iterable-*.yaml"))
EXPECTED = {  # exit code, and the lines of the source that are refused, with their codes
    "iterable-catalog": (1, {5: "invalid-payload"}),
    "iterable-changes": (0, {}),
    "iterable-events": (1, {5: "invalid-payload"}),
    "iterable-purchases": (0, {}),
    "iterable-subscriptions": (1, {6: "invalid-identifier"}),
    "iterable-users": (1, {6: "invalid-identifier", 8: "bad-value"}),
}


def ran(name: str, folder: Path) -> tuple[int, dict[int, str], Any]:
    """Exit code, refused lines, and the project's state."""
    shutil.copytree(PIPELINES / "data", folder / "data")
    world = World(folder)
    outcome = world.run((PIPELINES / f"{name}.yaml").read_text("utf-8"))
    path = Path(outcome.report["dead_letters"]["path"])
    path = path if path.is_absolute() else folder / path
    letters = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
    return outcome.exit, {x["origin"]["line"]: x["code"] for x in letters}, world.vendor.state()


def person(state: Any, **who: str) -> Any:
    (found,) = [one for one in state["users"] if who.items() <= one.items()]
    return found


def test_the_table_names_them_all() -> None:
    assert sorted(EXPECTED) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_example_ends_as_its_comments_say(name: str, tmp_path: Path) -> None:
    code, refused, _ = ran(name, tmp_path)
    assert (code, refused) == EXPECTED[name]


def test_users(tmp_path: Path) -> None:
    _, _, state = ran("iterable-users", tmp_path)
    assert len(state["users"]) == 6
    ada = person(state, userId="1001")
    assert ada["email"] == "ada.king@example.com"
    assert ada["dataFields"] == {
        "firstName": "Ada", "address": {"city": "London"}, "plan": "pro", "newsletter": True, "joined": "2023-02-11",
        "lastSeen": "2024-05-01 18:22:09 +00:00", "spent": 310.5, "tags": ["books", "music"],
    }  # fmt: skip
    assert person(state, userId="1002")["dataFields"]["lastSeen"] == "2024-04-30T07:10:00.250+00:00"
    assert person(state, userId="1003")["email"] is None
    assert "newsletter" not in person(state, userId="1004")["dataFields"]


def test_events(tmp_path: Path) -> None:
    _, _, state = ran("iterable-events", tmp_path)
    assert [event["eventName"] for event in state["events"]].count("Added to cart") == 2
    assert not any(event["eventName"] == "Heartbeat" for event in state["events"])
    (cart,) = [e for e in state["events"] if e["eventName"] == "Added to cart" and e["userId"] == "1008"]
    assert [line["sku"] for line in cart["dataFields"]["lines"]] == ["K-17", "K-18"]


def test_purchases(tmp_path: Path) -> None:
    _, _, state = ran("iterable-purchases", tmp_path)
    assert {purchase["id"]: purchase["total"] for purchase in state["purchases"]} == {"o-501": 9.5, "o-503": 176}
    assert [item["id"] for item in person(state, userId="1003")["cart"]] == ["K-17"]


def test_subscriptions(tmp_path: Path) -> None:
    _, _, state = ran("iterable-subscriptions", tmp_path)
    assert {one["email"]: one.get("lists", []) for one in state["users"]} == {
        "ada.king@example.com": [101, 102],
        "barbara@example.com": [],
        "grace@example.org": [102],
        "hedy@example.net": [101],
    }
    assert person(state, email="barbara@example.com")["unsubscribedChannelIds"] == [3, 7]


def test_catalog(tmp_path: Path) -> None:
    _, _, state = ran("iterable-catalog", tmp_path)
    books = state["catalogs"]["books"]
    assert (books["978-0141439518"]["price"], books["978-0141439518"]["inStock"]) == (8.75, True)
    assert state["catalogs"]["shops"]["S-1"]["place_geo_location"] == {"lat": 51.505, "lon": -0.09}
    assert state["catalogs"]["shops"]["S-1"]["updated"] == "2024-04-02 08:00:00 +00:00"


def test_changes(tmp_path: Path) -> None:
    _, _, state = ran("iterable-changes", tmp_path)
    assert sorted(one["userId"] for one in state["users"]) == ["2001", "2002"]
    assert person(state, userId="2002") == {"email": None, "userId": "2002", "dataFields": {"plan": "free"}}
    tim = person(state, userId="2001")
    assert (tim["email"], tim["dataFields"]["plan"]) == ("tim.berners@example.com", "team")
    assert [device["token"] for device in tim["devices"]] == ["f00d"]
