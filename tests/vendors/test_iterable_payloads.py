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
DEVICE = {"token": "t", "platform": "GCM", "applicationName": "com.example.shop"}
MERGE = {"sourceUserId": "u1", "destinationUserId": "u2"}
ITEM_OF = {"catalogName": "books", "id": "b1", "value": {}}
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
        ("update_email", {"currentUserId": "u1", "newEmail": "b@x.test"}),
        ("update_email", {"currentEmail": "a@x.test", "currentUserId": "u1", "newEmail": "b@x.test"}),
        ("merge_users", {"sourceEmail": "a@x.test", "destinationUserId": "u1"}),
        ("merge_users", {**MERGE, "arrayMerge": [{"field": "tags"}, {"field": "orders", "dedupeBy": "id"}]}),
        ("delete_user", {"userId": "u1"}),
        ("register_device_token", {"userId": "u1", "preferUserId": True, "device": {**DEVICE, "dataFields": {}}}),
        ("update_cart", {"user": {"userId": "u1"}, "items": []}),
        ("subscribe", {"listId": 5, "email": "a@x.test", "dataFields": {}, "updateExistingUsersOnly": True}),
        ("unsubscribe", {"listId": 5, "userId": "u1", "campaignId": 1, "channelUnsubscribe": False}),
        ("update_subscriptions", {"email": "a@x.test", "emailListIds": [], "unsubscribedChannelIds": [1],
            "unsubscribedMessageTypeIds": [1], "subscribedMessageTypeIds": [2], "campaignId": 1, "templateId": 1,
            "validateChannelAlignment": False}),
        ("upsert_catalog_item", {**ITEM_OF, "value": {"a b": None, "o": {"x.y": 1}}}),
        ("upsert_catalog_item", {**ITEM_OF, "id": "A-1", "catalogName": "x" * 255, "replaceUploadedFieldsOnly": False}),
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
        ("update_email", {"newEmail": "b@x.test"}),
        ("update_email", {"currentEmail": "a@x.test"}),
        ("update_email", {"email": "a@x.test", "newEmail": "b@x.test"}),
        ("merge_users", {"sourceEmail": "a@x.test"}),
        ("merge_users", {"destinationUserId": "u1"}),
        ("merge_users", {**MERGE, "arrayMerge": ["tags"]}),
        ("delete_user", {}),
        ("delete_user", {"email": ""}),
        ("delete_user", {"email": "a@x.test", "dataFields": {}}),
        ("register_device_token", {"userId": "u1"}),
        ("register_device_token", {"device": DEVICE}),
        ("register_device_token", {"userId": "u1", "device": {**DEVICE, "platform": "ANDROID"}}),
        ("register_device_token", {"userId": "u1", "device": {"token": "t", "platform": "GCM"}}),
        ("update_cart", {"user": {"userId": "u1"}}),
        ("update_cart", {**ORDER}),
        ("subscribe", {"email": "a@x.test"}),
        ("subscribe", {"listId": "5", "email": "a@x.test"}),
        ("subscribe", {"listId": 5}),
        ("unsubscribe", {"listId": 5, "email": "a@x.test", "dataFields": {}}),
        ("update_subscriptions", {"email": "a@x.test", "emailListIds": 5}),
        ("update_subscriptions", {"email": "a@x.test", "emailListIds": ["5"]}),
        ("upsert_catalog_item", {**ITEM_OF, "id": "a.b"}),
        ("upsert_catalog_item", {**ITEM_OF, "id": "a\n"}),
        ("upsert_catalog_item", {**ITEM_OF, "catalogName": "my books"}),
        ("upsert_catalog_item", {**ITEM_OF, "value": {"a.b": 1}}),
        ("upsert_catalog_item", {**ITEM_OF, "value": []}),
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
        ("update_email", {"currentEmail": "", "currentUserId": 7, "newEmail": "b@x.test"},
                         {"currentUserId": "7", "newEmail": "b@x.test"}),
        ("merge_users", {"sourceEmail": None, "sourceUserId": 1, "destinationEmail": "", "destinationUserId": 2},
                        {"sourceUserId": "1", "destinationUserId": "2"}),
        ("delete_user", {"email": "", "userId": 7}, {"userId": "7"}),
        ("register_device_token", {"email": None, "userId": "7", "device": {**DEVICE, "dataFields": None}},
                                  {"userId": "7", "device": DEVICE}),
        ("update_cart", {"user": {"userId": 7}, "items": [{**ITEM, "id": 3}]},
                        {"user": {"userId": "7"}, "items": [{**ITEM, "id": "3"}]}),
        ("subscribe", {"listId": 5, "userId": 7, "dataFields": None}, {"listId": 5, "userId": "7"}),
        ("upsert_catalog_item", {"catalogName": "books", "id": 7, "value": {"a": None}},
                                {"catalogName": "books", "id": "7", "value": {"a": None}}),
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
