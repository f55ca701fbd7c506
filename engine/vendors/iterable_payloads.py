"""What Iterable asks of a payload: whose it is, its flags and ids, and what can be put right without guessing."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from engine.plugin import Note, Payloads, Response

MILLISECONDS = 100_000_000_000  # as seconds this is the year 5138, as milliseconds 1973
ODD_TIME = {  # by the unit of `createdAt`: what looks like the other one
    "seconds": re.compile(rb'"createdAt":\s*\d{12}'),
    "milliseconds": re.compile(rb'"createdAt":\s*\d{1,11}(?!\d)'),
}
PEOPLE = ("email", "userId", "currentEmail", "currentUserId",
          "sourceEmail", "sourceUserId", "destinationEmail", "destinationUserId")  # fmt: skip
TEXTS = ("id", "sku", *(name for name in PEOPLE if name.lower().endswith("userid")))

Members = dict[str, msgspec.Raw]  # an object whose values stay encoded: nothing in them can change


# --- whose it is ---------------------------------------------------------------------------------


def person(payload: Any) -> Any:
    """Whose payload it is: the e-mail address as Iterable folds it, else the userId."""
    email = payload.get("email")
    return email.lower() if email.__class__ is str else payload.get("userId")


def whose_address(change: Any) -> Any:
    """Whose address is to be changed."""
    return person({"email": change.get("currentEmail"), "userId": change.get("currentUserId")})


def into_whom(merge: Any) -> Any:
    """Who is left after a merge."""
    return person({"email": merge.get("destinationEmail"), "userId": merge.get("destinationUserId")})


def address_of(user: Mapping[str, str]) -> str:
    """The path that names a person by the one identifier that is given."""
    ((name, value),) = user.items()
    return f"/users/{'' if name == 'email' else 'byUserId/'}{quote(value, safe='')}"


def buyer(purchase: Any) -> Any:
    """Whose purchase it is."""
    user = purchase.get("user")
    return person(user) if isinstance(user, dict) else None


# --- ids -------------------------------------------------------------------------------------------


def has_id(payload: Any) -> bool:
    """May it be sent again without doubling? Iterable folds repeats of an event or purchase by its id."""
    return bool(payload.get("id"))


# --- requests about one list --------------------------------------------------------------------------


def alike_in(*names: str) -> Callable[[Any], Any]:
    """What may share a request: payloads with the same values of these members."""
    return lambda payload: tuple(payload.get(name) for name in names)


def apart(payloads: Payloads, names: Sequence[str]) -> tuple[Members, Payloads]:
    """The members that all payloads have in common, and the payloads without them."""
    rows = [msgspec.json.decode(raw, type=Members) for raw in payloads.bodies]
    about = {name: rows[0][name] for name in names if name in rows[0]}
    return about, Payloads([_encoded({n: value for n, value in row.items() if n not in names}) for row in rows])


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


def time_remarks(payloads: Payloads, unit: str) -> Generator[Note, Response, None]:
    """A warning when a time looks like the other unit."""
    if not ODD_TIME[unit].search(b"".join(payloads.bodies)):  # nearly always: nothing has to be decoded
        return
    other = "milliseconds" if unit == "seconds" else "seconds"
    for payload in payloads:
        at = payload.get("createdAt")
        if isinstance(at, int) and (at > MILLISECONDS) is (unit == "seconds"):
            yield Note(f"time-in-{other}", f"createdAt is {at}, which is read as {unit}")
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
    for name in ("user", "device"):
        if isinstance(payload.get(name), dict):
            payload[name] = _tidied(payload[name])
    if isinstance(payload.get("items"), list):
        payload["items"] = [_tidied(item) if isinstance(item, dict) else item for item in payload["items"]]
    return payload


def _tidied(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _text(name, value) for name, value in members.items() if not _says_nothing(name, value)}


def _says_nothing(name: str, value: Any) -> bool:
    return value is None or (value == "" and name in PEOPLE)


def _text(name: str, value: Any) -> Any:
    number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if number and name in TEXTS else value
