"""Semantic versions, with an optional leading `v` and with minor and patch left out where nobody needs them."""

from __future__ import annotations

import re
from functools import total_ordering

NUMBER = r"(0|[1-9][0-9]*)"
IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
PATTERN = re.compile(rf"v?{NUMBER}(?:\.{NUMBER}(?:\.{NUMBER}(?:-({IDENTIFIERS}))?(?:\+{IDENTIFIERS})?)?)?")


@total_ordering
class Version:
    """An order of versions by precedence: a pre-release comes before its release, build data does not count."""

    __slots__ = ("_key",)

    def __init__(self, numbers: tuple[str, ...], pre: tuple[str, ...]) -> None:
        ranks = tuple(_rank(part) for part in pre)
        self._key = (tuple(map(_magnitude, numbers)), not pre, ranks)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)


def parse(text: str) -> Version | None:
    """The version, or None for a text that is none."""
    found = PATTERN.fullmatch(text)
    if found is None:
        return None
    pre = tuple(found[4].split(".")) if found[4] else ()
    if any(part.isdigit() and len(part) > 1 and part.startswith("0") for part in pre):
        return None
    return Version((found[1], found[2] or "0", found[3] or "0"), pre)


def _magnitude(digits: str) -> tuple[int, str]:
    return len(digits), digits  # without leading zeros the order of numbers, whatever their length


def _rank(part: str) -> tuple[bool, tuple[int, str]]:
    return (False, _magnitude(part)) if part.isdigit() else (True, (0, part))
