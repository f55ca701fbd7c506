"""Flagship hits: from plain words to the JSON object that is posted, every documented limit checked before.

build("transaction", {"transaction_id": "t1", "affiliation": "purchases", "revenue": 42.5}, env_id, "visitor-7")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.plugin import RecordError
from engine.vendors.flagship_fields import KINDS, Broken, Field, address, is_url

__all__ = ["KINDS", "POLICIES", "Hit", "Violation", "build", "check", "identity", "is_url"]

POLICIES = ("reject", "truncate", "drop_field")


class Violation(NamedTuple):
    """A documented limit that a field breaks. `rule`: type, length, range, value, url, missing or unknown."""

    field: str
    rule: str
    text: str


class Hit(NamedTuple):
    """`body`: what is posted. `notes`: what was changed or left out to keep the limits."""

    body: dict[str, Any]
    notes: list[Violation]


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
            if field.read is not address or is_url(text):
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
