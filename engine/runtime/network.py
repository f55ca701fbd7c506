"""Which transport speaks with the world: libcurl where `engine[fast]` is installed, else `requests` on threads.

`ENGINE_TRANSPORT` says `curl` or `requests` where it matters which: to compare them, or to look for a fault.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from engine.errors import InvalidPipeline
from engine.model import WireRequest
from engine.runtime.clock import Clock
from engine.runtime.transport import Completion, Threads, Transport

SETTING = "ENGINE_TRANSPORT"
MOST_CONNECTIONS = 512


def over_the_network(size: int, clock: Clock, environ: Mapping[str, str] = os.environ) -> Transport:
    """A transport for `size` requests in flight. Raises `InvalidPipeline` where the setting cannot be obeyed."""
    wanted = environ.get(SETTING, "")
    if wanted == "curl":
        try:
            return curl(size, clock)
        except ImportError as error:
            raise InvalidPipeline(
                f"{SETTING}=curl needs pycurl ({error}): pip install 'engine[fast]', or unset {SETTING}"
            ) from error
    if wanted == "requests":
        return Threads(size, clock)
    if wanted:
        raise InvalidPipeline(f"{SETTING} is {wanted!r}; it can be 'curl' or 'requests', or unset")
    return Late(lambda: best(size, clock), clock)


def best(size: int, clock: Clock) -> Transport:
    """The fast one, if it is there and whole."""
    try:
        return curl(size, clock)
    except ImportError:
        return Threads(size, clock)


def curl(size: int, clock: Clock) -> Transport:
    """Raises `ImportError` where pycurl is missing, too old, or does not fit its libcurl."""
    from engine.runtime.curl import Curl  # late: most installations are without it, and it takes time

    return Curl(min(size, MOST_CONNECTIONS), clock)


class Late:
    """A transport that is made when there is something to send or to wait for."""

    def __init__(self, make: Callable[[], Transport], clock: Clock) -> None:
        self._make, self._clock = make, clock
        self._made: Transport | None = None
        self._woken = False

    def start(self, request: WireRequest, token: int, timeout: float) -> None:
        self._ready().start(request, token, timeout)

    def wait(self, until: float | None) -> list[Completion]:
        if self._made is None and (self._woken or until is None or until <= self._clock.now()):
            self._woken = False
            return []
        return self._ready().wait(until)

    def _ready(self) -> Transport:
        if self._made is None:
            self._made = self._make()
            if self._woken:  # meanwhile
                self._made.wake()
        return self._made

    def wake(self) -> None:
        self._woken = True
        if self._made is not None:
            self._made.wake()

    def close(self) -> None:
        if self._made is not None:
            self._made.close()
