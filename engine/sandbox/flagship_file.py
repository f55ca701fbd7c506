"""The bucketing file of a pretend environment: small, and with something of everything that both rules read alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EVERYBODY = {"operator": "EQUALS", "key": "fs_all_users", "value": ""}
OPEN = [{"r": [0, 100]}]


def _group(name: str, targetings: list[Any], variations: list[Any]) -> dict[str, Any]:
    targeting = {"targetingGroups": [{"targetings": targetings}]}
    return {"id": name, "name": name, "targeting": targeting, "variations": variations}


def _variation(name: str, allocation: int, values: Mapping[str, Any], reference: bool = False) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "allocation": allocation,
        "reference": reference,
        "modifications": {"type": "JSON", "value": dict(values)},
    }


def _campaign(name: str, kind: str, *groups: Any) -> dict[str, Any]:
    return {
        "id": name,
        "type": kind,
        "name": name,
        "slug": None,
        "bucketRanges": OPEN,
        "variationGroups": list(groups),
    }


BUTTON = [
    _variation("button-blue", 50, {"btn-color": None, "btn-text": "Buy"}, reference=True),
    _variation("button-red", 50, {"btn-color": "red", "btn-text": "Buy now"}),
]
OFFER = [
    _variation("offer-none", 40, {"discount": 0}, reference=True),
    _variation("offer-small", 30, {"discount": 5}),
    _variation("offer-large", 30, {"discount": 15}),
]
FRENCH = {"operator": "EQUALS", "key": "country", "value": ["FR", "BE"]}
LOYAL = {"operator": "GREATER_THAN", "key": "orders", "value": 3}

DEMO: Mapping[str, Any] = {
    "panic": False,
    "accountSettings": {"enabledXPC": True, "enabled1V1T": False},
    "campaigns": [
        _campaign("button", "ab", _group("button-all", [EVERYBODY], BUTTON)),
        _campaign("offer", "perso", _group("offer-loyal", [FRENCH, LOYAL], OFFER)),
        _campaign(
            "checkout", "toggle", _group("checkout-on", [EVERYBODY], [_variation("on", 100, {"checkout": True})])
        ),
    ],
}
