"""What the schema asks, and what is put right before a payload is refused."""

from __future__ import annotations

import copy
from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from engine.plugin import Secret
from engine.registry import read_schema
from engine.vendors.iterable import Iterable

PAYLOADS = read_schema("sinks/iterable.json")["$defs"]
ITEM = {"id": "s1", "name": "Shoe", "price": 9.5, "quantity": 2}
ORDER = {"user": {"userId": "u1"}, "items": [ITEM], "total": 19}


def passes(action: str, payload: Any) -> bool:
    """The fast check and the explaining one must agree."""
    fast = jsonschema_rs.validator_for(PAYLOADS[action]).is_valid(payload)
    slow = jsonschema.Draft202012Validator(PAYLOADS[action]).is_valid(payload)
    assert fast == slow
    return fast


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("update_user", {"email": "ada@x.test"}),
        ("update_user", {"email": "not an address, which Iterable itself will say"}),
        ("update_user", {"userId": "x" * 52, "dataFields": {}, "preferUserId": True, "mergeNestedObjects": False}),
        ("update_user", {"email": "a@x.test", "dataFields": {"nick": None, "prefs": {"a": [1, {"b": None}]}}}),
        ("track_event", {"eventName": "Open", "userId": "a b"}),
        ("track_event", {"eventName": "Open", "email": "a@x.test", "id": "e-1", "createdAt": 1, "campaignId": 2,
                         "templateId": 3, "createNewFields": False, "dataFields": {}}),
        ("track_purchase", {**ORDER, "total": 0, "items": [{**ITEM, "price": 0, "quantity": 0}]}),
        ("track_purchase", {**ORDER, "id": "o-1", "createdAt": 1, "campaignId": 2, "templateId": 3,
                            "dataFields": {}}),
        ("track_purchase", {**ORDER, "items": [{**ITEM, "sku": "s", "description": "d", "categories": [],
                            "imageUrl": "i", "url": "u", "dataFields": {}}]}),
    ],
)  # fmt: skip
def test_what_iterable_takes_passes(action: str, payload: Any) -> None:
    assert passes(action, payload)


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        ("update_user", {}),
        ("update_user", {"dataFields": {}}),
        ("update_user", {"email": ""}),
        ("update_user", {"email": None}),
        ("update_user", {"email": 5}),
        ("update_user", {"userId": 5}),
        ("update_user", {"userId": ""}),
        ("update_user", {"userId": "x" * 53}),
        ("update_user", {"userId": "trailing "}),
        ("update_user", {"userId": "line\n"}),
        ("update_user", {"userId": "tab\tin"}),
        ("update_user", {"userId": "é"}),
        ("update_user", {"email": "a@x.test", "emial": "a@x.test"}),
        ("update_user", {"email": "a@x.test", "dataFields": []}),
        ("update_user", {"email": "a@x.test", "preferUserId": "yes"}),
        ("update_user", {"email": "a@x.test", "createNewFields": True}),
        ("track_event", {"email": "a@x.test"}),
        ("track_event", {"eventName": "", "email": "a@x.test"}),
        ("track_event", {"eventName": "Open"}),
        ("track_event", {"eventName": "Open", "email": "a@x.test", "createdAt": "now"}),
        ("track_event", {"eventName": "Open", "email": "a@x.test", "id": "x" * 513}),
        ("track_purchase", {"user": {"email": "a@x.test"}, "items": [ITEM]}),
        ("track_purchase", {**ORDER, "user": {}}),
        ("track_purchase", {**ORDER, "items": [{**ITEM, "price": "9"}]}),
        ("track_purchase", {**ORDER, "items": [{**ITEM, "quantity": 1.5}]}),
        ("track_purchase", {**ORDER, "items": [{"id": "s1", "name": "Shoe", "price": 1}]}),
        ("track_purchase", {**ORDER, "items": ITEM}),
    ],
)
def test_what_iterable_refuses_does_not_pass(action: str, payload: Any) -> None:
    assert not passes(action, payload)


@pytest.mark.parametrize(
    ("action", "refused", "mended"),
    [
        ("update_user", {"email": "a@x.test", "userId": None}, {"email": "a@x.test"}),
        ("update_user", {"email": "", "userId": "7"}, {"userId": "7"}),
        ("update_user", {"userId": 7}, {"userId": "7"}),
        ("update_user", {"userId": 12345678901234567890123}, {"userId": "12345678901234567890123"}),
        ("update_user", {"userId": 7, "dataFields": {"nick": None, "id": 5}},
                        {"userId": "7", "dataFields": {"nick": None, "id": 5}}),
        ("track_event", {"eventName": "A", "userId": "7", "id": 19, "campaignId": None},
                        {"eventName": "A", "userId": "7", "id": "19"}),
        ("track_purchase",
            {**ORDER, "id": 5, "user": {"email": None, "userId": 7},
             "items": [{**ITEM, "id": 3, "sku": 4, "url": None}]},
            {**ORDER, "id": "5", "user": {"userId": "7"}, "items": [{**ITEM, "id": "3", "sku": "4"}]}),
    ],
)  # fmt: skip
def test_what_is_plain_is_put_right(action: str, refused: Any, mended: Any) -> None:
    before = copy.deepcopy(refused)
    assert not passes(action, refused)
    assert Iterable(api_key=Secret("k")).mended(refused) == mended
    assert passes(action, mended)
    assert refused == before  # the dead letter must show what the mapping gave


@pytest.mark.parametrize(
    ("action", "refused"),
    [
        ("update_user", {"email": "", "userId": None}),
        ("update_user", {"userId": True}),
        ("update_user", {"userId": 7.5}),
        ("update_user", {"email": 7}),
        ("update_user", []),
        ("track_event", {"eventName": None, "userId": "7"}),
        ("track_event", {"eventName": "A", "userId": "7", "id": ""}),
        ("track_event", {"eventName": "A", "userId": "7", "createdAt": "1700000000"}),
        ("track_purchase", {**ORDER, "total": None}),
        ("track_purchase", {**ORDER, "user": None}),
        ("track_purchase", {**ORDER, "items": ["s1"]}),
    ],
)
def test_what_would_be_a_guess_stays_refused(action: str, refused: Any) -> None:
    assert not passes(action, Iterable(api_key=Secret("k")).mended(refused))
