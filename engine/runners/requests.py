"""Requests as people are shown them: exactly what would be sent, its secrets masked."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.config.messages import printable_json
from engine.model import Stream, WireRequest
from engine.runtime.masks import Masker


def shown(request: WireRequest, mask: Masker) -> str:
    """A request as one line of JSON: `method`, `url`, `headers`, `body`."""
    headers = {name: str(value) for name, value in request.headers.items()}
    said = {"method": request.method, "url": request.url, "headers": headers, "body": _body(request)}
    return mask.json(printable_json(msgspec.json.encode(said).decode()))


def _body(request: WireRequest) -> Any:
    """A body as JSON; JSON Lines and other text as text, a file by its place and size."""
    body = request.body
    if isinstance(body, Stream):
        return {"file": body.path, "size": body.size}
    try:
        msgspec.json.decode(body or b"null")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")
    return msgspec.Raw(body or b"null")
