"""Functions of expressions: `skip`, `reject`, `coalesce`; and the recipe of `record_id`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from engine.errors import RecordError
from engine.mapping.values import Missing, Signal, Skip, demand, show

ID_LENGTH = 32  # hex digits: 128 bits


def skip(why: Any = "") -> Signal:
    """Leaves the record (or the element of `each`) out, once somebody needs the value."""
    text = _why(why)
    return Signal(lambda: Skip(text))


def reject(why: Any = "") -> Signal:
    """Buries the record, once somebody needs the value."""
    text = _why(why) or "rejected by the mapping"
    return Signal(lambda: RecordError("rejected", text))


def _why(why: Any) -> str:
    return demand(why) if isinstance(why, str) else show(demand(why))


def coalesce(values: Iterable[Any]) -> Any:
    """The first that is neither missing nor null; those behind it are not computed."""
    for value in values:
        if value is not None and not isinstance(value, Missing):
            return value
    return Missing("coalesce: every value is missing or null")


def record_id(pipeline: str, source: str, identity: Any) -> str:
    """32 hex digits that are the same in every run, for the same pipeline, source and identity.

    `identity` is the value of the source's `key`, or file and line where the source has none.
    """
    what = msgspec.json.encode([pipeline, source, identity])
    return hashlib.sha256(what).hexdigest()[:ID_LENGTH]
