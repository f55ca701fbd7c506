"""The fields of Flagship hits: plain words, names on the wire, kinds and limits of values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

CATEGORIES: Mapping[str, str] = {"ACTION_TRACKING": "Action Tracking", "USER_ENGAGEMENT": "User Engagement"}
DIGITS = 10  # of a width or height
RESOLUTION = re.compile(r"([0-9]+)[xX]([0-9]+)", re.ASCII)


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


def address(value: Any) -> str:
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
PAGE: Mapping[str, Field] = {"location": Field("dl", address, 2048, required=True)}
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
