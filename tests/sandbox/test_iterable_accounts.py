"""Addresses, merging, deletion and devices in the pretend Iterable."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.helpers import Caller


def people(caller: Caller) -> list[tuple[str | None, str | None]]:
    return [(p["email"], p["userId"]) for p in caller.state()["users"]]


def caller_with(*rows: Any, **settings: Any) -> Caller:
    caller = Caller(**settings)
    assert caller.users(*rows)["failCount"] == 0
    return caller


# --- addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", [{"currentEmail": "Old@x.test"}, {"currentUserId": "u1"},
                                 {"currentEmail": "old@x.test", "currentUserId": "nobody"}])  # fmt: skip
def test_an_address_changes_and_the_old_one_is_free(who: Any) -> None:
    caller = caller_with({"email": "old@x.test", "userId": "u1"})
    assert caller.told("/users/updateEmail", {**who, "newEmail": "New@x.test"})["status"] == 200
    assert people(caller) == [("new@x.test", "u1")]
    caller.users({"email": "old@x.test"})
    assert people(caller) == [("new@x.test", "u1"), ("old@x.test", None)]


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"currentEmail": "nobody@x.test", "newEmail": "n@x.test"}, 400, "UnknownEmailError"),
        ({"currentUserId": "nobody", "newEmail": "n@x.test"}, 400, "UnknownUserIdError"),
        ({"currentEmail": "a@x.test", "newEmail": "B@x.test"}, 400, "EmailAlreadyExists"),
        ({"currentEmail": "a@x.test", "newEmail": "bad"}, 400, "InvalidEmailAddressError"),
        ({"currentEmail": "a@x.test", "newEmail": "gone@x.test"}, 409, "ForgottenUserError"),
        ({"currentEmail": "a@x.test"}, 400, "BadJsonBody"),
    ],
)
def test_an_address_that_cannot_be_is_refused(said: Any, status: int, code: str) -> None:
    caller = caller_with({"email": "a@x.test"}, {"email": "b@x.test"}, forgotten=["gone@x.test"])
    told = caller.told("/users/updateEmail", said)
    assert (told["status"], told["code"]) == (status, code)
    assert people(caller) == [("a@x.test", None), ("b@x.test", None)]


def test_a_project_by_user_id_changes_no_address_so() -> None:
    caller = caller_with({"userId": "u1"}, project="user_id")
    assert caller.told("/users/updateEmail", {"currentUserId": "u1", "newEmail": "n@x.test"})["status"] == 400


# --- merging -----------------------------------------------------------------------------------------------


def test_a_merge_leaves_the_destination_with_what_the_source_had() -> None:
    caller = caller_with(
        {"email": "s@x.test", "dataFields": {"a": 1, "b": 1, "tags": ["x", "y"], "orders": [{"id": 1, "n": 1}]}},
        {"userId": "d", "dataFields": {"b": 2, "tags": ["y", "z"], "orders": [{"id": 1, "n": 2}, {"id": 2}]}},
    )
    caller.events({"eventName": "A", "email": "s@x.test", "id": "e1"})
    caller.purchase(id="o1", user={"email": "s@x.test"})
    caller.told("/lists/subscribe", {"listId": 5, "subscribers": [{"email": "s@x.test"}]})
    arrays = [{"field": "tags"}, {"field": "orders", "dedupeBy": "id"}, {"field": "none"}]
    said = {"sourceEmail": "S@x.test", "destinationUserId": "d", "arrayMerge": arrays}
    assert caller.told("/users/merge", said)["status"] == 200
    (person,) = caller.state()["users"]
    assert person["userId"] == "d" and person["lists"] == [5]
    assert person["dataFields"] == {
        "a": 1, "b": 2, "tags": ["y", "z", "x"], "orders": [{"id": 1, "n": 1}, {"id": 2}],
    }  # fmt: skip
    assert [row["userId"] for row in (*caller.state()["events"], caller.state()["purchases"][0]["user"])] == [
        "d",
        "d",
    ]


def test_a_destination_that_is_nobody_is_the_sources_new_name() -> None:
    caller = caller_with({"email": "s@x.test", "dataFields": {"a": 1}})
    assert caller.told("/users/merge", {"sourceEmail": "s@x.test", "destinationUserId": "d"})["status"] == 200
    assert people(caller) == [("s@x.test", "d")]
    assert caller.told("/users/merge", {"sourceUserId": "d", "destinationEmail": "s@x.test"})["status"] == 200
    assert people(caller) == [("s@x.test", "d")], "into oneself"


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"sourceEmail": "nobody@x.test", "destinationEmail": "a@x.test"}, 400, "UnknownEmailError"),
        ({"sourceEmail": "a@x.test", "destinationEmail": "gone@x.test"}, 409, "ForgottenUserError"),
        ({"sourceEmail": "gone@x.test", "destinationEmail": "a@x.test"}, 409, "ForgottenUserError"),
    ],
)
def test_a_merge_of_nobody_is_refused(said: Any, status: int, code: str) -> None:
    told = caller_with({"email": "a@x.test"}, forgotten=["gone@x.test"]).told("/users/merge", said)
    assert (told["status"], told["code"]) == (status, code)


# --- deletion ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("person", "path"),
    [
        ({"email": "a+b@x.test"}, "/users/A%2Bb%40x.test"),
        ({"userId": "u/1 ?"}, "/users/byUserId/u%2F1%20%3F"),
        ({"email": "a@x.test", "userId": "u1"}, "/users/byUserId/u1"),
    ],
)
def test_a_person_is_deleted_once(person: Any, path: str) -> None:
    caller = caller_with(person, {"email": "other@x.test"})
    assert caller.delete(path)["status"] == 200
    assert people(caller) == [("other@x.test", None)]
    told = caller.delete(path)
    assert (told["status"], told["code"]) == (400, "BadParams")
    assert caller.users(person)["successCount"] == 1, "nobody is kept from coming back"


def test_in_a_project_by_address_all_who_share_a_user_id_go() -> None:
    caller = caller_with(
        {"email": "a@x.test", "userId": "u"}, {"email": "b@x.test", "userId": "u"}, {"email": "c@x.test"},
        project="email",
    )  # fmt: skip
    assert caller.delete("/users/byUserId/u")["status"] == 200
    assert people(caller) == [("c@x.test", None)]


def test_a_project_by_user_id_deletes_nobody_by_address() -> None:
    caller = caller_with({"email": "a@x.test", "userId": "u"}, project="user_id")
    assert caller.delete("/users/a%40x.test")["status"] == 400
    assert people(caller) == [("a@x.test", "u")]


# --- devices -------------------------------------------------------------------------------------------------


def device(token: str, platform: str = "GCM") -> dict[str, Any]:
    return {"email": "a@x.test", "device": {"token": token, "platform": platform, "applicationName": "app"}}


def test_a_device_is_registered_once_and_at_most_five_hundred() -> None:
    caller = Caller()
    for number in [*range(500), 0, 499]:
        assert caller.told("/users/registerDeviceToken", device(f"t{number}"))["status"] == 200
    assert caller.told("/users/registerDeviceToken", device("one too many"))["status"] == 400
    (person,) = caller.state()["users"]
    assert len(person["devices"]) == 500
    assert caller.told("/users/registerDeviceToken", device("t", "ANDROID"))["status"] == 400
