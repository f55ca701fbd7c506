"""What may go over a wire: addresses in its letters, headers of one line each. Both transports ask here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from engine.model import Secret
from engine.runtime.wire import revealed

PLAIN = re.compile(
    r"https?://[A-Za-z0-9.\-]+(?::[0-9]{1,5})?(?:[/?](?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*)?", re.ASCII
)
NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
MORE_LINES = re.compile(r"[\r\n\0]")
LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def headers(given: Mapping[str, str | Secret]) -> dict[str, str]:
    """Headers as they go out, of two that differ in letter case only the last.

    `ValueError`, which shows no value, for what would be more than one line, is not Latin-1, or has no proper name.
    """
    shown = revealed(given)
    for name, value in shown.items():
        if not NAME.fullmatch(name) or MORE_LINES.search(value) or any(letter > "\xff" for letter in value):
            raise ValueError("a header that cannot be sent")
    return dict({name.lower(): (name, value) for name, value in shown.items()}.values())


def address(url: str) -> str:
    """The address in letters that may go over the wire. `ValueError` where it is none, or names a user."""
    if PLAIN.fullmatch(url):
        return url
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError("an address with a user, or of nowhere")
    _ = parts.port  # raises ValueError where it is none
    place = parts.netloc.encode("ascii" if parts.netloc.isascii() else "idna").decode()
    rest = parts.path + (f"?{parts.query}" if parts.query else "")
    return f"{parts.scheme}://{place}" + quote(LONE_PERCENT.sub("%25", rest), safe="-._~:/?@!$&'()*+,;=%")
