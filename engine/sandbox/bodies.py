"""The body of a request as a pretend vendor reads it, also where the sender streams it from a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.plugin import WireRequest

PIECE = 1024 * 1024


def whole(request: WireRequest) -> bytes:
    """All bytes of a request's body."""
    body: Any = request.body
    return body if isinstance(body, bytes) else b"".join(body.chunks())


def pieces(request: WireRequest) -> Iterator[bytes]:
    """The same, piece by piece."""
    body: Any = request.body
    if isinstance(body, bytes):
        yield from (body[at : at + PIECE] for at in range(0, len(body), PIECE))
    else:
        yield from body.chunks()
