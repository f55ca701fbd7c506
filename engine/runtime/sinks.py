"""Sinks at run time: a vendor with its lanes and pace, or a writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.config.pipeline import Retry
from engine.model import Request, WireRequest
from engine.plugin import Conversation, Vendor, Writer
from engine.runtime.counts import SinkCounts
from engine.runtime.lanes import Lanes
from engine.runtime.payloads import Check
from engine.runtime.rate import Bucket
from engine.runtime.spool import Spool
from engine.runtime.wire import wire


@dataclass(slots=True)
class SinkAction:
    """One action of one sink, with the limits that hold for it."""

    name: str
    check: Check
    max_records: int
    max_bytes: int
    bucket: Bucket
    method: Callable[..., Conversation]
    overhead: int = 256  # bytes that a body may have around its payloads
    key: Callable[[Any], Any] | None = None
    group: Callable[[Any], Any] | None = None
    mend: Callable[[Any], Any] | None = None
    prepare: Callable[[Any], Any] | None = None
    stable_id: str | None = None
    repeatable: Callable[[Any], bool] | None = None

    @property
    def max_payload(self) -> int:
        """The most bytes that one payload may have."""
        return self.max_bytes - self.overhead - 1


@dataclass(slots=True)
class VendorSink:
    name: str
    vendor: Vendor
    actions: Mapping[str, SinkAction]
    lanes: Lanes
    counts: SinkCounts
    retry: Retry
    timeout: float  # seconds for a whole exchange
    linger: float | None = None
    spool: Spool | None = None  # payloads that go as whole files

    def wire(self, request: Request) -> WireRequest:
        return wire(self.vendor, request)


@dataclass(slots=True)
class WriterSink:
    name: str
    writer: Writer
    actions: Mapping[str, SinkAction]
    counts: SinkCounts
