"""The body of a request as a pretend vendor reads it: whole, also where the sender streams it from a file."""

from __future__ import annotations

from typing import Any

from engine.plugin import WireRequest


def whole(request: WireRequest) -> bytes:
    """All bytes of a request's body."""
    body: Any = request.body
    return body if isinstance(body, bytes) else b"".join(body.chunks())
