"""What the pretend Flagship asks of requests: a reason for each that breaks the documented rules, else nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from typing import Any
from urllib.parse import urlsplit

CAMPAIGNS = {"visitorId", "anonymousId", "trigger_hit", "context", "decision_group", "visitor_consent"}
SCALARS = (str, int, float, bool)
Rule = Callable[[Any], bool]


def wrong_campaigns(asked: Mapping[str, Any]) -> str:
    """Fields that the server does not know are refused."""
    unknown = sorted(set(asked) - CAMPAIGNS)
    if unknown:
        return f"unknown field {unknown[0]!r}"
    if not _is_text(asked.get("visitorId")):
        return "visitorId: a text is expected"
    if not _is_text(asked.get("anonymousId", "-")):
        return "anonymousId: a text is expected"
    return _wrong_pairs(asked.get("context", {}))


def wrong_context(said: Mapping[str, Any]) -> str:
    if said.get("type") != "CONTEXT" or not _is_text(said.get("visitorId")):
        return "type CONTEXT and a visitorId are expected"
    if "anonymousId" in said:
        return "a context event never names the device"
    return _wrong_pairs(said.get("data"))


def _wrong_pairs(pairs: Any) -> str:
    if not isinstance(pairs, dict):
        return "context: an object is expected"
    for key, value in pairs.items():
        if not isinstance(value, SCALARS):
            return f"context: {key} is no text, number or boolean"
        if key.startswith("fs_"):
            return f"context: {key} must never leave the machine"
    return ""


def wrong_activation(said: Mapping[str, Any]) -> str:
    """The server's message is itself JSON."""
    errors = {word: "Field is mandatory." for word in ("cid", "vid", "caid", "vaid") if not _is_text(said.get(word))}
    if said.get("aid") is not None and not _is_text(said["aid"]):
        errors["aid"] = "Field is not a text."
    return json.dumps({"status": "error", "errors": errors}) if errors else ""


# --- hits -----------------------------------------------------------------------------------------------------------


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _bytes(most: int, least: int = 0) -> Rule:
    return lambda value: isinstance(value, str) and least <= len(value.encode("utf-8", "surrogatepass")) <= most


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _natural(value: Any) -> bool:
    return _integer(value) and value >= 0


def _size(value: Any) -> bool:
    sides = value.split("x") if isinstance(value, str) else []
    return len(sides) == 2 and all(side.isascii() and side.isdigit() and len(side) <= 10 for side in sides)


def _address(value: Any) -> bool:
    if not _bytes(2048, 1)(value) or any(character.isspace() for character in value):
        return False
    parts = urlsplit(value)
    return parts.scheme.lower() in ("http", "https") and bool(parts.netloc)


ANY_TEXT = _bytes(1 << 20)
COMMON: Mapping[str, Rule] = {
    "cid": _bytes(32, 1), "t": _is_text, "ds": lambda value: value == "APP", "vid": _is_text, "cuid": _is_text,
    "uip": ANY_TEXT, "ul": _bytes(20), "sr": _size, "sn": _integer, "cst": _natural, "qt": _natural,
    "dr": ANY_TEXT, "vp": _size, "de": ANY_TEXT, "sd": ANY_TEXT, "pt": ANY_TEXT,
}  # fmt: skip
OWN: Mapping[str, Mapping[str, Rule]] = {
    "PAGEVIEW": {"dl!": _address},
    "SCREENVIEW": {"dl!": _bytes(2048)},
    "EVENT": {
        "ec!": lambda value: value in ("Action Tracking", "User Engagement"), "ea!": _bytes(500), "el": _bytes(500),
        "ev": lambda value: _integer(value) and value > 0,
    },
    "TRANSACTION": {
        "tid!": _bytes(500), "ta!": _bytes(500), "tr": _number, "ts": _number, "tt": _number, "tc": _bytes(10),
        "pm": _bytes(10), "sm": _bytes(10), "icn": _integer, "tcc": _bytes(10),
    },
    "ITEM": {
        "tid!": _bytes(500), "in!": _bytes(500), "ic!": _bytes(500), "ip": _number, "iq": _integer, "iv": _bytes(500),
    },
}  # fmt: skip
MANDATORY = ("cid", "t", "ds", "vid")


def wrong_hit(hit: Any, transactions: Container[tuple[str, str]]) -> str:
    """`transactions` are those that came before, as (visitor, id): an item must follow its own."""
    if not isinstance(hit, dict):
        return "a hit is an object"
    own = OWN.get(hit.get("t", ""))
    if own is None:
        return f"t: {hit.get('t')!r} is no type of hit"
    rules = {**COMMON, **{word.rstrip("!"): rule for word, rule in own.items()}}
    needed = [*MANDATORY, *(word[:-1] for word in own if word.endswith("!"))]
    if missing := [word for word in needed if word not in hit]:
        return f"{missing[0]} is missing"
    if unknown := sorted(set(hit) - set(rules)):
        return f"{hit['t']} has no {unknown[0]}"
    if broken := [word for word, value in hit.items() if not rules[word](value)]:
        return f"{broken[0]}: {hit[broken[0]]!r:.80} is not acceptable"
    if hit["t"] == "ITEM" and (hit["vid"], hit["tid"]) not in transactions:
        return f"tid: no transaction {hit['tid']!r:.80} of this visitor came before"
    return ""
