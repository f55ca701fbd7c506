"""Flagship hits: from plain words to the JSON object that is posted, every documented limit checked before.

build("transaction", {"transaction_id": "t1", "affiliation": "purchases", "revenue": 42.5}, env_id, "visitor-7")
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from engine.plugin import RecordError

POLICIES = ("reject", "truncate", "drop_field")
CATEGORIES: Mapping[str, str] = {"ACTION_TRACKING": "Action Tracking", "USER_ENGAGEMENT": "User Engagement"}
DIGITS = 10  # of a width or height
RESOLUTION = re.compile(r"([0-9]+)[xX]([0-9]+)", re.ASCII)


class Violation(NamedTuple):
    """A documented limit that a field breaks. `rule`: type, length, range, value, url, missing or unknown."""

    field: str
    rule: str
    text: str


class Hit(NamedTuple):
    """`body`: what is posted. `notes`: what was changed or left out to keep the limits."""

    body: dict[str, Any]
    notes: list[Violation]


class Broken(Exception):
    """A value that breaks a rule; which field it stands in, the caller knows."""

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(text)
        self.rule, self.text = rule, text


@dataclass(frozen=True, slots=True)
class Field:
    """`read` gives the value as it is posted, or raises `Broken`. `limit` counts bytes of UTF-8."""

    wire: str
    read: Callable[[Any], Any]
    limit: int | None = None
    required: bool = False
    expendable: bool = False  # left out with a note, whatever the policy, when it breaks a rule


# --- kinds of values ----------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Broken("type", f"must be a text, not {_name(value)}")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Broken("type", f"must be an integer, not {_name(value)}")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Broken("type", f"must be a number, not {_name(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise Broken("range", "must be finite")
    return value


def _positive(value: Any) -> int:
    if _integer(value) <= 0:
        raise Broken("range", "must be an integer above 0")
    return int(value)


def _natural(value: Any) -> int:
    if _integer(value) < 0:
        raise Broken("range", "must not be negative")
    return int(value)


def _category(value: Any) -> str:
    if value not in tuple(CATEGORIES):
        raise Broken("value", f"must be {' or '.join(CATEGORIES)}")
    return CATEGORIES[value]


def _url(value: Any) -> str:
    if not is_url(_text(value)):
        raise Broken("url", "must be an absolute http or https address with a host and without blanks")
    return str(value)


def _resolution(value: Any) -> str:
    """`[640, 480]` or `"640x480"`."""
    found = RESOLUTION.fullmatch(value) if isinstance(value, str) else None
    sides = [part.lstrip("0") or "0" for part in found.groups()] if found else value
    if not isinstance(sides, list | tuple) or len(sides) != 2:
        raise Broken("type", "must be a width and a height, such as [640, 480] or 640x480")
    if not found:
        for side in sides:
            _natural(side)
    if any((len(side) > DIGITS if isinstance(side, str) else side >= 10**DIGITS) for side in sides):
        raise Broken("range", f"must have at most {DIGITS} digits a side")
    return f"{sides[0]}x{sides[1]}"


def is_url(text: str) -> bool:
    """An absolute http(s) address with a host and without white space."""
    if any(character.isspace() or character < " " or character == "\x7f" for character in text):
        return False
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host)


def _name(value: Any) -> str:
    return "null" if value is None else type(value).__name__


# --- the fields of each kind of hit, in plain words ---------------------------------------------------------

COMMON: Mapping[str, Field] = {
    "ip": Field("uip", _text),
    "locale": Field("ul", _text, 20),
    "resolution": Field("sr", _resolution),
    "session_number": Field("sn", _integer),
    "session_timestamp": Field("cst", _natural),
    "queue_time": Field("qt", _natural),
    "referrer": Field("dr", _text),
    "viewport": Field("vp", _resolution),
    "title": Field("pt", _text),
    "encoding": Field("de", _text),
    "color_depth": Field("sd", _text),
}
PAGE: Mapping[str, Field] = {"location": Field("dl", _url, 2048, required=True)}
SCREEN: Mapping[str, Field] = {"location": Field("dl", _text, 2048, required=True)}
EVENT: Mapping[str, Field] = {
    "category": Field("ec", _category, required=True),
    "action": Field("ea", _text, 500, required=True),
    "label": Field("el", _text, 500),
    "value": Field("ev", _positive, expendable=True),
}
TRANSACTION: Mapping[str, Field] = {
    "transaction_id": Field("tid", _text, 500, required=True),
    "affiliation": Field("ta", _text, 500, required=True),
    "revenue": Field("tr", _number),
    "shipping_cost": Field("ts", _number),
    "taxes": Field("tt", _number),
    "currency": Field("tc", _text, 10),
    "payment_method": Field("pm", _text, 10),
    "shipping_method": Field("sm", _text, 10),
    "item_count": Field("icn", _integer),
    "coupon_code": Field("tcc", _text, 10),
}
ITEM: Mapping[str, Field] = {
    "transaction_id": Field("tid", _text, 500, required=True),
    "product_name": Field("in", _text, 500, required=True),
    "product_sku": Field("ic", _text, 500, required=True),
    "price": Field("ip", _number),
    "item_quantity": Field("iq", _integer),
    "item_category": Field("iv", _text, 500),
}
KINDS: Mapping[str, tuple[str, Mapping[str, Field]]] = {
    "page": ("PAGEVIEW", {**PAGE, **COMMON}),
    "screen": ("SCREENVIEW", {**SCREEN, **COMMON}),
    "event": ("EVENT", {**EVENT, **COMMON}),
    "transaction": ("TRANSACTION", {**TRANSACTION, **COMMON}),
    "item": ("ITEM", {**ITEM, **COMMON}),
}
"""The kind of a hit → its name on the wire and its fields."""


# --- building -----------------------------------------------------------------------------------------------


def identity(visitor_id: str, anonymous_id: str | None = None) -> dict[str, str]:
    """Who a hit is of; raises `RecordError` for an id that is no text or empty.

    After a login the anonymous id is `vid`: the other way round than in an activation.
    """
    for word, name in (("visitor_id", visitor_id), ("anonymous_id", anonymous_id)):
        if (not isinstance(name, str) or not name) and (word == "visitor_id" or name is not None):
            raise RecordError("hit-visitor", f"{word} must be a text that is not empty, not {name!r}.", word)
    return {"vid": visitor_id} if anonymous_id is None else {"vid": anonymous_id, "cuid": visitor_id}


def check(kind: str, fields: Mapping[str, Any]) -> list[Violation]:
    """Every documented limit that the fields of a hit break, null counting as absent."""
    return [violation for violation, _ in _read(kind, fields)[1]]


def build(
    kind: str,
    fields: Mapping[str, Any],
    env_id: str,
    visitor_id: str,
    anonymous_id: str | None = None,
    on_violation: str = "reject",
) -> Hit:
    """The hit to post. Raises `RecordError`, naming the first field that cannot go on.

    `on_violation`: `reject` the hit; `truncate` a text that is too long and reject for anything else; `drop_field`
    leaves out an optional field and rejects for a required one. An event value that is no positive integer is always
    left out with a note.
    """
    read, violations = _read(kind, fields)
    notes: list[Violation] = []
    for violation, field in violations:
        if violation.rule == "length" and on_violation == "truncate" and field is not None and field.limit:
            text = _cut(fields[violation.field], field.limit)
            if field.read is not _url or is_url(text):
                read[field.wire] = text
                notes.append(violation)
                continue
        droppable = on_violation == "drop_field" and (field is None or not field.required)
        if droppable or (field is not None and field.expendable):
            notes.append(violation)
            continue
        reason = f"{kind} hit: {violation.field} {violation.text}."
        raise RecordError(f"hit-{violation.rule}", reason, violation.field)
    who = identity(visitor_id, anonymous_id)
    return Hit({"cid": env_id, **who, "t": KINDS[kind][0], "ds": "APP", **read}, notes)


def _read(kind: str, fields: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[Violation, Field | None]]]:
    known = KINDS[kind][1]
    read: dict[str, Any] = {}
    violations: list[tuple[Violation, Field | None]] = []
    for word, value in fields.items():
        if word not in known:
            violations.append((Violation(word, "unknown", f"is no field of it; there are {', '.join(known)}"), None))
        elif value is not None:
            field = known[word]
            try:
                read[field.wire] = _measured(field, field.read(value))
            except Broken as error:
                violations.append((Violation(word, error.rule, error.text), field))
    for word, field in known.items():
        if field.required and fields.get(word) is None:
            violations.append((Violation(word, "missing", "is required"), field))
    return read, violations


def _measured(field: Field, value: Any) -> Any:
    if field.limit is not None and len(value) * 4 > field.limit:
        size = len(value.encode("utf-8", "surrogatepass"))
        if size > field.limit:
            raise Broken("length", f"has {size} bytes, more than {field.limit}")
    return value


def _cut(text: str, limit: int) -> str:
    """The longest beginning of whole characters within `limit` bytes."""
    return text.encode("utf-8", "surrogatepass")[:limit].decode("utf-8", "ignore")
