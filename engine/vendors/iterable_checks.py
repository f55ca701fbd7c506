"""What Iterable asks of a payload beyond its shape: checked before it is sent, each payload by itself.

A step takes a payload and gives it back, or raises `RecordError`; None stands for "nothing to do".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from engine.plugin import RecordError

Step = Callable[[Any], Any]
DOCUMENT = 30_000  # bytes of one catalog item
DOTS = (".", "..")  # in an address they would name another place

WRONG = "wrong-identifier"


def chain(*steps: Step | None) -> Step | None:
    """These steps one after the other."""
    wanted = [step for step in steps if step is not None]
    if len(wanted) < 2:
        return wanted[0] if wanted else None

    def one_by_one(payload: Any) -> Any:
        for step in wanted:
            payload = step(payload)
        return payload

    return one_by_one


def within(name: str, step: Step | None) -> Step | None:
    """The step for a member of the payload."""
    if step is None:
        return None

    def inside(payload: Any) -> Any:
        try:
            return {**payload, name: step(payload[name])}
        except RecordError as error:
            raise RecordError(error.code, error.reason, f"{name}.{error.field}") from None

    return inside


# --- people, by the kind of project --------------------------------------------------------------------


def person(project: str | None) -> Step | None:
    """May this project take somebody who is named, and changed, so? None: nobody knows what the project is."""
    return keeps_address if project == "email" else by_user_id(project)


def by_user_id(project: str | None) -> Step | None:
    return has_user_id if project == "user_id" else None


def has_user_id(payload: Any) -> Any:
    if "userId" not in payload:
        raise RecordError(WRONG, "it is missing, and a project by userId knows nobody by an e-mail address", "userId")
    return payload


def keeps_address(payload: Any) -> Any:
    own, wanted = payload.get("email"), (payload.get("dataFields") or {}).get("email")
    if own is None or wanted is None or own.lower() == str(wanted).lower():
        return payload
    reason = "it is another address than `email`; in a project by e-mail address, update_email changes one"
    raise RecordError(WRONG, reason, "dataFields.email")


def one_identifier(payload: Any) -> Any:
    """One identifier stands in the address of a deletion."""
    if len(payload) > 1:
        raise RecordError("two-identifiers", "a deletion names a person by email or by userId, not by both")
    for name, value in payload.items():
        if value in DOTS:
            raise RecordError("bad-identifier", f"{value!r} cannot stand in an address", name)
    return payload


def merges(project: str | None) -> Step | None:
    """Can this project tell both people of a merge by what names them?"""
    if project != "user_id":
        return None

    def by_user_ids(payload: Any) -> Any:
        for name in ("sourceUserId", "destinationUserId"):
            if name not in payload:
                raise RecordError(WRONG, "it is missing, and a project by userId knows nobody by an address", name)
        return payload

    return by_user_ids


# --- events, purchases, catalog items --------------------------------------------------------------------


def has_id(payload: Any) -> Any:
    if not payload.get("id"):
        raise RecordError("missing-id", "it is missing, and `event_id: field` asks every payload for its own", "id")
    return payload


def document(payload: Any) -> Any:
    size = len(msgspec.json.encode(payload["value"]))
    if size > DOCUMENT:
        raise RecordError("too-large", f"{size} bytes are more than a catalog item may have ({DOCUMENT})", "value")
    return payload
