"""What the pretend Iterable asks of a request's JSON: the places that are wrong, in the service's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Shape = Any  # a name below, {"member": Shape}, or [Shape]
WORDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "string": ("String value expected", lambda value: isinstance(value, str)),
    "boolean": ("Boolean value expected", lambda value: isinstance(value, bool)),
    "number": ("Number value expected", lambda value: isinstance(value, int | float) and not isinstance(value, bool)),
    "integer": ("Number value expected", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    "object": ("Object expected", lambda value: isinstance(value, dict)),
}

USER = {
    "email": "string",
    "userId": "string",
    "dataFields": "object",
    "preferUserId": "boolean",
    "mergeNestedObjects": "boolean",
}
EVENT = {
    "eventName!": "string",
    "email": "string",
    "userId": "string",
    "id": "string",
    "dataFields": "object",
    "createdAt": "integer",
    "campaignId": "integer",
    "templateId": "integer",
    "createNewFields": "boolean",
}
ITEM = {
    "id!": "string",
    "name!": "string",
    "price!": "number",
    "quantity!": "integer",
    "sku": "string",
    "description": "string",
    "categories": ["string"],
    "imageUrl": "string",
    "url": "string",
    "dataFields": "object",
}
CART = {"user!": {**USER, "createNewFields": "boolean"}, "items!": [ITEM]}
SUBSCRIBE = {"listId!": "integer", "subscribers!": [USER], "updateExistingUsersOnly": "boolean"}
UNSUBSCRIBE = {
    "listId!": "integer",
    "subscribers!": [{"email": "string", "userId": "string"}],
    "campaignId": "integer",
    "channelUnsubscribe": "boolean",
}
SUBSCRIPTIONS = {
    "updateSubscriptionsRequests!": [
        {
            "email": "string",
            "userId": "string",
            "emailListIds": ["integer"],
            "unsubscribedChannelIds": ["integer"],
            "unsubscribedMessageTypeIds": ["integer"],
            "subscribedMessageTypeIds": ["integer"],
            "campaignId": "integer",
            "templateId": "integer",
            "validateChannelAlignment": "boolean",
        }
    ]
}
UPDATE_EMAIL = {"currentEmail": "string", "currentUserId": "string", "newEmail!": "string"}
MERGE = {
    "sourceEmail": "string",
    "sourceUserId": "string",
    "destinationEmail": "string",
    "destinationUserId": "string",
    "arrayMerge": [{"field!": "string", "dedupeBy": "string"}],
}
DEVICE = {
    "email": "string",
    "userId": "string",
    "preferUserId": "boolean",
    "device!": {"token!": "string", "platform!": "string", "applicationName!": "string", "dataFields": "object"},
}
DOCUMENTS = {"documents!": "object", "replaceUploadedFieldsOnly!": "boolean"}
NOTHING: Shape = {}
BULK_USERS = {"users!": [USER], "createNewFields": "boolean"}
BULK_EVENTS = {"events!": [EVENT]}
PURCHASE = {
    "id": "string",
    "user!": {**USER, "createNewFields": "boolean"},
    "items!": [ITEM],
    "total!": "number",
    "createdAt": "integer",
    "campaignId": "integer",
    "templateId": "integer",
    "dataFields": "object",
}

WORD = r"[\w!#$%&'*+/=?^`{|}~-]+"
LABEL = r"[^\W_](?:[\w-]*[^\W_])?"
EMAIL = re.compile(rf"{WORD}(?:\.{WORD})*@(?:{LABEL}\.)+[^\W\d_]{{2,}}")
USER_ID = re.compile(r"[ -~]{0,51}[!-~]")
CATALOG_NAME = re.compile(r"[A-Za-z0-9-]{1,255}")  # of a catalog, and of an item in it


def wrong(value: Any, shape: Shape) -> dict[str, str]:
    """Place → reason, such as `obj.users[1].userId` → `String value expected`; empty for a good request."""
    return dict(_wrong(value, shape, "obj"))


def _wrong(value: Any, shape: Shape, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(shape, str):
        reason, fits = WORDS[shape]
        if not fits(value):
            yield place, reason
    elif isinstance(shape, list):
        yield from _wrong_array(value, shape[0], place)
    elif not isinstance(value, dict):
        yield place, "Object expected"
    else:
        yield from _wrong_members(value, shape, place)


def _wrong_array(value: Any, shape: Shape, place: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        yield place, "Array expected"
        return
    for index, member in enumerate(value):
        yield from _wrong(member, shape, f"{place}[{index}]")


def _wrong_members(value: Mapping[str, Any], shape: Mapping[str, Shape], place: str) -> Iterator[tuple[str, str]]:
    """Members that are null count as missing; those that the service does not know are passed over."""
    for marked, inner in shape.items():
        name = marked.rstrip("!")
        if value.get(name) is not None:
            yield from _wrong(value[name], inner, f"{place}.{name}")
        elif name != marked:
            yield f"{place}.{name}", "Value required"


def is_email(value: Any) -> bool:
    return isinstance(value, str) and EMAIL.fullmatch(value) is not None


def is_user_id(value: Any) -> bool:
    return isinstance(value, str) and USER_ID.fullmatch(value) is not None
