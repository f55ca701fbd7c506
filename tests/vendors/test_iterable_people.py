"""Single people: addresses, merging, deletion, devices, carts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.plugin import InvalidPipeline, NoAnswer, Response, Secret
from engine.vendors.iterable import Iterable
from tests.vendors.conversations import SENT, body, exchange, first_request

ACTIONS = Iterable.actions()
PLAIN = Response(200, {}, b'{"msg": "", "code": "Success", "params": null}')
ITEM = {"id": "1", "name": "n", "price": 0, "quantity": 0}
DEVICE = {"token": "t", "platform": "GCM", "applicationName": "app"}
PAYLOADS = {
    "update_email": {"currentEmail": "a@x.test", "newEmail": "b@x.test"},
    "merge_users": {"sourceUserId": "u1", "destinationUserId": "u2", "arrayMerge": [{"field": "tags"}]},
    "register_device_token": {"email": "a@x.test", "device": DEVICE},
    "update_cart": {"user": {"email": "a@x.test"}, "items": [ITEM]},
}
PATHS = {
    "update_email": "/users/updateEmail",
    "merge_users": "/users/merge",
    "register_device_token": "/users/registerDeviceToken",
    "update_cart": "/commerce/updateCart",
}


def iterable(**settings: Any) -> Iterable:
    return Iterable(api_key=Secret("k-1"), **settings)


def said(status: int, code: str, msg: str = "") -> Response:
    return Response(status, {}, json.dumps({"msg": msg, "code": code, "params": None}).encode())


@pytest.mark.parametrize("action", PAYLOADS)
def test_a_payload_goes_out_alone_and_as_it_is(action: str) -> None:
    request = first_request(iterable(), action, [PAYLOADS[action]])
    assert (request.method, request.path, body(request)) == ("POST", PATHS[action], PAYLOADS[action])
    assert ACTIONS[action].max_records == 1
    assert exchange(iterable(), action, [PAYLOADS[action]], PLAIN).records == [SENT]


def test_flags_of_carts_and_devices_stand_where_the_service_reads_them() -> None:
    vendor = iterable(prefer_user_id=True, merge_nested_objects=False, create_new_fields=True)
    cart = body(first_request(vendor, "update_cart", [PAYLOADS["update_cart"]]))
    flags = {"preferUserId": True, "mergeNestedObjects": False, "createNewFields": True}
    assert cart == {"user": {"email": "a@x.test", **flags}, "items": [ITEM]}
    device = body(first_request(vendor, "register_device_token", [PAYLOADS["register_device_token"]]))
    assert device == {**PAYLOADS["register_device_token"], "preferUserId": True}


# --- deletion -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("user", "path"),
    [
        ({"email": "ada+x@x.test"}, "/users/ada%2Bx%40x.test"),
        ({"email": "a/b%2F@x.test"}, "/users/a%2Fb%252F%40x.test"),
        ({"userId": "u 1?#&"}, "/users/byUserId/u%201%3F%23%26"),
        ({"userId": "../users"}, "/users/byUserId/..%2Fusers"),
        ({"userId": "byUserId"}, "/users/byUserId/byUserId"),
    ],
)
def test_a_deletion_names_the_person_in_its_path(user: Any, path: str) -> None:
    request = first_request(iterable(), "delete_user", [user])
    assert (request.method, request.path, request.json) == ("DELETE", path, None)


@pytest.mark.parametrize(
    "answer",
    [
        said(400, "BadParams", "User does not exist"),
        said(400, "UnknownEmailError"),
        said(400, "GenericError", "error.users.noUserWithIdExists"),
    ],
)
def test_whoever_is_not_there_counts_as_deleted(answer: Response) -> None:
    got = exchange(iterable(), "delete_user", [{"email": "a@x.test"}], answer)
    assert (got.records, [note.code for note in got.notes]) == ([SENT], ["was-not-there"])
    assert "@" not in got.notes[0].text


def test_other_refusals_of_a_deletion_are_final() -> None:
    got = exchange(iterable(), "delete_user", [{"email": "bad"}], said(400, "InvalidEmailAddressError"))
    assert [(r.outcome, r.code) for r in got.records] == [("rejected", "invalid-identifier")]


def test_a_person_who_is_only_named_and_refused_is_not_taken_for_deleted() -> None:
    got = exchange(iterable(), "update_user", [{"email": "a@x.test"}], said(400, "BadParams"))
    assert [(r.outcome, r.code) for r in got.records] == [("rejected", "refused")]


# --- sent twice --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "outcome"),
    [("update_email", "unknown"), ("merge_users", "unknown"), ("register_device_token", "again"),
     ("update_cart", "again")],
)  # fmt: skip
def test_after_a_lost_answer_only_what_is_safe_goes_again(action: str, outcome: str) -> None:
    got = exchange(iterable(), action, [PAYLOADS[action]], NoAnswer("reset", ambiguous=True))
    assert [record.outcome for record in got.records] == [outcome]


@pytest.mark.parametrize("action", ["update_email", "merge_users"])
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (said(400, "UnknownEmailError"), "not-found"),
        (said(400, "EmailAlreadyExists"), "conflict"),
        (said(400, "BadParams"), "refused"),
    ],
)
def test_what_cannot_be_changed_is_refused_with_its_reason(action: str, answer: Response, code: str) -> None:
    got = exchange(iterable(), action, [PAYLOADS[action]], answer)
    assert [(r.outcome, r.code) for r in got.records] == [("rejected", code)]


# --- whose, and for which projects -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "payload", "key"),
    [
        ("update_email", {"currentEmail": "Ada@x.test", "newEmail": "b@x.test"}, "ada@x.test"),
        ("update_email", {"currentUserId": "Ab", "newEmail": "b@x.test"}, "Ab"),
        ("merge_users", {"sourceEmail": "s@x.test", "destinationEmail": "D@x.test"}, "d@x.test"),
        ("merge_users", {"sourceEmail": "s@x.test", "destinationUserId": "D"}, "D"),
        ("delete_user", {"userId": "Ab"}, "Ab"),
        ("register_device_token", {"email": "Ada@x.test"}, "ada@x.test"),
        ("update_cart", {"user": {"email": "Ada@x.test"}}, "ada@x.test"),
    ],
)
def test_a_payload_belongs_to_a_person(action: str, payload: Any, key: str) -> None:
    whose = ACTIONS[action].key
    assert whose is not None
    assert whose(payload) == key


@pytest.mark.parametrize(
    ("project", "refused"), [("user_id", True), ("hybrid", True), ("email", False), (None, False)]
)
def test_addresses_change_so_in_projects_by_address_only(project: str | None, refused: bool) -> None:
    vendor = iterable(project_type=project)
    vendor.expects("update_user", ())
    if refused:
        with pytest.raises(InvalidPipeline, match="update_user"):
            vendor.expects("update_email", ())
    else:
        vendor.expects("update_email", ())
