"""Date-times as Iterable reads them: `2024-05-01 10:00:00 +00:00`, with a fraction `2024-05-01T10:00:00.250+00:00`.

Others would be kept as plain text, and the first value of a field fixes its type for ever.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

TAKEN = re.compile(
    r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d( [+-]\d\d:\d\d)?|T\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d))",
    re.ASCII,
)  # the forms that are taken as they are; so are bare dates
DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?) ?([Zz]|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)


def in_data(payload: Any) -> Any:
    """The payload with the date-times of its `dataFields`, wherever these stand, in a form that is taken."""
    return _walked(payload, data=False)


def in_document(payload: Any) -> Any:
    """The same for the `value` of a catalog item."""
    return {**payload, "value": _walked(payload["value"], data=True)}


def as_taken(text: str) -> str:
    """An ISO date-time in a form that is taken, to the millisecond; without an offset it is in UTC. Else the text."""
    match = DATE_TIME.fullmatch(text)
    if match is None or TAKEN.fullmatch(text):
        return text
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{(match[3] or 'Z').upper()}").astimezone(UTC)
    except (ValueError, OverflowError):  # a 31st of April, an hour 25: no date-time after all
        return text
    if moment.microsecond >= 1000:
        return moment.isoformat(timespec="milliseconds")
    return moment.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds") + " +00:00"


def _walked(value: Any, *, data: bool) -> Any:
    if isinstance(value, str):
        return as_taken(value) if data else value
    if isinstance(value, dict):
        return {name: _walked(member, data=data or name == "dataFields") for name, member in value.items()}
    return [_walked(member, data=data) for member in value] if isinstance(value, list) else value
