"""Bucketing files in few words."""

from __future__ import annotations

from typing import Any

ALL = {"operator": "EQUALS", "key": "fs_all_users", "value": ""}
OPEN = [{"r": [0, 100]}]


def rule(operator: str, key: str, value: Any) -> dict[str, Any]:
    return {"operator": operator, "key": key, "value": value}


def variation(name: str, allocation: Any = 100, **values: Any) -> dict[str, Any]:
    modifications = {"type": "JSON", "value": values or {f"flag_{name}": name}}
    return {"id": name, "allocation": allocation, "modifications": modifications}


def group(name: str, *variations: Any, any_of: Any = ((ALL,),)) -> dict[str, Any]:
    entries = [{"targetings": list(rules)} for rules in any_of]
    return {"id": name, "targeting": {"targetingGroups": entries}, "variations": list(variations)}


def campaign(name: str, *groups: Any, type: str = "ab", ranges: Any = OPEN) -> dict[str, Any]:
    return {"id": name, "type": type, "bucketRanges": ranges, "variationGroups": list(groups)}


def file(*campaigns: Any, **more: Any) -> dict[str, Any]:
    return {"campaigns": list(campaigns), **more}


def targeted(*rules: Any) -> dict[str, Any]:
    """A file whose one campaign everybody gets for whom all rules hold."""
    return file(campaign("c", group("g", variation("v"), any_of=[rules])))
