"""A checked pipeline file as frozen values: what the runtime is built from.

Durations are seconds (float), sizes bytes (int), ratios fractions (float), secrets `Secret`. Paths are absolute.
Expressions are still text: the mapping room compiles them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class SourceSpec:
    name: str
    type: str
    settings: Mapping[str, Any]  # for the plugin's constructor
    key: str | None = None
    mode: str = "full"  # full | append


@dataclass(frozen=True, slots=True)
class LookupSpec:
    name: str
    type: str
    settings: Mapping[str, Any]  # those of its connection included
    parameters: Mapping[str, Any]  # `with:`, expressions as text
    account: str = ""  # lookups and sinks with equal accounts share their pace: the connection's name, else the own
    concurrency: int | None = None
    rate_limit: RateLimit | None = None
    timeout: float | None = None
    retry: Retry = field(default_factory=lambda: Retry())
    cache_size: int = 10_000  # answers kept in memory during a run; 0: none
    cache_ttl: float | None = None  # seconds; None: as long as the run
    on_error: str = "reject"  # reject | null | halt


@dataclass(frozen=True, slots=True)
class Batching:
    """None: what the vendor's contract says."""

    max_records: int | None = None
    max_bytes: int | None = None
    max_wait: float | None = None


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`requests` per `per` seconds, at most `burst` at once; `requests` 0: no limit."""

    requests: float
    per: float = 1.0
    burst: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Waits double from `initial` to `max` seconds with full jitter; past either end the run halts."""

    max_attempts: int | None = None
    initial: float = 0.5
    max: float = 60.0
    multiplier: float = 2.0
    give_up_after: float = 900.0


@dataclass(frozen=True, slots=True)
class SinkSpec:
    name: str
    type: str
    settings: Mapping[str, Any]  # for the plugin's constructor, those of its connection included
    account: str  # sinks with equal accounts share their pace: the connection's name, else the sink's
    batch: Batching = Batching()
    rate_limit: RateLimit | None = None
    concurrency: int | None = None
    order: str | None = None
    timeout: float | None = None
    retry: Retry = Retry()


@dataclass(frozen=True, slots=True)
class MappingSpec:
    """A mapping as written. `when`, `each`, `key` are None where absent."""

    name: str
    source: str
    sink: str
    action: str
    fields: Any
    when: Any = None
    each: Any = None
    key: Any = None
    let: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)  # of the action, beside its payloads (`model_id`)


@dataclass(frozen=True, slots=True)
class Delivery:
    concurrency: int | None = None
    order: str | None = None  # per_key | strict | none


@dataclass(frozen=True, slots=True)
class Errors:
    max_ratio: float | None = None
    max_count: int | None = None
    scope: str = "mapping"  # mapping | record


@dataclass(frozen=True, slots=True)
class DeadLetters:
    path: Path
    include: tuple[str, ...] = ("record", "payload", "request", "response")
    redact: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipeline:
    name: str
    path: Path
    sources: Mapping[str, SourceSpec]
    sinks: Mapping[str, SinkSpec]
    mappings: Mapping[str, MappingSpec]
    dead_letters: DeadLetters
    state: Path
    lookups: Mapping[str, LookupSpec] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)
    delivery: Delivery = Delivery()
    errors: Errors = Errors()
    tests: tuple[Any, ...] = ()
    description: str = ""
