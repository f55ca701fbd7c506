"""The fast transport: libcurl's multi interface, driven by the loop's own thread; hundreds of requests in flight.

libcurl says which sockets it waits for and when it wants to be called again; the waiting is ours, so that it can be
ended. Imported late, and only where `pycurl` is installed (`engine[fast]`).
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import certifi
import pycurl

from engine.errors import Halt
from engine.model import WireRequest
from engine.runtime.clock import Clock
from engine.runtime.transfer import Kind, Shared, Transfer, kind_of
from engine.runtime.transport import Completion

IN, OUT = select.POLLIN, select.POLLOUT
AT_ONCE = float("-inf")  # a moment that has always come
MASKS = {pycurl.POLL_IN: IN, pycurl.POLL_OUT: OUT, pycurl.POLL_INOUT: IN | OUT}


class Curl:
    """Sends over libcurl, at most `size` connections at once; what is more waits its turn.

    `ca_file`: whom to trust over TLS; None for the certificates that `requests` trusts.
    """

    def __init__(self, size: int, clock: Clock, ca_file: str | None = None) -> None:
        self._clock, self._shared = clock, Shared(ca_file or certifi.where())
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._remind)
        self._multi.setopt(pycurl.M_MAXCONNECTS, size)
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, size)
        self._idle: dict[Kind, list[Transfer]] = {}
        self._flying: dict[pycurl.Curl, Transfer] = {}
        self._done: list[Completion] = []
        self._due: float | None = None  # when libcurl wants to be called again
        self._masks: dict[int, int] = {}  # what is waited for on each socket
        self._resting: set[int] = set()  # sockets that libcurl waits for no more, and keeps
        self._poller, self._poll = _poller()
        self._hear, self._call = socket.socketpair()
        self._hear.setblocking(False)
        self._call.setblocking(False)
        self._poller.register(self._hear.fileno(), IN)

    def start(self, request: WireRequest, token: int, timeout: float) -> None:
        kind = kind_of(request)
        idle = self._idle.setdefault(kind, [])
        transfer = idle.pop() if idle else Transfer(kind, self._shared)
        try:
            transfer.begin(request, token, timeout)
            self._multi.add_handle(transfer.easy)
        except Halt as error:
            self._done.append((token, error))
            idle.append(transfer)
            return
        self._flying[transfer.easy] = transfer

    def wait(self, until: float | None) -> list[Completion]:
        woken = False
        if self._due is not None:  # something starts: over no connection that has ended meanwhile
            woken = self._look(0.0)
        while True:
            self._attend()
            now = self._clock.now()
            over = bool(self._done) or (until is None and not self._flying) or (until is not None and until <= now)
            woken = self._look(0.0 if over else self._patience(until, now)) or woken
            if over or woken or self._done:
                break
        found, self._done = self._done, []
        return found

    def wake(self) -> None:
        with suppress(OSError):  # full: it is awake already; closed: nobody waits
            self._call.send(b"\0")

    def close(self) -> None:
        for easy in self._flying:
            self._multi.remove_handle(easy)
        for transfer in [*self._flying.values(), *(t for idle in self._idle.values() for t in idle)]:
            transfer.close()
        self._flying.clear()
        self._idle.clear()
        self._multi.close()
        for each in (self._poller, self._hear, self._call):
            getattr(each, "close", lambda: None)()

    # --- the turns -----------------------------------------------------------------------------------------

    def _attend(self) -> None:
        """Calls libcurl where it wanted to be called, which also sends off what was started."""
        if self._due is not None and self._due <= self._clock.now():
            self._due = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            self._settle()

    def _patience(self, until: float | None, now: float) -> float | None:
        """Seconds to wait for something to happen; None: as long as it takes."""
        moments = [moment for moment in (until, self._due) if moment is not None]
        return max(0.0, min(moments) - now) if moments else None

    def _look(self, seconds: float | None) -> bool:
        """Waits for something to happen, and sees to it. True where it is a call to wake up."""
        woken = False
        events = self._poll(seconds)
        for number, event in events:
            if number in self._resting:
                self._ended(number)
            elif number == self._hear.fileno():
                woken = True
                with suppress(OSError):
                    self._hear.recv(4096)
            else:  # an error or an end is there to be read
                bits = pycurl.CSELECT_IN if event & ~OUT else 0
                self._multi.socket_action(number, bits | (pycurl.CSELECT_OUT if event & OUT else 0))
        if events:
            self._settle()
        return woken

    def _settle(self) -> None:
        """Takes what has come to its end."""
        left = 1
        while left:
            left, good, bad = self._multi.info_read()
            for easy in good:
                self._finish(easy, None)
            for easy, code, _ in bad:
                self._finish(easy, code)

    def _finish(self, easy: pycurl.Curl, failure: int | None) -> None:
        self._multi.remove_handle(easy)
        transfer = self._flying[easy]
        if transfer.stale:
            transfer.freshen()
            self._multi.add_handle(easy)
            return
        del self._flying[easy]
        self._done.append((transfer.token, transfer.end(failure)))
        self._idle[transfer.kind].append(transfer)

    # --- called by libcurl -----------------------------------------------------------------------------------

    def _watch(self, event: int, number: int, *_: object) -> None:
        """Wait for this on that socket. One that is kept for later is watched on: it may end while it rests."""
        if event == pycurl.POLL_REMOVE:
            self._resting.add(number)
            if self._masks.get(number, IN) == IN:
                return
        else:
            self._resting.discard(number)
        self._masks[number] = MASKS.get(event, IN)
        try:
            self._poller.modify(number, self._masks[number])
        except OSError:  # not known: a new one, perhaps by the number of one that was closed
            self._poller.register(number, self._masks[number])

    def _ended(self, number: int) -> None:
        """A socket that rests has something to tell: it has ended, or is about to. It is not to be used again."""
        self._resting.discard(number)
        self._masks.pop(number, None)
        with suppress(OSError):
            self._poller.unregister(number)
            resting = socket.socket(fileno=number)
            with suppress(OSError):
                self._shared.ended.add(resting.getsockname()[:2])
            resting.detach()

    def _remind(self, milliseconds: int) -> None:
        if milliseconds > 0:
            self._due = self._clock.now() + milliseconds / 1000
        else:
            self._due = AT_ONCE if milliseconds == 0 else None


def _poller() -> tuple[Any, Callable[[float | None], list[tuple[int, int]]]]:
    """The machine's best way to wait for many sockets, and how to ask it: epoll, elsewhere poll."""
    if hasattr(select, "epoll"):
        poller = select.epoll()
        return poller, poller.poll
    plain = select.poll()
    return plain, lambda seconds: plain.poll(None if seconds is None else seconds * 1000)
