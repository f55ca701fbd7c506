"""Keys that stand twice in one JSON object: a decoder keeps the last one and says nothing.

Outside texts a colon stands behind each key and nowhere else. So where the data have no more colons than the records
written anew, no key was lost; only where they differ is a record read once more, with care.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


class Doubled(ValueError):
    """A key stands twice; its name is the argument."""


def all_kept(data: bytes, records: list[dict[str, Any]]) -> bool:
    """Is it sure that `records` have every key that their JSON has? False: it is not sure."""
    colons = data.count(b":")
    if colons == sum(map(len, records)):
        return True
    escaped = b"\\u003" in data  # a colon within a text may be written so, and is not counted
    return not escaped and _encode(records).count(b":") == colons


def doubled_key(data: bytes) -> str | None:
    """The first key that stands twice in one object of a text that is known to be JSON."""
    try:
        json.loads(data, object_pairs_hook=_unique, parse_int=str, parse_float=str)
    except Doubled as found:
        return str(found)
    return None


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise Doubled(key)
        seen.add(key)
