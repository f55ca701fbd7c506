"""Where a setting stands that a plugin refuses when it is made."""

from __future__ import annotations

from engine.config.pipeline import LookupSpec, SinkSpec, SourceSpec
from engine.errors import InvalidPipeline
from engine.model import Problem


def bad_setting(error: InvalidPipeline, kind: str, spec: SourceSpec | SinkSpec | LookupSpec) -> Problem:
    """At the setting where the message begins with its name, else at the part; `kind`: sources, sinks or lookups."""
    word = str(error).partition(":")[0]
    return Problem("bad-setting", str(error), (kind, spec.name, *([word] if word in spec.settings else [])))
