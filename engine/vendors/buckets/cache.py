"""The visitor cache entry, as the SDK 2.1 reads and writes it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

VERSION = 1


def read_entry(entry: Any, visitor_id: str) -> list[Any] | None:
    """The remembered variation ids of an entry that is valid for this visitor; None for anything else.

    An empty list is a valid entry. The items are as found: the decider passes over those that are no ids.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("version"), int) or entry["version"] != VERSION:
        return None
    data = entry.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("vaIds"), list):
        return None
    owner = data.get("vId")
    return data["vaIds"] if isinstance(owner, str) and owner and owner == visitor_id else None


def write_entry(visitor_id: str, va_ids: Iterable[str | int]) -> dict[str, Any]:
    """The entry to save for a visitor, from `Decision.va_ids`."""
    return {"version": VERSION, "data": {"vId": visitor_id, "vaIds": list(va_ids)}}
