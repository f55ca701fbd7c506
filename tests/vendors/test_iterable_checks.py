"""What is refused unsent: by the kind of project, for want of an id, for an address that names another place."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from engine.plugin import RecordError, Secret
from engine.vendors.iterable import Iterable

ACTIONS = Iterable.actions()
MAIL, USER = {"email": "a@x.test"}, {"userId": "u1"}


def prepared(action: str, payload: Any, **settings: Any) -> Any:
    vendor, before = Iterable(api_key=Secret("k"), **settings), copy.deepcopy(payload)
    name = ACTIONS[action].prepare
    step = getattr(vendor, name) if name else None
    after = payload if step is None else step(payload)
    assert payload == before, "the dead letter must show what the mapping gave"
    return after


PERSONAL = ["update_user", "track_event", "subscribe", "unsubscribe", "update_subscriptions", "delete_user",
            "register_device_token"]  # fmt: skip


def test_without_settings_nothing_is_done() -> None:
    vendor = Iterable(api_key=Secret("k"))
    busy = {a.name for a in ACTIONS.values() if a.prepare and getattr(vendor, a.prepare) is not None}
    assert busy == {"delete_user", "upsert_catalog_item"}


@pytest.mark.parametrize("action", PERSONAL)
@pytest.mark.parametrize("project", [None, "email", "hybrid", "user_id"])
def test_only_a_project_by_user_id_needs_one(action: str, project: str | None) -> None:
    assert prepared(action, USER, project_type=project) == USER
    if project == "user_id":
        with pytest.raises(RecordError) as refused:
            prepared(action, MAIL, project_type=project)
        assert (refused.value.code, refused.value.field) == ("wrong-identifier", "userId")
    else:
        assert prepared(action, MAIL, project_type=project) == MAIL


@pytest.mark.parametrize("action", ["track_purchase", "update_cart"])
def test_a_buyer_is_asked_the_same(action: str) -> None:
    assert prepared(action, {"user": USER, "items": []}, project_type="user_id") == {"user": USER, "items": []}
    with pytest.raises(RecordError) as refused:
        prepared(action, {"user": MAIL, "items": []}, project_type="user_id")
    assert refused.value.field == "user.userId"


@pytest.mark.parametrize("missing", ["source", "destination"])
def test_a_merge_names_both_by_what_the_project_knows(missing: str) -> None:
    both = {"sourceUserId": "a", "destinationUserId": "b"}
    assert prepared("merge_users", both, project_type="user_id") == both
    one = {**both, f"{missing}Email": "a@x.test"}
    del one[f"{missing}UserId"]
    assert prepared("merge_users", one, project_type="hybrid") == one
    with pytest.raises(RecordError) as refused:
        prepared("merge_users", one, project_type="user_id")
    assert refused.value.field == f"{missing}UserId"


@pytest.mark.parametrize(
    ("project", "wanted", "passes"),
    [("email", "b@x.test", False), ("email", "A@X.test", True), ("email", None, True), ("hybrid", "b@x.test", True),
     ("user_id", "b@x.test", True), (None, "b@x.test", True)],
)  # fmt: skip
def test_in_a_project_by_address_an_update_changes_none(project: str | None, wanted: Any, passes: bool) -> None:
    user = {**MAIL, **USER, "dataFields": {"email": wanted}}
    if passes:
        assert prepared("update_user", user, project_type=project) == user
    else:
        with pytest.raises(RecordError, match="update_email"):
            prepared("update_user", user, project_type=project)
    assert prepared("track_event", user, project_type=project) == user, "an event's data change nobody"


@pytest.mark.parametrize("action", ["track_event", "track_purchase"])
def test_with_field_an_id_is_asked_for(action: str) -> None:
    payload = {"user": MAIL, "eventName": "A"}
    assert prepared(action, {**payload, "id": "e1"}, event_id="field")["id"] == "e1"
    with pytest.raises(RecordError) as refused:
        prepared(action, payload, event_id="field")
    assert (refused.value.code, refused.value.field) == ("missing-id", "id")
    assert prepared(action, payload, event_id="none") == payload


@pytest.mark.parametrize("name", ["email", "userId"])
@pytest.mark.parametrize("dots", [".", ".."])
def test_a_deletion_names_no_other_place(name: str, dots: str) -> None:
    with pytest.raises(RecordError) as refused:
        prepared("delete_user", {name: dots})
    assert refused.value.code == "bad-identifier"
    assert prepared("delete_user", {name: "..."}) == {name: "..."}


def test_a_deletion_names_one_person() -> None:
    with pytest.raises(RecordError) as refused:
        prepared("delete_user", {**MAIL, **USER})
    assert refused.value.code == "two-identifiers"
