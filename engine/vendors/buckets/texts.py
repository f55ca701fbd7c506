"""Values as the texts that CONTAINS, STARTS_WITH and ENDS_WITH compare."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def text(value: Any) -> str:
    """Python's display form: `True`, `1.0`, `1e+16`, `None`, `['a']`. Raises RecursionError for what is too deep."""
    try:
        return str(value)
    except ValueError:  # an integer of more digits than `str` takes on
        return format(Decimal(value), "f") if isinstance(value, int) else _display(value)


def _display(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_display(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_display, value)) + "]"
    return repr(value) if isinstance(value, str) else text(value)
