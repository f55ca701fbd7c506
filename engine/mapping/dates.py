"""Dates: texts in, texts or numbers out. A date without a zone is taken in `tz` (default UTC)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from engine.mapping.convert import UNSET
from engine.mapping.values import bad_type, bad_value, show

LONGEST = 64
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIRECTIVES = set("aAbBdfHIjmMpSyYz%")
DAY_ONE = date(1970, 1, 1).toordinal()
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_FINE = re.compile(r"[+-]\d\d:?\d\d\Z")
_ISO_START = re.compile(r"\d{4}-?\d\d-?\d\d")


def parse_date(value: Any, format: str | None = None, tz: str = "UTC", default: Any = UNSET) -> Any:
    """`"31/12/2024" | parse_date("%d/%m/%Y")` is `"2024-12-31T00:00:00+00:00"`; without a format: ISO 8601."""
    try:
        return _written(_read(value, format, tz, "s"))
    except (ValueError, OverflowError):
        return _unread("parse_date", value, default)


def iso(value: Any, tz: str = "UTC", unit: str = "s", default: Any = UNSET) -> Any:
    """ISO 8601 with a zone, from ISO 8601 or from a number of seconds (`unit="ms"`: milliseconds) since 1970."""
    try:
        return _written(_read(value, None, tz, unit))
    except (ValueError, OverflowError):
        return _unread("iso", value, default)


def epoch(value: Any, tz: str = "UTC", default: Any = UNSET) -> Any:
    """Whole seconds since 1970 from ISO 8601: `"1970-01-02" | epoch` is 86400."""
    try:
        return _micros(_read(value, None, tz, "s")) // 1_000_000
    except (ValueError, OverflowError):
        return _unread("epoch", value, default)


def epoch_ms(value: Any, tz: str = "UTC", default: Any = UNSET) -> Any:
    """Whole milliseconds since 1970 from ISO 8601: `"1970-01-02" | epoch_ms` is 86400000."""
    try:
        if tz == "UTC" and value.__class__ is str and _DAY.match(value):  # what most exports hold
            return (date.fromisoformat(value).toordinal() - DAY_ONE) * 86_400_000
        return _micros(_read(value, None, tz, "s")) // 1000
    except (ValueError, OverflowError):
        return _unread("epoch_ms", value, default)


def _unread(name: str, value: Any, default: Any) -> Any:
    if default is not UNSET:
        return default
    raise bad_value(f"{name}: {show(value)} is not a date it can read") from None


def _read(value: Any, format: str | None, tz: str, unit: str) -> datetime:
    zone = UTC if tz == "UTC" else _zone(tz)
    if value.__class__ in (int, float) and format is None:
        if unit not in ("s", "ms"):
            raise bad_type("unit must be s or ms")
        seconds = value if unit == "s" else value / 1000
        return (EPOCH + timedelta(seconds=seconds)).astimezone(zone)
    if value.__class__ is not str or len(value) > LONGEST:
        raise ValueError(value)
    if format is None:
        text = value.strip()
        if not _ISO_START.match(text) or not text.isascii():
            raise ValueError(value)
        read = datetime.fromisoformat(text)
    else:
        read = datetime.strptime(value.strip(), _safe(format))  # noqa: DTZ007 (the zone is set below)
    return read if read.tzinfo is not None else read.replace(tzinfo=zone)


DATE_ARGUMENTS = {"parse_date": ("format", "tz"), "iso": ("tz", "unit"), "epoch": ("tz",), "epoch_ms": ("tz",)}
"""What follows the value of a filter for dates, in order."""


def check_argument(name: str, value: Any) -> None:
    """Raises where a filter for dates could read nothing at all with this `format` or `tz`."""
    _zone(value) if name == "tz" else _safe(value)


def _safe(format: Any) -> str:
    """A format whose meaning does not hang on the machine's language or zone."""
    if format.__class__ is not str or len(format) > LONGEST:
        raise bad_type("parse_date: format must be a short text such as '%d/%m/%Y'")
    unknown = set(re.findall(r"%(.?)", format, re.DOTALL)) - _DIRECTIVES
    if unknown:
        raise bad_type(f"parse_date: the format has an unknown directive %{min(unknown)}")
    return format


@lru_cache(maxsize=64)
def _zone_of(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    if _FINE.match(name):
        hours, minutes = int(name[1:3]), int(name[-2:])
        offset = timedelta(hours=hours, minutes=minutes)
        return timezone(-offset if name[0] == "-" else offset)
    return ZoneInfo(name)


def _zone(name: Any) -> tzinfo:
    try:
        return _zone_of(name if name.__class__ is str and len(name) <= LONGEST else "")
    except (ValueError, OSError, KeyError):
        raise bad_type(f"tz: {show(name)} is no time zone such as Europe/Paris or +02:00") from None


def _written(moment: datetime) -> str:
    return moment.isoformat()


def _micros(moment: datetime) -> int:
    since = moment - EPOCH
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds
