"""The pretend Iterable checks, refuses and remembers as the service does."""

from __future__ import annotations

from typing import Any

import pytest

from engine.plugin import Secret
from tests.sandbox.helpers import Caller, request


def named(answer: Any) -> dict[str, list[str]]:
    """The lists of `failedUpdates` that name somebody."""
    return {name: members for name, members in answer["failedUpdates"].items() if members}


# --- keys, addresses, rates, sizes ---------------------------------------------------------------------


@pytest.mark.parametrize("key", ["invalid", "", Secret("invalid")])
def test_a_bad_key_is_refused(key: Any) -> None:
    answer = Caller().post("/users/bulkUpdate", {"users": []}, key=key)
    assert (answer.status, answer["code"]) == (401, "BadApiKey")


def test_any_other_key_is_taken_in_either_spelling_of_the_header() -> None:
    vendor = Caller().vendor
    for header in ("Api-Key", "api-key", "Api_Key"):
        wire = request("/users/bulkUpdate", {"users": []})
        assert vendor.handle(type(wire)(wire.method, wire.url, {header: Secret("k")}, wire.body)).status == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/users/none"), ("GET", "/users/bulkUpdate"), ("GET", "/")])
def test_what_does_not_exist_is_not_found(method: str, path: str) -> None:
    answer = Caller().vendor.handle(request(path, method=method))
    assert (answer.status, answer["code"]) == (404, "NotFound")


@pytest.mark.parametrize(("path", "rate"), [("/users/bulkUpdate", 5), ("/events/trackBulk", 10)])
def test_requests_beyond_the_rate_are_put_off(path: str, rate: int) -> None:
    caller = Caller()
    said = {"users": [], "events": []}
    assert [caller.post(path, said).status for _ in range(rate + 1)] == [200] * rate + [429]
    assert caller.post(path, said)["code"] == "RateLimitExceeded"
    caller.clock.moment += 1 / rate
    assert [caller.post(path, said).status for _ in range(2)] == [200, 429]


def test_a_steady_pace_at_the_rate_is_never_put_off() -> None:
    caller = Caller()
    for _ in range(200):
        assert caller.post("/users/bulkUpdate", {"users": []}).status == 200
        caller.clock.moment += 0.2


def test_rates_can_be_lifted() -> None:
    caller = Caller(rates=False)
    assert {caller.post("/users/bulkUpdate", {"users": []}).status for _ in range(50)} == {200}


def test_four_megabytes_are_the_most() -> None:
    caller = Caller()
    body = b'{"users": []}'
    assert caller.post("/users/bulkUpdate", body.ljust(4_000_000)).status == 200
    assert caller.post("/users/bulkUpdate", body.ljust(4_000_001)).status == 413


# --- the form of a request ---------------------------------------------------------------------------------

ITEM = {"id": "1", "name": "n", "price": 1, "quantity": 1}


@pytest.mark.parametrize(
    ("path", "said", "places"),
    [
        ("/users/bulkUpdate", b"{", {"obj": "JSON expected"}),
        ("/users/bulkUpdate", b'{"users": [{"email": "a@x.t", "dataFields": {"v": NaN}}]}', {"obj": "JSON expected"}),
        ("/users/bulkUpdate", [], {"obj": "Object expected"}),
        ("/users/bulkUpdate", {}, {"obj.users": "Value required"}),
        ("/users/bulkUpdate", {"users": [{"email": "a@x.test"}, {"userId": 5}]},
            {"obj.users[1].userId": "String value expected"}),
        ("/users/bulkUpdate", {"users": [{"email": "a@x.test", "preferUserId": "yes"}]},
            {"obj.users[0].preferUserId": "Boolean value expected"}),
        ("/users/bulkUpdate", {"users": [{"email": "a@x.test", "dataFields": []}]},
            {"obj.users[0].dataFields": "Object expected"}),
        ("/events/trackBulk", {"events": [{"eventName": "A", "email": "a@x.test", "createdAt": "now"}]},
            {"obj.events[0].createdAt": "Number value expected"}),
        ("/events/trackBulk", {"events": [{"email": "a@x.test"}]}, {"obj.events[0].eventName": "Value required"}),
        ("/commerce/trackPurchase", {"user": {"email": "a@x.test"}, "items": [{**ITEM, "id": 1}], "total": "5"},
            {"obj.items[0].id": "String value expected", "obj.total": "Number value expected"}),
    ],
)  # fmt: skip
def test_a_request_of_the_wrong_form_is_refused_by_place(path: str, said: Any, places: Any) -> None:
    caller = Caller()
    answer = caller.post(path, said)
    assert (answer.status, answer["code"], answer["params"]) == (400, "BadJsonBody", places)
    assert caller.state() == {"users": [], "events": [], "purchases": []}


def test_null_members_and_unknown_ones_are_passed_over() -> None:
    assert Caller().users({"email": "a@x.test", "userId": None, "whatever": 1})["successCount"] == 1


# --- people ------------------------------------------------------------------------------------------------


def test_addresses_are_folded_and_user_ids_are_not() -> None:
    caller = Caller()
    caller.users({"email": "Ada@X.test", "dataFields": {"a": 1}}, {"email": "ada@x.TEST", "dataFields": {"b": 2}})
    caller.users({"userId": "U", "dataFields": {"a": 1}}, {"userId": "u", "dataFields": {"a": 2}})
    assert caller.person(email="ada@x.test") == {"a": 1, "b": 2}
    assert caller.person(userId="U") == {"a": 1}
    assert caller.person(userId="u") == {"a": 2}


@pytest.mark.parametrize(
    ("merge", "prefs"), [(False, {"b": 2}), (True, {"a": {"x": 1}, "b": 2})], ids=["replaced", "merged"]
)
def test_objects_are_replaced_or_merged(merge: bool, prefs: Any) -> None:
    caller = Caller()
    caller.users({"email": "a@x.test", "dataFields": {"prefs": {"a": {"x": 1}}, "n": 1}})
    caller.users({"email": "a@x.test", "mergeNestedObjects": merge, "dataFields": {"prefs": {"b": 2}}})
    assert caller.person(email="a@x.test") == {"prefs": prefs, "n": 1}


def test_null_empties_a_field() -> None:
    caller = Caller()
    caller.users({"email": "a@x.test", "dataFields": {"a": 1, "b": 1}})
    caller.users({"email": "a@x.test", "dataFields": {"a": None}})
    assert caller.person(email="a@x.test") == {"b": 1}


def test_malformed_identifiers_are_named_and_the_rest_is_stored() -> None:
    caller = Caller()
    answer = caller.users(
        {"email": "a@x.test"},
        {"email": "bad..x@"},
        {"userId": "u 2 "},
        {"userId": "é"},
        {"userId": "x" * 53},
        {"email": "b@x.test", "dataFields": {"email": "no address"}},
    )
    assert (answer["status"], answer["successCount"], answer["failCount"]) == (200, 1, 5)
    assert named(answer) == {
        "invalidEmails": ["bad..x@", "no address"],
        "invalidUserIds": ["u 2 ", "é", "x" * 53],
    }
    assert answer["invalidEmails"] == ["bad..x@", "no address"]


@pytest.mark.parametrize("email", ["josé@exämple.com", "o'neil+tag@sub.x.test", "a_b.c-d@x-y.test"])
def test_unusual_addresses_are_addresses(email: str) -> None:
    assert Caller().users({"email": email})["failCount"] == 0


@pytest.mark.parametrize("email", ["", "@x.test", "a@", "a@x", "a b@x.test", "a@x.test\n", ".a@x.test", "a@-x.test"])
def test_what_is_no_address_is_refused(email: str) -> None:
    assert Caller().users({"email": email})["failCount"] == 1


def test_erased_people_are_named_as_forgotten() -> None:
    caller = Caller(forgotten=["Gone@x.test", "u-gone"])
    answer = caller.users({"email": "GONE@x.test"}, {"userId": "u-gone"}, {"email": "a@x.test"})
    assert named(answer) == {"forgottenEmails": ["gone@x.test"], "forgottenUserIds": ["u-gone"]}
    assert (answer["successCount"], answer["failCount"]) == (1, 2)


def test_identifiers_of_two_people_are_in_conflict() -> None:
    caller = Caller()
    caller.users({"email": "a@x.test"}, {"userId": "u7"})
    answer = caller.users({"email": "A@x.test", "userId": "u7"}, {"email": "a@x.test", "userId": "u8"})
    assert named(answer) == {"conflictEmails": ["A@x.test"], "conflictUserIds": ["u7"]}
    assert answer["successCount"] == 1


def test_an_address_that_somebody_has_cannot_be_asked_for() -> None:
    caller = Caller()
    caller.users({"email": "taken@x.test"}, {"userId": "u1"})
    answer = caller.users({"userId": "u1", "dataFields": {"email": "Taken@x.test", "n": 1}})
    assert named(answer) == {"conflictEmails": ["Taken@x.test"]}
    assert caller.person(userId="u1") == {}


def test_a_free_address_can_be_asked_for() -> None:
    caller = Caller()
    caller.users({"email": "old@x.test", "userId": "u1"})
    caller.users({"userId": "u1", "dataFields": {"email": "New@x.test"}})
    assert [(p["email"], p["userId"]) for p in caller.state()["users"]] == [("new@x.test", "u1")]
    assert caller.users({"email": "old@x.test"})["successCount"] == 1
    assert len(caller.state()["users"]) == 2


def test_a_value_that_is_too_long_is_invalid_data_of_one_row() -> None:
    answer = Caller().users({"email": "a@x.test", "dataFields": {"s": "x" * 32_001}}, {"email": "b@x.test"})
    assert named(answer) == {"invalidDataEmails": ["a@x.test"]}


def test_a_project_by_address_makes_people_of_user_ids_only_when_asked() -> None:
    caller = Caller(project="email")
    answer = caller.users({"userId": "u1"}, {"userId": "u2", "preferUserId": True})
    assert named(answer) == {"invalidUserIds": ["u1"]}
    (person,) = caller.state()["users"]
    assert person["userId"] == "u2"
    assert person["email"].endswith("@placeholder.email")


def test_a_project_by_user_id_needs_one() -> None:
    answer = Caller(project="user_id").users({"email": "a@x.test"}, {"email": "a@x.test", "userId": "u1"})
    assert named(answer) == {"invalidEmails": ["a@x.test"]}


# --- data fields --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "later", "expected"),
    [
        ("1990-01-01", "soon", "date"),
        ("2020-04-13T14:04:09.000Z", "2020-04-13 14:04:09.000", "date"),
        (1, "one", "long"),
        (1, 1.5, "long"),
        (True, "yes", "boolean"),
        ("text", {"a": 1}, "string"),
        ({"a": 1}, "text", "object"),
        ([1, 2], ["x"], "long"),
    ],
)
def test_the_first_value_fixes_the_type(first: Any, later: Any, expected: str) -> None:
    caller = Caller()
    caller.users({"email": "a@x.test", "dataFields": {"f": first}})
    answer = caller.users(
        {"email": "a@x.test", "dataFields": {"n": 1}}, {"email": "b@x.test", "dataFields": {"f": later}}
    )
    assert (answer["status"], answer["code"]) == (400, "RequestFieldsTypesMismatched")
    mismatch = answer["params"]["validationErrors"]["project:::f"]
    assert (mismatch["expectedType"], mismatch["offendingValue"]) == (expected, later)
    assert caller.state()["users"] == [{"email": "a@x.test", "userId": None, "dataFields": {"f": first}}]


@pytest.mark.parametrize(
    ("first", "later"),
    [
        (1.5, 2),
        (1, "2"),
        (1, None),
        (1, [1, 2]),
        ("x", 5),
        ("1990-01-01", "1990-01-01 10:00:00 +01:00"),
        (True, "false"),
    ],
)
def test_what_can_be_made_the_type_is_taken(first: Any, later: Any) -> None:
    caller = Caller()
    caller.users({"email": "a@x.test", "dataFields": {"f": first}})
    assert caller.users({"email": "a@x.test", "dataFields": {"f": later}})["status"] == 200


def test_types_hold_within_objects_and_per_event_name() -> None:
    caller = Caller()
    caller.users({"email": "a@x.test", "dataFields": {"o": {"n": 1}}})
    answer = caller.users({"email": "a@x.test", "dataFields": {"o": {"n": "x"}}})
    assert list(answer["params"]["validationErrors"]) == ["project:::o.n"]
    caller.events({"eventName": "A", "email": "a@x.test", "dataFields": {"n": 1}})
    assert caller.events({"eventName": "B", "email": "a@x.test", "dataFields": {"n": "x"}})["status"] == 200
    assert caller.events({"eventName": "A", "email": "a@x.test", "dataFields": {"n": "x"}})["status"] == 400


def test_new_fields_are_told_or_left_out() -> None:
    caller = Caller()
    caller.users({"email": "a@x.test", "dataFields": {"known": 1}})
    answer = caller.users({"email": "a@x.test", "dataFields": {"known": 2, "new": 1}}, createNewFields=False)
    assert (answer["filteredOutFields"], answer["createdFields"]) == (["new"], [])
    assert caller.person(email="a@x.test") == {"known": 2}
    answer = caller.users({"email": "a@x.test", "dataFields": {"new": {"x": 1}}}, createNewFields=True)
    assert (answer["filteredOutFields"], answer["createdFields"]) == ([], ["new"])


def test_the_projects_own_setting_holds_where_none_is_sent() -> None:
    caller = Caller(create_new_fields=False)
    assert caller.users({"email": "a@x.test", "dataFields": {"new": 1}})["filteredOutFields"] == ["new"]
    caller.users({"email": "a@x.test", "dataFields": {"new": 1}}, createNewFields=True)
    assert caller.person(email="a@x.test") == {"new": 1}


def test_a_project_is_full_at_a_thousand_fields() -> None:
    caller = Caller()
    caller.users({"email": "a@x.test", "dataFields": {f"f{n}": 1 for n in range(1000)}})
    answer = caller.users({"email": "a@x.test", "dataFields": {"one_more": 1}})
    assert (answer["status"], answer["code"]) == (400, "UniqueFieldsLimitExceeded")


# --- events and purchases -----------------------------------------------------------------------------------


def test_an_event_with_an_id_overwrites_and_one_without_is_added() -> None:
    caller = Caller()
    for n in (1, 2):
        caller.events({"eventName": "A", "email": "a@x.test", "id": "e1", "dataFields": {"n": n}})
        caller.events({"eventName": "B", "email": "A@x.test", "createNewFields": True})
    assert caller.state()["events"] == [
        {"eventName": "A", "email": "a@x.test", "id": "e1", "dataFields": {"n": 2}},
        {"eventName": "B", "email": "a@x.test"},
        {"eventName": "B", "email": "a@x.test"},
    ]


def test_events_of_refused_names_and_people_are_named() -> None:
    caller = Caller(disallowed=["Secret"], forgotten=["gone@x.test"])
    answer = caller.events(
        {"eventName": "Open", "email": "bad"},
        {"eventName": "Secret", "email": "b@x.test"},
        {"eventName": "Open", "email": "gone@x.test"},
        {"eventName": "Open", "email": "c@x.test"},
    )
    assert named(answer) == {"invalidEmails": ["bad"], "forgottenEmails": ["gone@x.test"]}
    assert answer["disallowedEventNames"] == ["Secret"]
    assert (answer["successCount"], answer["failCount"]) == (1, 3)


def test_events_of_strangers_make_people_or_are_named() -> None:
    caller = Caller()
    caller.events({"eventName": "A", "email": "a@x.test"})
    assert [person["email"] for person in caller.state()["users"]] == ["a@x.test"]
    answer = Caller(strangers=False).events(
        {"eventName": "A", "email": "a@x.test"}, {"eventName": "A", "userId": "u"}
    )
    assert named(answer) == {"notFoundEmails": ["a@x.test"], "notFoundUserIds": ["u"]}
    assert named(Caller(project="email").events({"eventName": "A", "userId": "u"})) == {"notFoundUserIds": ["u"]}


def test_a_purchase_makes_its_person_and_overwrites_by_id() -> None:
    caller = Caller()
    for total in (1, 2):
        answer = caller.purchase(id="o1", user={"email": "A@x.test", "dataFields": {"t": total}}, total=total)
        assert (answer.status, answer["params"]) == (200, {"id": "o1"})
    assert caller.purchase(user={"email": "a@x.test"}).status == 200
    assert caller.person(email="a@x.test") == {"t": 2}
    assert [(p.get("id"), p["user"], p["total"]) for p in caller.state()["purchases"]] == [
        ("o1", {"email": "a@x.test"}, 2),
        (None, {"email": "a@x.test"}, 1),
    ]


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"user": {"email": "a@x.test"}, "items": []}, 400, "BadParams"),
        ({"user": {"email": "bad"}}, 400, "InvalidEmailAddressError"),
        ({"user": {"userId": "u "}}, 400, "InvalidUserIdError"),
        ({"user": {"email": "gone@x.test"}}, 409, "ForgottenUserError"),
        ({"user": {"email": "a@x.test", "userId": "u7"}}, 409, "UserIdAlreadyExists"),
        ({"user": {"email": "a@x.test", "dataFields": {"n": "x"}}}, 400, "RequestFieldsTypesMismatched"),
    ],
)
def test_a_purchase_is_refused_in_plain_words(said: Any, status: int, code: str) -> None:
    caller = Caller(forgotten=["gone@x.test"])
    caller.users({"email": "a@x.test", "dataFields": {"n": 1}}, {"userId": "u7"})
    answer = caller.purchase(**said)
    assert (answer.status, answer["code"]) == (status, code)
    assert caller.state()["purchases"] == []
