"""Letter case as the vendor's server sees it: one code point for one, never longer, in no language."""

from __future__ import annotations

DOTTED_I = "\u0130"


def lower(text: str) -> str:
    """Simple lower case, which STARTS_WITH, CONTAINS and orderings use."""
    return text.lower() if text.isascii() else "".join(point.lower()[0] for point in text)


def fold(text: str) -> str:
    """Simple case folding, which equality uses: the Kelvin sign equals `k`, `ß` does not equal `ss`."""
    return text.lower() if text.isascii() else "".join(map(_fold, text))


def _fold(point: str) -> str:
    if point == DOTTED_I:
        return point
    folded = point.casefold()
    return folded if len(folded) == 1 else point.lower()
