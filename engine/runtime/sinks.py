"""Sinks at run time: a vendor with its lanes and pace, or a writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from engine.config.pipeline import Retry
from engine.model import Payloads, Request, WireRequest
from engine.plugin import Conversation, Vendor, Writer
from engine.runtime.counts import SinkCounts
from engine.runtime.lanes import Lanes
from engine.runtime.payloads import Check
from engine.runtime.rate import Bucket

USER_AGENT = "engine/0.1"


def _splice(value: Any) -> Any:
    if isinstance(value, Payloads):
        return value.raw
    raise TypeError(f"{type(value).__name__} cannot be part of a request")


_encode = msgspec.json.Encoder(enc_hook=_splice).encode


@dataclass(slots=True)
class SinkAction:
    """One action of one sink, with the limits that hold for it."""

    name: str
    check: Check
    max_records: int
    max_bytes: int
    bucket: Bucket
    method: Callable[..., Conversation]
    overhead: int = 64  # bytes that a body has around its payloads
    key: Callable[[Any], Any] | None = None
    group: Callable[[Any], Any] | None = None
    mend: Callable[[Any], Any] | None = None
    stable_id: str | None = None


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

    def wire(self, request: Request) -> WireRequest:
        """The request as it goes out. The vendor's headers go to the vendor's own origin only."""
        url = self.vendor.base_url + request.path if request.path.startswith("/") else request.path
        if request.params:
            url += ("&" if "?" in url else "?") + urlencode(request.params)
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
        if _origin(url) == _origin(self.vendor.base_url):
            headers |= self.vendor.headers()  # type: ignore[arg-type]
        if request.json is not None:
            headers["Content-Type"] = "application/json"
        body = b"" if request.json is None else _encode(request.json)
        return WireRequest(request.method, url, {**headers, **request.headers}, body)


@dataclass(slots=True)
class WriterSink:
    name: str
    writer: Writer
    actions: Mapping[str, SinkAction]
    counts: SinkCounts


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port
