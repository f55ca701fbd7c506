"""What is known of files by http(s) before any is fetched: how to ask, and what was seen of each address."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.plugin import Note

if TYPE_CHECKING:
    from engine.sources.web import WebFile

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one state of a file from another, as far as the server says."""

    etag: str = ""
    modified: str = ""
    size: int | None = None

    @property
    def condition(self) -> dict[str, str]:
        """Headers under which a range is given from this state only; empty where there are none."""
        if self.etag and not self.etag.startswith("W/"):
            return {"If-Match": self.etag}
        return {"If-Unmodified-Since": self.modified} if self.modified else {}

    def differs(self, other: Version) -> bool:
        """Do both say something, and not the same?"""
        pairs = ((self.etag, other.etag), (self.modified, other.modified), (self.size, other.size))
        return any(mine not in ("", None) and theirs not in ("", None) and mine != theirs for mine, theirs in pairs)


@dataclass(slots=True)
class Web:
    """How to fetch, and what was seen of each address during this run. Times are in seconds."""

    connect: float = 10.0
    read: float = 60.0
    retries: int = 5  # tries in a row that bring nothing new
    require_length: bool = False
    note: Callable[[Note], None] = lambda note: None
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic
    seen: dict[str, Version] = field(default_factory=dict)

    def open(self, url: str, name: str) -> WebFile:
        """The file at an address; `name` is for messages, which never show the query."""
        from engine.sources.web import WebFile  # late: requests is dear to import, and most files are local

        return WebFile(url, name, self)
