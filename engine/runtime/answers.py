"""What a transport makes of an answer that comes to it as lines of a head and pieces of a body."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

from engine.errors import NoAnswer, Unreadable

ANSWER_CAP = 16 * 1024 * 1024  # bytes, unpacked; what is longer is not read
GZIP, ZLIB = 31, 15  # what zlib calls them
PACKINGS = {"gzip": GZIP, "x-gzip": GZIP, "deflate": ZLIB}


def head_of(lines: Sequence[bytes]) -> tuple[int, dict[str, str]]:
    """Status and headers, names in lower case; no interim answers before the last head, no trailers after it."""
    headers: dict[str, str] = {}
    status, name, inside = 0, "", False
    for line in b"".join(lines).decode("latin-1").replace("\r\n", "\n").split("\n"):
        if not inside:
            if line.startswith("HTTP/"):
                status, headers, inside = int(line.split(None, 2)[1]), {}, True
        elif not line:
            inside = False
        elif line[0] in " \t":  # an old way to go on with the line before
            headers[name] = f"{headers.get(name, '')} {line.strip()}"
        else:
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return status, headers


def too_long() -> Unreadable:
    return Unreadable(f"an answer of more than {ANSWER_CAP} bytes")


def unpacked(headers: Mapping[str, str], body: bytes) -> bytes:
    """The body without its content encoding, within the cap; other encodings than ours stay as they are."""
    kind = PACKINGS.get(headers.get("content-encoding", "").strip().lower())
    if kind is None or not body:
        return body
    try:
        return _inflated(body, kind)
    except zlib.error as error:
        if kind != ZLIB:
            raise NoAnswer("the answer is packed, and damaged", ambiguous=True) from error
    try:
        return _inflated(body, -ZLIB)  # `deflate` comes with and without its header
    except zlib.error as error:
        raise NoAnswer("the answer is packed, and damaged", ambiguous=True) from error


def _inflated(body: bytes, kind: int) -> bytes:
    """All members, one after the other; what follows the last one and is none does not count."""
    found: list[bytes] = []
    left = ANSWER_CAP
    while body:
        inflate = zlib.decompressobj(kind)
        try:
            piece = inflate.decompress(body, left + 1)
        except zlib.error:
            if not found:
                raise
            break
        found.append(piece)
        left -= len(piece)
        if left < 0:
            raise too_long()
        body = inflate.unused_data if inflate.eof else b""
    return b"".join(found)
