"""From what a vendor yields to what goes out."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from engine.model import Payloads, Request, Secret, WireRequest
from engine.plugin import Vendor

USER_AGENT = "engine/0.1"


def wire(vendor: Vendor, request: Request) -> WireRequest:
    """The request as it goes out. The vendor's headers go to the vendor's own origin only."""
    url = vendor.base_url + request.path if request.path.startswith("/") else request.path
    if request.params:
        url += ("&" if "?" in url else "?") + urlencode(request.params)
    headers: dict[str, str | Secret] = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
    if _origin(url) == _origin(vendor.base_url):
        headers |= vendor.headers()
    if request.json is not None:
        headers["Content-Type"] = "application/json"
    body = b"" if request.json is None else _encode(request.json)
    return WireRequest(request.method, url, {**headers, **request.headers}, body)


def _splice(value: Any) -> Any:
    if isinstance(value, Payloads):
        return value.raw
    raise TypeError(f"{type(value).__name__} cannot be part of a request")


_encode = msgspec.json.Encoder(enc_hook=_splice).encode


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port
