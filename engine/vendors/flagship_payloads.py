"""Payloads of the sink `flagship`: whose they are, when they happened, and what can be put right without guessing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.plugin import RecordError
from engine.vendors.flagship_fields import KINDS, Broken, Field
from engine.vendors.flagship_wire import Who, who

IDENTITY = ("visitor_id", "anonymous_id", "authenticated")
TEXTS = ("visitor_id", "anonymous_id", "transaction_id", "product_sku", "variation_group_id", "variation_id")
FIELDS: Mapping[str, Field] = {word: field for _, fields in KINDS.values() for word, field in fields.items()}


def visitor_of(payload: Any) -> Any:
    """Whose payload it is: what sets its order."""
    return payload.get("visitor_id") or payload.get("anonymous_id")


def taken_apart(payload: Mapping[str, Any]) -> tuple[Who, dict[str, Any]]:
    """Who it is about, and the other fields. Raises `RecordError` for ids that are none."""
    visitor = who(payload.get("visitor_id"), payload.get("anonymous_id"), payload.get("authenticated"))
    return visitor, {word: value for word, value in payload.items() if word not in IDENTITY}


def queue_time(fields: dict[str, Any], now: float) -> dict[str, Any]:
    """`occurred_at` as the milliseconds that the hit has waited by `now` (seconds since the epoch)."""
    if "occurred_at" not in fields:
        return fields
    rest = {word: value for word, value in fields.items() if word != "occurred_at"}
    happened = _milliseconds(fields["occurred_at"])
    return {"queue_time": max(0, round(now * 1000) - happened), **rest}


def _milliseconds(moment: Any) -> int:
    """Milliseconds since the epoch, of such a number or of an ISO 8601 text (without a zone: UTC)."""
    if isinstance(moment, int) and not isinstance(moment, bool):
        return moment
    try:
        found = datetime.fromisoformat(moment)
    except (TypeError, ValueError):
        wanted = "milliseconds since the epoch, or a date and time such as 2026-01-31T12:00:00Z"
        raise RecordError("hit-value", f"occurred_at must be {wanted}", "occurred_at") from None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def mended(payload: Any, *, drop: bool) -> Any:
    """A payload that the schema refused, with what is plain put right; what is not plain stays and is refused.

    Null members say nothing and go; integers where the vendor wants an id as text become their digits. With `drop`
    optional fields of a hit go that are of a wrong kind.
    """
    if not isinstance(payload, dict):
        return payload
    kept = {word: _text(word, value) for word, value in payload.items() if value is not None}
    return {word: value for word, value in kept.items() if not (drop and _is_wrong(word, value))}


def _text(word: str, value: Any) -> Any:
    number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if number and word in TEXTS else value


def _is_wrong(word: str, value: Any) -> bool:
    field = FIELDS.get(word)
    if field is None or field.required:
        return False
    try:
        field.read(value)
    except Broken:
        return True
    return False
