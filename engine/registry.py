"""Name → class. Built-ins are a table of import strings; others come by entry points. A registry is a value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from typing import Any

KINDS = ("sources", "sinks", "lookups")
FILTERS = "filters"

BUILTIN: dict[str, dict[str, str]] = {
    "sources": {
        "file": "engine.sources.files:FileSource",
        "lumidatum_report": "engine.vendors.lumidatum:Lumidatum",
        "lumidatum_report_dates": "engine.vendors.lumidatum:Lumidatum",
    },
    "sinks": {
        "iterable": "engine.vendors.iterable:Iterable",
        "flagship": "engine.vendors.flagship:Flagship",
        "lumidatum": "engine.vendors.lumidatum_sink:LumidatumSink",
        "file": "engine.sinks.file:FileSink",
        "stdout": "engine.sinks.stdout:StdoutSink",
        "discard": "engine.sinks.discard:DiscardSink",
    },
    "lookups": {
        "flagship.decide": "engine.vendors.flagship_decide:Decide",
        "lumidatum.recommendations": "engine.vendors.lumidatum:Lumidatum",
        "lumidatum.recommendation_descriptions": "engine.vendors.lumidatum:Lumidatum",
        "lumidatum.lifetime_value": "engine.vendors.lumidatum:Lumidatum",
        "lumidatum.segmentation": "engine.vendors.lumidatum:Lumidatum",
    },
}


@dataclass(frozen=True)
class Registry:
    """What exists: kind (`sources`, `sinks`, `lookups`) → name → class or import string."""

    plugins: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def builtin(cls) -> Registry:
        return cls(BUILTIN)

    @classmethod
    def installed(cls) -> Registry:
        """The built-ins and every entry point of `engine.sources`, `.sinks`, `.lookups` and `.filters`."""
        found = {kind: dict(BUILTIN.get(kind, {})) for kind in (*KINDS, FILTERS)}
        points = entry_points()  # once for all groups: every installed package is looked at each time
        for kind in found:
            for point in points.select(group=f"engine.{kind}"):
                found[kind].setdefault(point.name, point.value)
        return cls(found)

    def with_plugin(self, kind: str, name: str, plugin: Any) -> Registry:
        """A registry that has one plugin more; this one stays as it is."""
        table = {**self.plugins, kind: {**self.plugins.get(kind, {}), name: plugin}}
        return replace(self, plugins=table)

    def names(self, kind: str) -> list[str]:
        return sorted(self.plugins.get(kind, {}))

    def load(self, kind: str, name: str) -> Any:
        """The class; raises KeyError for a name that does not exist."""
        plugin = self.plugins[kind][name]
        return _import(plugin) if isinstance(plugin, str) else plugin

    @cached_property
    def filters(self) -> dict[str, Callable[..., Any]]:
        """Third parties' filters by name; one that cannot be loaded is left out: whoever names it is told so."""
        found = {}
        for name in self.names(FILTERS):
            try:
                found[name] = self.load(FILTERS, name)
            except (ImportError, AttributeError):
                continue
        return found

    def schema(self, kind: str, name: str) -> dict[str, Any]:
        """The JSON Schema of a part: a file of `engine.schemas`, or the class's own `schema`.

        `properties` are its settings; for a sink `$defs` holds the payload schema of each action by its name.
        """
        plugin = self.plugins[kind][name]
        if isinstance(plugin, str) and plugin.startswith("engine."):
            return read_schema(f"{kind}/{name}.json")
        schema: dict[str, Any] = self.load(kind, name).schema
        return schema


@cache
def read_schema(path: str) -> dict[str, Any]:
    """A schema of the package by its path below `schemas/`."""
    schema: dict[str, Any] = json.loads(files("engine.schemas").joinpath(path).read_text("utf-8"))
    return schema


@cache
def _import(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


# The pretend vendors are found by name, like plugins: no room imports theirs.


def pretend_world(clock: Any, faults: list[Any]) -> Any:
    """All pretend vendors in one; `handle(request)` answers as they would."""
    return _import("engine.sandbox.world:World")(clock, faults=faults)


def pretend_server(world: Any, port: int) -> Any:
    """A context manager that serves a world on loopback; its `urls` name the vendors' addresses."""
    return _import("engine.sandbox.server:serve")(world, port=port)


def pretend_answer(says: dict[str, Any], answering: Any) -> Any:
    """The answer of `answering()` with a fault in it, or instead of it. Raises `InvalidPipeline` for what is none."""
    fault = _import("engine.sandbox.faults:fault")(says)
    return _import("engine.sandbox.faults:in_process")(fault.apply(answering)())
