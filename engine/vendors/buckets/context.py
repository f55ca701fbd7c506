"""A visitor's context: what it starts with, which pairs it takes, and what of it leaves the machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from engine.vendors.buckets.document import Finding, shown

PRESET_NAMES: Mapping[str, str] = {
    "FS_ALL_USERS": "fs_all_users",
    "FS_USERS": "fs_users",
    "DEVICE_LOCALE": "sdk_deviceLanguage",
    "DEVICE_TYPE": "sdk_deviceType",
    "DEVICE_MODEL": "sdk_deviceModel",
    "LOCATION_CITY": "sdk_city",
    "LOCATION_REGION": "sdk_region",
    "LOCATION_COUNTRY": "sdk_country",
    "LOCATION_LAT": "sdk_lat",
    "LOCATION_LONG": "sdk_long",
    "IP": "sdk_ip",
    "OS_NAME": "sdk_osName",
    "OS_VERSION": "sdk_osVersion",
    "API_LEVEL": "sdk_apiLevel",
    "PYTHON_VERSION": "sdk_pythonVersion",
    "CARRIER_NAME": "sdk_carrierName",
    "DEV_MODE": "sdk_devMode",
    "FIRST_TIME_INIT": "sdk_firstTimeInit",
    "INTERNET_CONNECTION": "sdk_internetConnection",
    "APP_VERSION_NAME": "sdk_versionName",
    "APP_VERSION_CODE": "sdk_versionCode",
    "FS_VERSION": "sdk_fsVersion",
    "INTERFACE_NAME": "sdk_interfaceName",
}
"""The SDK's own name of each reserved key → the key."""

PRESETS: Mapping[str, str] = dict.fromkeys(PRESET_NAMES.values(), "")
"""What every context starts with; the blank keys take part in targeting."""

RESERVED = "fs_"
SCALARS = frozenset({str, int, float, bool})


class ContextReport(NamedTuple):
    values: dict[str, Any]
    refused: list[Finding]


def accept(pairs: Iterable[tuple[Any, Any]], *, lists: bool = False) -> ContextReport:
    """Keeps the pairs that a context takes, the last one of a key, and names the others.

    A key is a text (the empty one too), a value exactly a text, a number or a boolean; with `lists` (for
    `rules: server`) also a list of these.
    """
    return _into({}, pairs, lists)


def visitor_context(given: Mapping[Any, Any], *, lists: bool = False) -> ContextReport:
    """A new visitor's context: the blank presets overlaid with what is given."""
    return _into(dict(PRESETS), given.items(), lists)


def sendable(context: Mapping[str, Any], *, blank_presets: bool = True) -> dict[str, Any]:
    """What leaves the machine: no key that starts with `fs_` and, unless `blank_presets`, no unset preset."""
    return {
        key: value
        for key, value in context.items()
        if not key.startswith(RESERVED) and (blank_presets or value != "" or key not in PRESETS)
    }


def _into(values: dict[str, Any], pairs: Iterable[tuple[Any, Any]], lists: bool) -> ContextReport:
    refused: list[Finding] = []
    for key, value in pairs:
        if type(value) in SCALARS and type(key) is str:
            values[key] = value
            continue
        finding = _refusal(key, value, lists)
        if finding is None:
            values[key] = value
        else:
            refused.append(finding)
    return ContextReport(values, refused)


def _refusal(key: Any, value: Any, lists: bool) -> Finding | None:
    if type(key) is not str:
        return Finding("context-key", f"context key {shown(key)}", f"a key must be a text, not {type(key).__name__}")
    if lists and (type(value) is list and all(type(item) in SCALARS for item in value)):
        return None
    wanted = "a text, a number, true or false" + (", or a list of these" if lists else "")
    return Finding("context-value", f"context key {shown(key)}", f"the value must be {wanted}, not {_name(value)}")


def _name(value: Any) -> str:
    return "null" if value is None else type(value).__name__
