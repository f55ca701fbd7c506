"""Filters: functions of a value. A `RecordError` of theirs refuses the record with its reason."""

from engine.plugin import RecordError


def initials(value: str, separator: str = "") -> str:
    """The first letters of the words of a text."""
    if not isinstance(value, str):
        raise RecordError("bad-type", f"initials: needs a text, not {type(value).__name__}")
    return separator.join(word[0].upper() for word in value.split())
