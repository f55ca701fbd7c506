"""The requests that Iterable's actions make, and the settings that shape them."""

from __future__ import annotations

from typing import Any

import pytest

from engine.plugin import InvalidPipeline, NoAnswer, Response, Secret
from engine.vendors.iterable import Iterable
from tests.vendors.conversations import body, exchange, first_request

CLEAN = Response(200, {}, b'{"successCount": 2, "failCount": 0}')
PLAIN = Response(200, {}, b'{"msg": "", "code": "Success", "params": {"id": "o1"}}')
PURCHASE = {"user": {"email": "a@x.test"}, "items": [{"id": "1", "name": "n", "price": 0, "quantity": 0}], "total": 0}


def iterable(**settings: Any) -> Iterable:
    return Iterable(api_key=Secret("k-1"), **settings)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "https://api.iterable.com/api"),
        ({"data_center": "eu"}, "https://api.eu.iterable.com/api"),
        ({"base_url": "http://127.0.0.1:8700/iterable/api/"}, "http://127.0.0.1:8700/iterable/api"),
        ({"base_url": "http://proxy.test/api", "data_center": "eu"}, "http://proxy.test/api"),
    ],
)
def test_the_base_address_follows_the_data_centre_unless_it_is_given(settings: Any, address: str) -> None:
    assert iterable(**settings).base_url == address


@pytest.mark.parametrize(
    "settings",
    [
        {"data_center": "mars"},
        {"event_id": "sometimes"},
        {"project_type": "mixed"},
        {"dates": "iso"},
        {"created_at": "ms"},
    ],
)
def test_a_setting_that_does_not_exist_is_refused(settings: Any) -> None:
    with pytest.raises(InvalidPipeline):
        iterable(**settings)


def test_the_key_is_a_secret_header() -> None:
    headers = iterable().headers()
    assert headers == {"Api-Key": Secret("k-1")}
    assert "k-1" not in repr(headers)


def test_users_go_out_together() -> None:
    users = [{"email": "a@x.test"}, {"userId": "7", "dataFields": {"n": 12345678901234567890123456789012345678901}}]
    request = first_request(iterable(), "update_user", users)
    assert (request.method, request.path) == ("POST", "/users/bulkUpdate")
    assert set(body(request)) == {"users"}
    assert b"12345678901234567890123456789012345678901" in bytes(request.json["users"].raw[1])


def test_events_go_out_together() -> None:
    events = [{"eventName": "Open", "email": "a@x.test", "id": "e1"}]
    request = first_request(iterable(), "track_event", events)
    assert (request.method, request.path, body(request)) == ("POST", "/events/trackBulk", {"events": events})


def test_a_purchase_goes_out_alone_and_zeros_stay() -> None:
    request = first_request(iterable(), "track_purchase", [PURCHASE])
    assert (request.method, request.path, body(request)) == ("POST", "/commerce/trackPurchase", PURCHASE)
    assert Iterable.actions()["track_purchase"].max_records == 1


def test_limits_and_rates_are_the_services() -> None:
    facts = {name: (a.max_records, a.max_bytes, a.rate) for name, a in Iterable.actions().items()}
    assert facts == {
        "update_user": (1000, 3_800_000, 5),
        "update_email": (1, 3_800_000, 100),
        "merge_users": (1, 3_800_000, 50),
        "delete_user": (1, None, 100),
        "register_device_token": (1, 3_800_000, 500),
        "track_event": (1000, 3_800_000, 10),
        "track_purchase": (1, 3_800_000, 100),
        "update_cart": (1, 3_800_000, 100),
        "subscribe": (1000, 3_800_000, 5),
        "unsubscribe": (1000, 3_800_000, 5),
        "update_subscriptions": (1000, 3_800_000, 5),
        "upsert_catalog_item": (1000, 3_800_000, 100),
    }


# --- flags -------------------------------------------------------------------------------------------

FLAGS = {"prefer_user_id": True, "merge_nested_objects": False, "create_new_fields": True}


def test_flags_that_are_not_set_are_not_sent() -> None:
    assert body(first_request(iterable(), "update_user", [{"email": "a@x.test"}])) == {
        "users": [{"email": "a@x.test"}]
    }


def test_flags_are_sent_with_users_and_the_payloads_own_win() -> None:
    users = [{"email": "a@x.test"}, {"email": "b@x.test", "mergeNestedObjects": True}]
    assert body(first_request(iterable(**FLAGS), "update_user", users)) == {
        "users": [
            {"email": "a@x.test", "preferUserId": True, "mergeNestedObjects": False},
            {"email": "b@x.test", "preferUserId": True, "mergeNestedObjects": True},
        ],
        "createNewFields": True,
    }


def test_a_flags_name_within_the_data_is_not_the_flag() -> None:
    users = [{"email": "a@x.test", "dataFields": {"preferUserId": False}}]
    (sent,) = body(first_request(iterable(prefer_user_id=True), "update_user", users))["users"]
    assert sent == {"email": "a@x.test", "dataFields": {"preferUserId": False}, "preferUserId": True}


def test_flags_keep_every_digit_of_the_data() -> None:
    users = [{"email": "a@x.test", "dataFields": {"n": 12345678901234567890123456789012345678901, "f": 1.10}}]
    request = first_request(iterable(prefer_user_id=True), "update_user", users)
    assert b'{"n":12345678901234567890123456789012345678901,"f":1.1}' in bytes(request.json["users"].raw[0])


def test_flags_of_events_and_purchases_stand_where_the_service_reads_them() -> None:
    event = {"eventName": "Open", "email": "a@x.test"}
    assert body(first_request(iterable(**FLAGS), "track_event", [event])) == {
        "events": [{**event, "createNewFields": True}]
    }
    flags = {"preferUserId": True, "mergeNestedObjects": False, "createNewFields": True}
    assert body(first_request(iterable(**FLAGS), "track_purchase", [PURCHASE])) == {
        **PURCHASE,
        "user": {"email": "a@x.test", **flags},
    }


# --- ids ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("event_id", "filled"), [("auto", True), ("field", False), ("none", False)])
def test_the_engine_fills_ids_only_with_auto(event_id: str, filled: bool) -> None:
    assert iterable(event_id=event_id).stable_ids is filled
    assert [a.name for a in Iterable.actions().values() if a.stable_id == "id"] == ["track_event", "track_purchase"]


def test_only_what_has_an_id_may_be_sent_again() -> None:
    events = [{"eventName": "A", "email": "a@x.test", "id": "e1"}, {"eventName": "B", "email": "a@x.test"}]
    got = exchange(iterable(), "track_event", events, NoAnswer("reset", ambiguous=True))
    assert [record.outcome for record in got.records] == ["again", "unknown"]
    got = exchange(iterable(), "track_event", events, Response(200, {}, b"<html>OK</html>"))
    assert [record.outcome for record in got.records] == ["again", "unknown"]
    got = exchange(iterable(), "track_purchase", [PURCHASE], Response(200, {}, b""))
    assert [record.outcome for record in got.records] == ["unknown"]


# --- whose ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "payload", "key"),
    [
        ("update_user", {"email": "Ada@X.test", "userId": "7"}, "ada@x.test"),
        ("update_user", {"userId": "Ab"}, "Ab"),
        ("track_event", {"eventName": "A", "email": "Ada@X.test"}, "ada@x.test"),
        ("track_purchase", {"user": {"email": "Ada@X.test"}}, "ada@x.test"),
        ("track_purchase", {"user": {"userId": "Ab"}}, "Ab"),
        ("track_purchase", {"user": "nobody"}, None),
    ],
)
def test_a_payload_belongs_to_a_person(action: str, payload: Any, key: Any) -> None:
    whose = Iterable.actions()[action].key
    assert whose is not None
    assert whose(payload) == key


# --- what is said on the way ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("created_at", "said"), [(1_700_000_000_000, True), (1_700_000_000, False), (99_999_999_999, False)]
)
def test_milliseconds_are_noticed(created_at: int, said: bool) -> None:
    events = [{"eventName": "A", "email": "a@x.test", "id": "e", "createdAt": created_at}]
    notes = exchange(iterable(), "track_event", events, CLEAN).notes
    assert [note.code for note in notes] == (["time-in-milliseconds"] if said else [])
    notes = exchange(iterable(), "track_purchase", [{**PURCHASE, "createdAt": created_at}], PLAIN).notes
    assert [note.code for note in notes] == (["time-in-milliseconds"] if said else [])


@pytest.mark.parametrize(
    ("created_at", "said"), [(1_700_000_000_000, False), (1_700_000_000, True), (99_999_999_999, True)]
)
def test_where_milliseconds_are_wanted_seconds_are_noticed(created_at: int, said: bool) -> None:
    vendor = iterable(created_at="milliseconds")
    events = [{"eventName": "A", "email": "a@x.test", "id": "e", "createdAt": created_at}]
    got = exchange(vendor, "track_event", events, CLEAN)
    assert [note.code for note in got.notes] == (["time-in-seconds"] if said else [])
    assert got.request is not None
    assert body(got.request)["events"][0]["createdAt"] == created_at, "values go out as they are"


def test_milliseconds_within_the_data_are_nobodys_business() -> None:
    events = [{"eventName": "A", "email": "a@x.test", "dataFields": {"createdAt": 1_700_000_000_000}}]
    assert exchange(iterable(), "track_event", events, CLEAN).notes == []
