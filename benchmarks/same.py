"""Are two files of JSON lines the same by content? Order of keys, spaces and 1 against 1.0 make no difference."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import msgspec

DECODE = msgspec.json.Decoder().decode
ENCODE = msgspec.json.Encoder(order="deterministic").encode


def difference(one: Path, other: Path, added: Sequence[str] = ()) -> str | None:
    """What differs first, in words; None: nothing. Lines may stand in another order.

    `added`: fields that every payload of `other` may have besides.
    """
    if _in_order(one, other):
        return None
    mine, theirs = _sorted(one), _sorted(other, added)
    for n, (a, b) in enumerate(zip_longest(mine, theirs)):
        if a != b:
            return f"payload {n + 1} of {len(mine)} and {len(theirs)}, sorted: {_shown(a)} against {_shown(b)}"
    return None


def _in_order(one: Path, other: Path) -> bool:
    with one.open("rb") as first, other.open("rb") as second:
        return all(
            a is not None and b is not None and (a == b or DECODE(a) == DECODE(b))
            for a, b in zip_longest(first, second)
        )


def _sorted(path: Path, added: Sequence[str] = ()) -> list[bytes]:
    with path.open("rb") as file:
        return sorted(ENCODE(_without(_plain(DECODE(line)), added)) for line in file)


def _without(payload: Any, added: Sequence[str]) -> Any:
    return {key: value for key, value in payload.items() if key not in added} if added else payload


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shown(line: bytes | None) -> str:
    return "nothing" if line is None else line.decode()[:300]
