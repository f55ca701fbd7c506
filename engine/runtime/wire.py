"""From what a vendor yields to what goes out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from engine.errors import Halt
from engine.model import Payloads, Request, Secret, Stream, WireRequest
from engine.plugin import Vendor, origin

USER_AGENT = "engine/0.1"


def wire(vendor: Vendor, request: Request) -> WireRequest:
    """The request as it goes out. The vendor's headers go to the vendor's own origin only."""
    url = vendor.base_url + request.path if request.path.startswith("/") else request.path
    own = not request.bare and _same_origin(url, vendor.base_url)
    if request.params:
        url += ("&" if "?" in url else "?") + urlencode(request.params)
    headers: dict[str, str | Secret] = {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"}
    if own:
        headers |= vendor.headers()
    body: bytes | Stream = b""
    if request.body is not None:
        body = request.body
    elif request.json is not None:
        headers["Content-Type"] = "application/json"
        body = _encode(request.json)
    if request.into is not None:
        headers["Accept-Encoding"] = "identity"
    return WireRequest(request.method, url, {**headers, **request.headers}, body, request.into)


def revealed(headers: Any) -> dict[str, str]:
    """Header values as they go over the wire: only a transport calls this."""
    return {name: value.reveal() if isinstance(value, Secret) else value for name, value in headers.items()}


@lru_cache(256)
def _same_origin(url: str, base_url: str) -> bool:
    return origin(url) == origin(base_url)


def host(url: str) -> str:
    """Whom an address leads to, as messages name it."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError:  # no address at all
        return ""


def defect(error: Exception) -> Halt:
    """An error that nobody expected of a request. Its text is not shown: it may hold a key."""
    return Halt(f"the request could not be made: {type(error).__name__}", code="request")


def _splice(value: Any) -> Any:
    if isinstance(value, Payloads):
        return value.array
    raise TypeError(f"{type(value).__name__} cannot be part of a request")


_encode = msgspec.json.Encoder(enc_hook=_splice).encode
