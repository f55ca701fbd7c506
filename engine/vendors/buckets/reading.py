"""Reading one flag of what a visitor holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.plugin import RecordError

DEFAULTS = (str, bool, int, float, dict, list)


class Reading(NamedTuple):
    """`found`: the visitor holds the flag. `exposed`: an activation is due if one was asked for."""

    value: Any
    found: bool
    exposed: bool


def modification(
    held: Mapping[str, Any], key: str, default: Any, *, panic: bool = False, type_mismatch: str = "value"
) -> Reading:
    """The value of a flag as it is, or the default: in panic, for a flag not held and for a null value.

    `type_mismatch="default"` gives the default for a value of another kind as well. Raises `RecordError` where the
    default is no text, number, boolean, object or list.
    """
    if not isinstance(default, DEFAULTS):
        raise RecordError("flag-default", f"The default of flag {key!r} must not be {type(default).__name__}.", key)
    if panic or key not in held:
        return Reading(default, False, False)
    value = held[key]
    if value is None:
        return Reading(default, True, True)
    if type_mismatch == "default" and not _same_kind(value, default):
        return Reading(default, True, False)
    return Reading(value, True, True)


def _same_kind(value: Any, default: Any) -> bool:
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(value, int | float):
        return isinstance(default, int | float)
    return type(value) is type(default)
