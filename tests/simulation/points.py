"""The moments of a process's life at which it may die, or its disk may refuse, counted so that a plan can name them."""

from __future__ import annotations

import errno
from collections import Counter
from dataclasses import dataclass
from typing import Any

CALLS = ("write", "fsync", "truncate", "rename", "unlink", "commit")
MOMENTS = (
    *(f"{when} {call}" for call in CALLS for when in ("before", "after")),
    "torn write", "request sent", "request processed", "answer read",
)  # fmt: skip
REFUSALS = {  # what a disk says: the call that it strikes, and the error (None: the call does only a part)
    "write: no space": ("write", errno.ENOSPC),
    "write: short": ("write", None),
    "write: I/O error": ("write", errno.EIO),
    "fsync: I/O error": ("fsync", errno.EIO),
    "commit: disk full": ("commit", errno.ENOSPC),
    "commit: I/O error": ("commit", errno.EIO),
    "rename: I/O error": ("rename", errno.EIO),
}


class Crash(BaseException):
    """The process is dead: nothing it still does has an effect."""


@dataclass(frozen=True)
class Death:
    """Dies at the `nth` moment of that kind; with `power` what was not synced may be gone."""

    moment: str
    nth: int
    power: bool = False


@dataclass(frozen=True)
class Refusal:
    """The disk refuses the `nth` call; with `lasting` every one after it as well, as a full disk does."""

    kind: str
    nth: int
    lasting: bool = False


class Points:
    """The moments of one life. `fired` is what happened of what was planned."""

    def __init__(self, death: Death | None = None, refusal: Refusal | None = None) -> None:
        self.death, self.refusal = death, refusal
        self.dead = False
        self.fired: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()
        self._calls = 0
        self._call = REFUSALS[refusal.kind][0] if refusal else ""

    def reach(self, moment: str) -> None:
        """The process is at such a moment; raises `Crash` if it is its last."""
        if self.dead:
            raise Crash
        death = self.death
        if death is not None and death.moment == moment and self._last(moment):
            self.die()

    def torn(self) -> bool:
        """Does the process die within this write?"""
        return self.death is not None and self.death.moment == "torn write" and self._last("torn write")

    def _last(self, moment: str) -> bool:
        self._seen[moment] += 1
        assert self.death is not None
        return self._seen[moment] == self.death.nth

    def die(self) -> None:
        assert self.death is not None
        self.dead = True
        self.fired[f"crash {self.death.moment}"] += 1
        if self.death.power:
            self.fired["power cut"] += 1
        raise Crash

    def refused(self, call: str) -> tuple[bool, Any]:
        """Does the disk refuse this call, and with what error?"""
        refusal = self.refusal
        if refusal is None or call != self._call:
            return False, None
        self._calls += 1
        if self._calls == refusal.nth or (refusal.lasting and self._calls > refusal.nth):
            self.fired[refusal.kind] += 1
            return True, REFUSALS[refusal.kind][1]
        return False, None
