"""Lists, subscriptions, carts and catalogs of the pretend Iterable."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.helpers import Caller

ITEM = {"id": "1", "name": "n", "price": 1, "quantity": 1}


def lists_of(caller: Caller) -> dict[str, list[int]]:
    return {p["email"] or p["userId"]: p.get("lists", []) for p in caller.state()["users"]}


def named(answer: Any) -> dict[str, list[str]]:
    return {name: members for name, members in answer["failedUpdates"].items() if members}


def test_people_join_and_leave_a_list() -> None:
    caller = Caller()
    joining = [{"email": "A@x.test", "dataFields": {"n": 1}}, {"userId": "u1"}]
    assert caller.told("/lists/subscribe", {"listId": 5, "subscribers": joining})["successCount"] == 2
    assert lists_of(caller) == {"a@x.test": [5], "u1": [5]}
    assert caller.person(email="a@x.test") == {"n": 1}
    caller.told("/lists/unsubscribe", {"listId": 5, "subscribers": [{"email": "a@X.test"}]})
    assert lists_of(caller) == {"a@x.test": [], "u1": [5]}


def test_a_list_names_whom_it_cannot_take() -> None:
    caller = Caller(forgotten=["gone@x.test"])
    rows = [{"email": "bad"}, {"email": "gone@x.test"}, {"userId": "new"}, {}]
    told = caller.told("/lists/subscribe", {"listId": 5, "subscribers": rows, "updateExistingUsersOnly": True})
    assert named(told) == {
        "invalidEmails": ["bad"],
        "forgottenEmails": ["gone@x.test"],
        "notFoundUserIds": ["new"],
    }
    assert (told["successCount"], told["failCount"]) == (0, 4)
    told = caller.told("/lists/unsubscribe", {"listId": 5, "subscribers": rows})
    assert named(told)["notFoundUserIds"] == ["new"]


@pytest.mark.parametrize("path", ["/lists/subscribe", "/lists/unsubscribe"])
@pytest.mark.parametrize(("number", "status"), [(5, 200), (6, 400), (0, 400)])
def test_a_list_must_exist(path: str, number: int, status: int) -> None:
    told = Caller(lists=[0, 5]).told(path, {"listId": number, "subscribers": []})
    assert told["status"] == status
    assert status == 200 or told["msg"] == "error.lists.invalidListId"


@pytest.mark.parametrize(
    ("path", "rate"),
    [("/lists/subscribe", 5), ("/lists/unsubscribe", 5), ("/users/bulkUpdateSubscriptions", 5), ("/users/merge", 50)],
)
def test_requests_beyond_the_rate_are_put_off(path: str, rate: int) -> None:
    caller = Caller()
    assert [caller.post(path, {}).status for _ in range(rate + 1)] == [400] * rate + [429]


def test_lists_that_are_given_replace_those_that_are_stored() -> None:
    caller = Caller()
    for wish in ({"emailListIds": [1, 2], "unsubscribedChannelIds": [9]}, {"emailListIds": [3]}):
        row = {"email": "a@x.test", **wish}
        told = caller.told("/users/bulkUpdateSubscriptions", {"updateSubscriptionsRequests": [row]})
        assert (told["successCount"], told["failCount"]) == (1, 0)
    assert caller.state()["users"] == [
        {"email": "a@x.test", "userId": None, "dataFields": {}, "unsubscribedChannelIds": [9], "lists": [3]}
    ]


def test_subscriptions_of_malformed_people_are_named_in_lists_of_their_own() -> None:
    rows = [{"email": "bad"}, {"userId": "u "}, {"email": "a@x.test"}]
    told = Caller().told("/users/bulkUpdateSubscriptions", {"updateSubscriptionsRequests": rows})
    assert {name: value for name, value in told.items() if name != "status"} == {
        "successCount": 1,
        "failCount": 2,
        "invalidEmails": ["bad"],
        "invalidUserIds": ["u "],
        "validEmailFailures": [],
        "validUserIdFailures": [],
    }


def test_a_cart_is_replaced_and_a_purchase_empties_it() -> None:
    caller = Caller()

    def cart() -> Any:
        (person,) = caller.state()["users"]
        return [item["id"] for item in person.get("cart", [])]

    for ids in (["1", "2"], ["3"]):
        items = [{**ITEM, "id": name} for name in ids]
        assert caller.told("/commerce/updateCart", {"user": {"email": "a@x.test"}, "items": items})["status"] == 200
        assert cart() == ids
    caller.purchase(user={"email": "A@x.test"})
    assert cart() == []


@pytest.mark.parametrize(
    ("user", "status", "code"),
    [({"email": "bad"}, 400, "InvalidEmailAddressError"), ({"email": "gone@x.test"}, 409, "ForgottenUserError")],
)
def test_a_cart_belongs_to_somebody(user: Any, status: int, code: str) -> None:
    told = Caller(forgotten=["gone@x.test"]).told("/commerce/updateCart", {"user": user, "items": []})
    assert (told["status"], told["code"]) == (status, code)


# --- catalogs ------------------------------------------------------------------------------------------


def write(caller: Caller, documents: Any, *, name: str = "books", only: bool = True) -> Any:
    return caller.told(f"/catalogs/{name}/items", {"documents": documents, "replaceUploadedFieldsOnly": only})


@pytest.mark.parametrize(("only", "kept"), [(True, {"a": 1, "b": 2, "c": 3}), (False, {"b": 2, "c": 3})])
def test_items_are_merged_or_replaced(only: bool, kept: Any) -> None:
    caller = Caller()
    assert write(caller, {"i1": {"a": 1, "b": 1}, "i2": {}})["status"] == 202
    write(caller, {"i1": {"b": 2, "c": 3}}, name="Books", only=only)
    assert caller.state()["catalogs"] == {"books": {"i1": kept, "i2": {}}}


def test_a_catalog_must_exist() -> None:
    told = write(Caller(catalogs=["films"]), {"i": {}})
    assert (told["status"], told["code"], told["data"]) == (404, "error.catalogs.notFound", {"args": ["books"]})
    assert write(Caller(catalogs=["Films"]), {"i": {}}, name="films")["status"] == 202


@pytest.mark.parametrize(
    "documents",
    [
        {f"i{n}": {} for n in range(1001)},
        {"a.b": {}},
        {"i": {"x.y": 1}},
        {"i": []},
        {"i": {"t": "x" * 30_000}},
    ],
    ids=["many", "id", "field", "list", "large"],
)
def test_a_request_with_a_bad_document_stores_nothing(documents: Any) -> None:
    caller = Caller()
    told = write(caller, {**documents, "good": {}} if len(documents) == 1 else documents)
    assert (told["status"], told["code"]) == (400, "BadParams")
    assert "catalogs" not in caller.state()


def test_a_thousand_documents_are_taken() -> None:
    assert write(Caller(), {f"i{n}": {"t": "x" * 100} for n in range(1000)})["status"] == 202
