"""A pipeline that is sent to the pretend vendors of this process, whatever addresses it names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from engine.config.pipeline import Pipeline
from engine.plugin import Vendor
from engine.registry import BUILTIN, Registry


def pretended(pipeline: Pipeline, registry: Registry) -> Pipeline:
    """The pipeline without the addresses of vendors: the pretend ones are where the real ones are.

    Addresses of files stay, and those of vendors that are not pretended.
    """

    def of(kind: str) -> dict[str, Any]:
        return {name: _unaddressed(kind, spec, registry) for name, spec in getattr(pipeline, kind).items()}

    return replace(pipeline, sources=of("sources"), lookups=of("lookups"), sinks=of("sinks"))


def unpretended(pipeline: Pipeline, registry: Registry) -> list[str]:
    """Vendors of other packages that the pipeline speaks with: nothing in this process answers as they do."""
    kinds: dict[str, Mapping[str, Any]] = {
        "sources": pipeline.sources, "lookups": pipeline.lookups, "sinks": pipeline.sinks
    }  # fmt: skip
    types = {(kind, spec.type) for kind, specs in kinds.items() for spec in specs.values()}
    foreign = ((kind, name) for kind, name in types if name not in BUILTIN[kind])
    found = (name for kind, name in foreign if _is_vendor(registry.load(kind, name)))
    return sorted({name.partition(".")[0] for name in found})


def _is_vendor(plugin: Any) -> bool:
    return isinstance(plugin, type) and issubclass(plugin, Vendor)


def _unaddressed(kind: str, spec: Any, registry: Registry) -> Any:
    if spec.type not in BUILTIN[kind] or not any(name.endswith("url") for name in spec.settings):
        return spec
    known = inspect.signature(registry.load(kind, spec.type)).parameters
    settings = {
        name: value for name, value in spec.settings.items()
        if not (name.endswith("url") and name in known and known[name].default is not inspect.Parameter.empty)
    }  # fmt: skip
    return replace(spec, settings=settings)
