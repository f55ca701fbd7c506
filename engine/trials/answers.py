"""What a vendor's own rules can say of a payload of an action: read off the constants of its modules."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from engine.model import Verdict
from engine.plugin import Vendor

FOUND = ("rejected", "unknown")  # the outcomes that a dead letter tells of
DEPTH = 3  # tables inside tables: `KINDS[0].verdict`


def own_rules(vendor: type[Vendor], action: str) -> list[str]:
    """The codes of verdicts that the modules of an action hold as constants, in the order of the modules' names."""
    codes: dict[str, None] = {}
    methods = (vendor.actions()[action].method, vendor.refusal)
    for module in sorted(_modules({method.__module__ for method in methods}), key=lambda module: module.__name__):
        for value in vars(module).values():
            codes.update((verdict.code, None) for verdict in _verdicts(value, DEPTH) if verdict.outcome in FOUND)
    return list(codes)


def _modules(new: set[str]) -> set[ModuleType]:
    """These modules and those of the same package that they take things from, but the engine's own contract."""
    known: set[str] = set()
    while new:
        known |= new
        new = {other for name in new for other in _neighbours(sys.modules[name])} - known
    return {sys.modules[name] for name in known if name != Vendor.__module__}


def _neighbours(module: ModuleType) -> Iterator[str]:
    package = module.__name__.rpartition(".")[0]
    for value in vars(module).values():
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        if package and isinstance(name, str) and name.rpartition(".")[0] == package and name in sys.modules:
            yield name


def _verdicts(value: Any, depth: int) -> Iterator[Verdict]:
    if isinstance(value, Verdict):
        yield value
    elif depth and isinstance(value, tuple | list):
        for member in value:
            yield from _verdicts(member, depth - 1)
    elif depth and isinstance(value, Mapping):
        for member in value.values():
            yield from _verdicts(member, depth - 1)
