"""The visitor cache entry, as the SDK 2.1 reads and writes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

VERSION = 1


def read_entry(entry: Any, visitor_id: str) -> list[Any] | dict[str, Any] | None:
    """The remembered variation ids of an entry that is valid for this visitor; None for anything else.

    An empty list is a valid entry. The items are as found: the decider passes over those that are no ids. Where the
    entry holds them by group (`vgIds`, which the SDK passes over), they are given so.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("version"), int) or entry["version"] != VERSION:
        return None
    data = entry.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("vaIds"), list):
        return None
    owner = data.get("vId")
    if not isinstance(owner, str) or not owner or owner != visitor_id:
        return None
    groups = data.get("vgIds")
    return groups if isinstance(groups, dict) else data["vaIds"]


def write_entry(
    visitor_id: str, va_ids: Iterable[str | int], by_group: Mapping[Any, Any] | None = None
) -> dict[str, Any]:
    """The entry to save for a visitor, from `Decision.va_ids`; by the server's rules from `by_group`, too."""
    data: dict[str, Any] = {"vId": visitor_id, "vaIds": list(va_ids)}
    if by_group is not None:
        data["vgIds"] = {str(group): variation for group, variation in by_group.items()}
    return {"version": VERSION, "data": data}
