"""Visitors from Python: recorded answers, the file's polls, and what the SDK leaves undone."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from engine.plugin import InvalidPipeline, NoAnswer
from engine.python.flagship import Config, Event, EventCategory, Page, Preset, Screen, Transaction
from engine.vendors.flagship import Visitor
from engine.vendors.flagship_client import LoggingHandler
from tests.vendors.flagship.files import campaign as campaign_of_file
from tests.vendors.flagship.files import file, group, variation
from tests.vendors.flagship.golden import rows
from tests.vendors.flagship.scripted import Cache, Handler, Kept, Server, campaign, client, route

DECISIONS = rows("decision_responses")
POLLING = rows("polling")


def held(visitor: Visitor) -> dict[str, Any]:
    """As the recorder writes it: key → value, campaign, group, variation, reference."""
    decision = visitor._held
    return {key: [value, *decision.info[key].values()] for key, value in decision.values.items()}


# --- recorded answers of the Decision API -----------------------------------------------------------------------


@pytest.mark.parametrize("row", DECISIONS, ids=[row["id"] for row in DECISIONS])
def test_a_run_of_answers_leaves_what_was_recorded(row: dict[str, Any]) -> None:
    """Repairs of 12.2: item 5, keys that are no longer given go; item 7, an error status decides nothing."""
    server = Server({"campaigns": row["responses"]})
    visitor = client(server).create_visitor("x")
    kept: Any = {}
    for response, after in zip(row["responses"], row["after"], strict=True):
        outcome = visitor.synchronize_modifications()
        failed = response["status"] >= 400
        assert outcome[0] is (False if failed else (True if after["ok"] is None else after["ok"]))
        if not failed and not after.get("panic"):
            kept = after.get("fresh", after["held"])
        assert (held(visitor), visitor.panic) == (kept, after.get("panic", False))
        events = sum(route(request) == "events" for request in server.taken())
        assert events == (after["context_event"] if not after.get("raises") else 1)


def test_all_recorded_answers_are_looked_at() -> None:
    assert (len(DECISIONS), len(POLLING)) == (14, 4)


@pytest.mark.parametrize("panic", [None, "yes", 1])
def test_only_true_is_panic_and_other_values_spoil_the_answer(panic: Any) -> None:
    server = Server({"campaigns": [{"status": 200, "body": {"panic": panic, "campaigns": [campaign(1, a=1)]}}]})
    visitor = client(server).create_visitor("x")
    assert visitor.synchronize_modifications() == (True, "")
    assert (held(visitor), visitor.panic) == ({}, False)


@pytest.mark.parametrize(("body", "ok"), [("", True), ("null", True), ("[]", True), ("7", False), ("{", False)])
def test_odd_bodies(body: str, ok: bool) -> None:
    visitor = client(Server({"campaigns": [{"status": 200, "body": body}]})).create_visitor("x")
    assert visitor.synchronize_modifications()[0] is ok


def test_a_lost_connection_is_told_and_never_raised() -> None:
    lost = [{"lost": True}]
    handler = Handler()
    visitor = client(
        Server({"campaigns": [{"status": 200, "body": {"campaigns": [campaign(1, a=1)]}}], "activate": lost,
                "collect": lost, "events": lost}), event_handler=handler,
    ).create_visitor("x")  # fmt: skip
    assert visitor.synchronize_modifications() == (True, "")
    assert visitor.activate_modification("a") == (False, "the connection was lost")
    assert visitor.send_hit(Screen("home")) == (False, "the connection was lost")
    assert handler.levels() == [40]


# --- reading flags ----------------------------------------------------------------------------------------------


def test_flags_are_read_and_activated_as_recorded() -> None:
    recorded = rows("get_modification")
    assert len(recorded) == 99
    stored = {row["key"]: row["stored"] for row in recorded if row.get("present")}
    server = Server({"campaigns": [{"status": 200, "body": {"campaigns": [campaign(1, **stored)]}}]})
    visitor = client(server).create_visitor("x")
    visitor.synchronize_modifications()
    for row in recorded:
        server.taken()
        if "info" in row:
            assert (visitor.get_modification_info(row["key"]) is None) is (row["info"] is None), row
            continue
        value = visitor.get_modification(row["key"], row["default"], row["activate"])
        assert value == row["returns"] and type(value) is type(row["returns"]), row
        assert [route(request) for request in server.taken()] == ["activate"] * row["activations"], row


def test_a_value_of_another_kind_can_give_the_default_and_then_is_not_exposed() -> None:
    server = Server({"campaigns": [{"status": 200, "body": {"campaigns": [campaign(1, a="text")]}}]})
    visitor = client(server, type_mismatch="default").create_visitor("x")
    visitor.synchronize_modifications()
    server.taken()
    assert visitor.get_modification("a", 5, activate=True) == 5
    assert visitor.get_modification("a", "d", activate=True) == "text"
    assert len(server.taken()) == 1


# --- the file ---------------------------------------------------------------------------------------------------


def served(reply: dict[str, Any]) -> dict[str, Any]:
    """A reply of `polling.jsonl`: a file whose one flag is `n`."""
    headers = {"Last-Modified": reply["last_modified"]} if reply["last_modified"] else {}
    content: Any = (
        {"panic": True}
        if reply["panic"]
        else file(campaign_of_file("c", group("g", variation("v", 100, n=reply["n"]))))
    )
    return {"status": reply["status"], "headers": headers, "body": content if reply["status"] == 200 else ""}


@pytest.mark.parametrize("row", POLLING, ids=[row["id"] for row in POLLING])
def test_polls_follow_the_file_as_recorded(row: dict[str, Any]) -> None:
    server = Server({"cdn": [served(reply) for reply in row["replies"]]})
    started = client(server, mode="bucketing")
    for number, state in enumerate(row["states"]):
        if number:
            started.poll()
        asked = [request.headers.get("If-Modified-Since") for request in server.taken() if route(request) == "cdn"]
        visitor = started.create_visitor("v")
        visitor.synchronize_modifications()
        seen = (asked, visitor.panic, visitor.get_modification("n", "default"))
        server.taken()
        if row["id"] == "start_in_panic_then_304_then_normal" and number >= 3:
            # 12.2, item 6: panic is what the present file says
            assert seen == (state["if_modified_since"], False, 2)
        else:
            assert seen == (state["if_modified_since"], state["panic"], state["n"]), number


GOOD = {"status": 200, "headers": {"Last-Modified": "Mon, 01 Jan 2024 00:00:01 GMT", "ETag": '"1"'},
        "body": file(campaign_of_file("c", group("g", variation("v", 100, n=1))))}  # fmt: skip


@pytest.mark.parametrize(
    "reply",
    [{"lost": True}, {"status": 200, "body": "{cut"}, {"status": 200, "body": ""}, {"status": 200, "body": []},
     {"status": 503}, {"status": 404}, {"status": 304}],
    ids=["lost", "cut", "empty", "array", "503", "404", "304"],
)  # fmt: skip
def test_a_poll_that_fails_keeps_the_file_and_the_next_one_works(reply: dict[str, Any]) -> None:
    handler = Handler()
    newer = {**GOOD, "body": file(campaign_of_file("c", group("g", variation("v", 100, n=2))))}
    server = Server({"cdn": [GOOD, reply, newer]})
    started = client(server, mode="bucketing", event_handler=handler)
    visitor = started.create_visitor("v")
    handler.levels()
    assert started.poll() is False
    assert handler.levels() == ([] if reply.get("status") == 304 else [30])
    visitor.synchronize_modifications()
    assert visitor.get_modification("n", 0) == 1
    assert started.poll() is True
    visitor.synchronize_modifications()
    assert visitor.get_modification("n", 0) == 2
    assert server.requests[1].headers["If-None-Match"] == '"1"'


@pytest.mark.parametrize("reply", [{"status": 304}, {"lost": True}, {"status": 404}, {"status": 200, "body": "{"}])
def test_without_a_file_nobody_is_given_anything_and_it_is_told(reply: dict[str, Any]) -> None:
    handler = Handler()
    started = client(Server({"cdn": [reply, GOOD]}), mode="bucketing", event_handler=handler)
    assert 40 in handler.levels()
    visitor = started.create_visitor("v")
    assert visitor.synchronize_modifications() == (True, "")
    assert visitor.get_modification("n", 0) == 0
    started.poll()
    visitor.synchronize_modifications()
    assert visitor.get_modification("n", 0) == 1


def test_the_copy_is_kept_by_environment() -> None:
    kept = Kept()
    client(Server({"cdn": [GOOD]}), env_id="a", mode="bucketing", kept=kept)
    other = Server({"cdn": [{"status": 304}]})
    started = client(other, env_id="b", mode="bucketing", kept=kept)
    assert "If-Modified-Since" not in other.requests[0].headers
    assert started.file.decider is None
    again = client(Server({"cdn": [{"lost": True}]}), env_id="a", mode="bucketing", kept=kept)
    assert again.file.decider is not None


def test_a_client_polls_by_itself_until_it_is_stopped() -> None:
    started = client(Server({"cdn": [GOOD]}), mode="bucketing", polling_interval=3600)
    assert started._polling is not None and started._polling.is_alive()
    started.stop()
    assert not started._polling.is_alive()


def test_assignments_survive_changed_allocations() -> None:
    cache = Cache()
    halves = file(campaign_of_file("c", group("g", variation("v1", 50, n=1), variation("v2", 50, n=2))))
    moved = file(campaign_of_file("c", group("g", variation("v1", 0, n=1), variation("v2", 100, n=2))))
    ids = [f"visitor-{number}" for number in range(60)]

    def values(content: Any, cache: Cache | None) -> list[int]:
        started = client(
            Server({"cdn": [{"status": 200, "body": content}]}), mode="bucketing", visitor_cache_manager=cache
        )
        found = []
        for visitor in map(started.create_visitor, ids):
            visitor.synchronize_modifications()
            found.append(visitor.get_modification("n", 0))
        return found

    before = values(halves, cache)
    assert set(before) == {1, 2}
    assert values(moved, cache) == before
    assert set(values(moved, None)) == {2}


# --- visitors ---------------------------------------------------------------------------------------------------


def test_the_words_of_the_sdk() -> None:
    server = Server({})
    visitor = Visitor.create(
        client(server), "ada", authenticated=True, context={Preset.LOCATION_CITY: "Lyon", "n": 1}
    )
    assert visitor.get_context()["sdk_city"] == "Lyon"
    assert (visitor.visitor_id, len(visitor.anonymous_id or "")) == ("ada", 19)
    visitor.send_hit(Event(EventCategory.USER_ENGAGEMENT, "click").with_event_label("l").with_event_value(3))
    assert json.loads(server.requests[-1].body)["ec"] == "User Engagement"


def test_a_hit_that_breaks_a_limit_is_refused_with_its_field() -> None:
    server, handler = Server({}), Handler()
    visitor = client(server, event_handler=handler).create_visitor("ada")
    assert visitor.send_hit(Page("nowhere")) == (
        False, "page hit: location must be an absolute http or https address with a host and without blanks.",
    )  # fmt: skip
    assert visitor.send_hit("no hit")[0] is False  # type: ignore[arg-type]
    assert visitor.send_hit(Transaction("t", "a").with_currency("x" * 11))[0] is False
    assert (server.requests, handler.levels()) == ([], [40])
    assert visitor.send_hit(Event("ACTION_TRACKING", "a").with_event_value(-1)) == (True, "200")
    assert "ev" not in json.loads(server.requests[-1].body)
    assert handler.levels() == [30]


def test_only_campaigns_have_the_configured_timeout_and_the_key() -> None:
    server = Server({"campaigns": [{"status": 200, "body": {"campaigns": [campaign(1, a=1)]}}]})
    visitor = client(server, timeout=0.5).create_visitor("ada")
    visitor.synchronize_modifications()
    visitor.activate_modification("a")
    visitor.send_hit(Screen("home"))
    assert server.timeouts == [0.5, 30.0, 30.0, 30.0]
    assert [("x-api-key" in request.headers) for request in server.requests] == [True, False, False, False]
    assert [("x-sdk-client" in request.headers) for request in server.requests] == [True, True, True, False]


def test_blank_presets_need_not_be_sent() -> None:
    server = Server({})
    client(server, blank_presets=False).create_visitor("ada", context={"plan": "pro"}).synchronize_modifications()
    assert json.loads(server.requests[0].body)["context"] == {"plan": "pro"}


@pytest.mark.parametrize(
    "wrong",
    [{"polling_interval": 0.1}, {"polling_interval": "60"}, {"polling_interval": True}, {"timeout": 0},
     {"timeout": -1}, {"polling_interval": -1}, {"mode": "api"}],
)  # fmt: skip
def test_a_wrong_configuration_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidPipeline):
        Config(**wrong)


def test_without_a_handler_it_goes_to_pythons_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "flagship"):
        LoggingHandler().on_log(30, "words")
        LoggingHandler().on_exception_raised(NoAnswer("lost"), "trace")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (30, "words"),
        (50, "lost\ntrace"),
    ]
