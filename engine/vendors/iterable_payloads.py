"""What Iterable asks of a payload: whose it is, its flags and ids, and what can be put right without guessing."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import Any

import msgspec

from engine.plugin import Note, Payloads, Response, Verdict, again, rejected

MILLISECONDS = 100_000_000_000  # as seconds this is the year 5138
LONG_TIME = re.compile(rb'"createdAt":\s*\d{12}')
EMPTY_SAYS_NOTHING = ("email", "userId")
TEXTS = ("userId", "id", "sku")

Members = dict[str, msgspec.Raw]  # an object whose values stay encoded: nothing in them can change


# --- whose it is ---------------------------------------------------------------------------------


def person(payload: Any) -> Any:
    """Whose payload it is: the e-mail address as Iterable folds it, else the userId."""
    email = payload.get("email")
    return email.lower() if email.__class__ is str else payload.get("userId")


def buyer(purchase: Any) -> Any:
    """Whose purchase it is."""
    user = purchase.get("user")
    return person(user) if isinstance(user, dict) else None


# --- ids -------------------------------------------------------------------------------------------


class Identified(msgspec.Struct):
    """Of an event or purchase, its id alone."""

    id: Any = None


def has_id(payload: Any) -> bool:
    """May it be sent again without doubling? Iterable folds repeats of an event or purchase by its id."""
    return bool(payload.get("id"))


def without_id(payloads: Payloads) -> dict[int, Verdict]:
    """A refusal of every payload that has no id of its own, and another try for the rest; empty when all have one."""
    bare = [not msgspec.json.decode(raw, type=Identified).id for raw in payloads.bodies]
    if not any(bare):
        return {}
    refusal = rejected("missing-id", "it has no `id`, and `event_id: field` asks every payload for its own")
    rest = again("missing-id", "others of its batch had no `id`")
    return {index: refusal if missing else rest for index, missing in enumerate(bare)}


# --- flags -----------------------------------------------------------------------------------------


def flags(**named: bool | None) -> dict[str, bool]:
    """The flags that were set."""
    return {name: value for name, value in named.items() if value is not None}


def flagged(payloads: Payloads, flags: Mapping[str, bool], inside: str = "") -> Payloads:
    """The payloads with each flag that they do not carry themselves, in their object `inside` if that is named."""
    if not flags:
        return payloads
    if inside:
        return Payloads([_flagged_inside(raw, flags, inside) for raw in payloads.raw])
    return Payloads([_flagged(raw, flags) for raw in payloads.raw])


def _flagged(raw: msgspec.Raw, flags: Mapping[str, bool]) -> msgspec.Raw:
    own = msgspec.json.decode(raw, type=Members)
    return _encoded({**flags, **own})


def _flagged_inside(raw: msgspec.Raw, flags: Mapping[str, bool], inside: str) -> msgspec.Raw:
    members = msgspec.json.decode(raw, type=Members)
    return _encoded({**members, inside: _flagged(members[inside], flags)})


def _encoded(members: Mapping[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(members))


# --- times -----------------------------------------------------------------------------------------


def time_remarks(payloads: Payloads) -> Generator[Note, Response, None]:
    """A warning when a time looks like milliseconds: Iterable reads `createdAt` as seconds."""
    if not LONG_TIME.search(b"".join(payloads.bodies)):  # nearly always: nothing has to be decoded
        return
    for payload in payloads:
        at = payload.get("createdAt")
        if isinstance(at, int) and at > MILLISECONDS:
            yield Note("time-in-milliseconds", f"createdAt is {at}, which Iterable reads as seconds")
            return


# --- what can be put right ---------------------------------------------------------------------------


def mended(payload: Any) -> Any:
    """A payload that the schema refused, with what is plain put right; what is not plain stays and is refused.

    Null members say nothing and go (those within `dataFields` empty a field and stay); so does a person's empty
    identifier; integers where the service wants an id as text become their digits.
    """
    if not isinstance(payload, dict):
        return payload
    payload = _tidied(payload)
    if isinstance(payload.get("user"), dict):
        payload["user"] = _tidied(payload["user"])
    if isinstance(payload.get("items"), list):
        payload["items"] = [_tidied(item) if isinstance(item, dict) else item for item in payload["items"]]
    return payload


def _tidied(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _text(name, value) for name, value in members.items() if not _says_nothing(name, value)}


def _says_nothing(name: str, value: Any) -> bool:
    return value is None or (value == "" and name in EMPTY_SAYS_NOTHING)


def _text(name: str, value: Any) -> Any:
    number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if number and name in TEXTS else value
