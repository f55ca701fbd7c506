"""A pipeline that is sent to the pretend vendors of this process, whatever addresses it names."""

from __future__ import annotations

import inspect
from dataclasses import replace
from typing import Any

from engine.config.pipeline import Pipeline
from engine.registry import BUILTIN, Registry


def pretended(pipeline: Pipeline, registry: Registry) -> Pipeline:
    """The pipeline without the addresses of vendors: the pretend ones are where the real ones are.

    Addresses of files stay, and those of vendors that are not pretended.
    """

    def of(kind: str) -> dict[str, Any]:
        return {name: _unaddressed(kind, spec, registry) for name, spec in getattr(pipeline, kind).items()}

    return replace(pipeline, sources=of("sources"), lookups=of("lookups"), sinks=of("sinks"))


def _unaddressed(kind: str, spec: Any, registry: Registry) -> Any:
    if spec.type not in BUILTIN[kind] or not any(name.endswith("url") for name in spec.settings):
        return spec
    known = inspect.signature(registry.load(kind, spec.type)).parameters
    settings = {
        name: value for name, value in spec.settings.items()
        if not (name.endswith("url") and name in known and known[name].default is not inspect.Parameter.empty)
    }  # fmt: skip
    return replace(spec, settings=settings)
