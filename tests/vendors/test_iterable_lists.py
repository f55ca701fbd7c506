"""Lists and subscriptions: a request per list, and what its answer means for each person."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plugin import Response, Secret
from engine.vendors.iterable import Iterable
from tests.vendors.conversations import SENT, body, deliver, exchange, first_request
from tests.vendors.test_iterable_truth import (
    FORGOTTEN,
    WAYS,
    clear,
    deprecated_only,
    named_once,
    project,
    send,
    through,
)

ACTIONS = Iterable.actions()


def iterable(**settings: Any) -> Iterable:
    return Iterable(api_key=Secret("k-1"), **settings)


def answer(success: int, fail: int, **more: Any) -> Response:
    return Response(200, {}, json.dumps({"successCount": success, "failCount": fail, **more}).encode())


# --- requests -------------------------------------------------------------------------------------------


def test_people_join_a_list_with_their_data_and_flags() -> None:
    people = [
        {"listId": 5, "email": "a@x.test", "dataFields": {"n": 1}},
        {"listId": 5, "userId": "u1", "mergeNestedObjects": False},
    ]
    request = first_request(iterable(prefer_user_id=True, merge_nested_objects=True), "subscribe", people)
    assert (request.method, request.path) == ("POST", "/lists/subscribe")
    assert body(request) == {
        "listId": 5,
        "subscribers": [
            {"email": "a@x.test", "dataFields": {"n": 1}, "preferUserId": True, "mergeNestedObjects": True},
            {"userId": "u1", "preferUserId": True, "mergeNestedObjects": False},
        ],
    }


def test_what_is_the_requests_stands_beside_the_people() -> None:
    joining = [{"listId": 5, "email": "a@x.test", "updateExistingUsersOnly": True}]
    assert body(first_request(iterable(), "subscribe", joining)) == {
        "listId": 5,
        "updateExistingUsersOnly": True,
        "subscribers": [{"email": "a@x.test"}],
    }
    leaving = [{"email": "a@x.test", "channelUnsubscribe": True, "campaignId": 7, "listId": 5}]
    request = first_request(iterable(prefer_user_id=True), "unsubscribe", leaving)
    assert (request.path, body(request)) == (
        "/lists/unsubscribe",
        {"listId": 5, "campaignId": 7, "channelUnsubscribe": True, "subscribers": [{"email": "a@x.test"}]},
    )


def test_subscriptions_go_out_as_they_are() -> None:
    wishes = [{"email": "a@x.test", "emailListIds": [], "validateChannelAlignment": False}, {"userId": "u"}]
    request = first_request(iterable(prefer_user_id=True), "update_subscriptions", wishes)
    assert (request.path, body(request)) == (
        "/users/bulkUpdateSubscriptions",
        {"updateSubscriptionsRequests": wishes},
    )


@pytest.mark.parametrize(
    ("action", "one", "other", "together"),
    [
        ("subscribe", {"listId": 1}, {"listId": 1}, True),
        ("subscribe", {"listId": 1}, {"listId": 2}, False),
        ("subscribe", {"listId": 1}, {"listId": 1, "updateExistingUsersOnly": True}, False),
        ("unsubscribe", {"listId": 1, "campaignId": 3}, {"listId": 1, "campaignId": 3}, True),
        ("unsubscribe", {"listId": 1}, {"listId": 1, "campaignId": 3}, False),
        ("unsubscribe", {"listId": 1, "channelUnsubscribe": True}, {"listId": 1}, False),
    ],
)
def test_what_shares_a_request_agrees_in_all_that_is_the_requests(
    action: str, one: Any, other: Any, together: bool
) -> None:
    group = ACTIONS[action].group
    assert group is not None
    assert (group({**one, "email": "a@x.test"}) == group({**other, "userId": "u"})) is together


# --- answers ----------------------------------------------------------------------------------------------


def test_leaving_alone_and_unknown_is_success() -> None:
    reply = answer(0, 1, failedUpdates={"notFoundEmails": ["a@x.test"]})
    got = exchange(iterable(), "unsubscribe", [{"listId": 5, "email": "a@x.test"}], reply)
    assert (got.records, [note.code for note in got.notes]) == ([SENT], ["was-not-there"])


def test_leaving_with_a_malformed_address_is_still_refused() -> None:
    reply = answer(0, 2, failedUpdates={"notFoundEmails": ["a@x.test"], "invalidEmails": ["bad"]})
    rows = [{"listId": 5, "email": "a@x.test"}, {"listId": 5, "email": "bad"}]
    got = exchange(iterable(), "unsubscribe", rows, reply)
    assert [(r.outcome, r.code) for r in got.records] == [("sent", ""), ("rejected", "invalid-identifier")]


@pytest.mark.parametrize("rows", [["a"], ["a", "b"]])
def test_an_internal_failure_is_tried_again_also_alone(rows: list[str]) -> None:
    reply = answer(len(rows) - 1, 1, invalidEmails=[], validEmailFailures=["A@x.test"])
    wishes = [{"email": f"{name}@x.test", "emailListIds": [1]} for name in rows]
    got = exchange(iterable(), "update_subscriptions", wishes, reply)
    assert [(r.outcome, r.code) for r in got.records][:1] == [("again", "internal")]
    assert all(record == SENT for record in got.records[1:])


# --- against the pretend project ------------------------------------------------------------------------------

PEOPLE = st.one_of(
    st.fixed_dictionaries({"email": st.sampled_from(["taken@x.test", "Taken@x.test", "b@x.test", "bad..x@", FORGOTTEN[0]])}),
    st.fixed_dictionaries({"userId": st.sampled_from(["taken", "u2", "trailing ", FORGOTTEN[1]])}),
)  # fmt: skip
ROWS = st.lists(PEOPLE, min_size=1, max_size=10)


def on_list(vendor: Any, number: int) -> set[str]:
    people = [p for p in vendor.state()["users"] if number in p.get("lists", [])]
    return {p[name] for p in people for name in ("email", "userId") if p[name]}


def named(row: Any) -> str:
    return row["email"].lower() if "email" in row else row["userId"]


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from(WAYS), st.booleans())
def test_whoever_is_called_delivered_is_on_the_list(rows: list[Any], way: Callable[[Any], Any], known: bool) -> None:
    vendor = project()
    payloads = [{**row, "listId": 5, "updateExistingUsersOnly": known} for row in rows]
    done = deliver(iterable(), "subscribe", payloads, through(vendor, way))
    for row, verdict in zip(rows, done.records, strict=True):
        assert verdict.outcome in ("sent", "rejected", "dropped")
        assert (verdict.outcome == "sent") is (named(row) in on_list(vendor, 5)), (row, verdict)


@settings(max_examples=60, deadline=None)
@given(ROWS, st.sampled_from([clear, named_once, deprecated_only]))
def test_whoever_is_called_delivered_has_left(rows: list[Any], way: Callable[[Any], Any]) -> None:
    vendor = project()
    joined = {"listId": 5, "subscribers": [{"email": "taken@x.test"}, {"userId": "taken"}, {"email": "b@x.test"}]}
    assert send(vendor, "/lists/subscribe", joined).json()["failCount"] == 0
    before = on_list(vendor, 5)
    done = deliver(iterable(), "unsubscribe", [{**row, "listId": 5} for row in rows], through(vendor, way))
    left = before - on_list(vendor, 5)
    for row, verdict in zip(rows, done.records, strict=True):
        malformed = named(row) in ("bad..x@", "trailing ")
        assert verdict.outcome == ("rejected" if malformed else "dropped" if named(row) in FORGOTTEN else "sent")
    assert left == {named(row) for row in rows} & before


@settings(max_examples=40, deadline=None)
@given(ROWS)
def test_subscriptions_are_stored_or_refused(rows: list[Any]) -> None:
    vendor = project()
    payloads = [{**row, "emailListIds": [index + 1]} for index, row in enumerate(rows)]
    done = deliver(iterable(), "update_subscriptions", payloads, vendor.handle)
    last = {named(row): index + 1 for index, row in enumerate(rows)}
    for row, verdict in zip(rows, done.records, strict=True):
        assert (verdict.outcome == "sent") is (named(row) in on_list(vendor, last[named(row)])), (row, verdict)


BULK = {
    "update_user": {"email": "{}@x.test"}, "track_event": {"eventName": "Open", "id": "{}", "email": "{}@x.test"},
    "subscribe": {"email": "{}@x.test", "listId": 1}, "unsubscribe": {"email": "{}@x.test", "listId": 1},
    "update_subscriptions": {"email": "{}@x.test", "emailListIds": [1]},
}  # fmt: skip


def test_these_are_all_that_go_in_bulk_and_are_counted() -> None:
    assert {name for name, action in ACTIONS.items() if action.max_records > 1} == {*BULK, "upsert_catalog_item"}


@pytest.mark.parametrize("action", BULK)
@pytest.mark.parametrize(("success", "fail"), [(4, 0), (3, 1), (2, 0), (0, 4), (-1, 0), (3, -1)])
def test_counts_that_do_not_add_up_deliver_nothing(action: str, success: int, fail: int) -> None:
    rows = [{k: v.format(n) if isinstance(v, str) else v for k, v in BULK[action].items()} for n in range(3)]
    said = json.dumps({"successCount": success, "failCount": fail}).encode()
    got = exchange(iterable(), action, rows, Response(200, {}, said))
    assert {verdict.outcome for verdict in got.records} == {"again"}
    alone = exchange(iterable(), action, rows[:1], Response(200, {}, said))
    assert [verdict.outcome for verdict in alone.records] == ["unknown"]
