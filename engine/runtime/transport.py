"""Everything that waits: `start` sends a request off, `wait` gives the answers that have come in.

`Threads` sends over `requests` at the level of its adapters, `Curl` (in `curl`) over libcurl; `Pretend` asks a
function in this process; `Dry` only writes down what would be sent. One loop drives them all, so a run over `Pretend`
repeats exactly.
"""

from __future__ import annotations

import heapq
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from queue import Empty, SimpleQueue
from typing import Protocol

from engine.errors import EngineError, NoAnswer
from engine.model import Response, WireRequest
from engine.runtime.clock import Clock
from engine.runtime.landing import asking, land
from engine.runtime.wire import defect

Answer = Response | EngineError  # an error is `NoAnswer` (send again) or `Halt` (nothing will work)
Completion = tuple[int, Answer]
MOST_THREADS = 128


class Transport(Protocol):
    def start(self, request: WireRequest, token: int, timeout: float) -> None:
        """Sends a request off; its answer will carry `token`. `timeout` is in seconds, for the whole exchange.

        What is wrong with the request is an answer, too.
        """
        ...

    def wait(self, until: float | None) -> list[Completion]:
        """The answers so far; waits for the first one until the moment `until` (None: as long as it takes)."""
        ...

    def wake(self) -> None:
        """Ends a `wait` early. May be called from a signal handler."""
        ...

    def close(self) -> None: ...


class Pretend:
    """Asks `handle` in this process. Delays pass on the clock that is handed in."""

    def __init__(self, handle: Callable[[WireRequest], Response], clock: Clock) -> None:
        self._handle, self._clock = handle, clock
        self._due: list[tuple[float, int, Completion]] = []
        self._order = count()
        self._woken = False

    def start(self, request: WireRequest, token: int, timeout: float) -> None:
        answer: Answer
        try:
            answer = landed(request, self._handle(asked(request)))
            delay = answer.delay
        except EngineError as error:
            answer, delay = error, 0.0
        if delay > timeout:
            answer, delay = NoAnswer(f"no answer within {timeout:g} s", ambiguous=True), timeout
        heapq.heappush(self._due, (self._clock.now() + delay, next(self._order), (token, answer)))

    def wait(self, until: float | None) -> list[Completion]:
        now = self._clock.now()
        moments = [m for m in (until, self._due[0][0] if self._due else None) if m is not None]
        if moments and min(moments) > now and not self._woken:
            self._clock.sleep(min(moments) - now)
            now = min(moments)
        self._woken = False
        found = []
        while self._due and self._due[0][0] <= now:
            found.append(heapq.heappop(self._due)[2])
        return found

    def wake(self) -> None:
        self._woken = True

    def close(self) -> None:
        self._due.clear()


def asked(request: WireRequest) -> WireRequest:
    """A request for a file, as it asks for what is still missing of it."""
    if request.into is None:
        return request
    return replace(request, headers={**request.headers, **asking(request.into)})


def landed(request: WireRequest, answer: Response) -> Response:
    """The answer to a request for a file, its body written there."""
    if request.into is None or answer.status not in (200, 206):
        return answer
    land(request.into, answer.status, answer.headers, [answer.body] if answer.body else [])
    return Response(answer.status, answer.headers, b"", answer.delay)


class Dry:
    """Sends nothing: gives each request to `show` and answers with an empty 200."""

    def __init__(self, show: Callable[[WireRequest], None]) -> None:
        self._show = show
        self._done: list[Completion] = []

    def start(self, request: WireRequest, token: int, timeout: float) -> None:
        self._show(request)
        self._done.append((token, Response(200)))

    def wait(self, until: float | None) -> list[Completion]:
        done, self._done = self._done, []
        return done

    def wake(self) -> None: ...

    def close(self) -> None: ...


class Threads:
    """Sends over `requests` on at most `size` daemon threads, each started when there is work for it.

    A request whose total deadline passes is answered with `NoAnswer` by the loop itself: a slow-dripping answer can
    hold a thread, never the run. The thread that is stuck is given up and replaced.
    What is more than `size` waits here, and its time begins when a thread is free for it: a request that was answered
    for is never sent any more.
    """

    def __init__(self, size: int, clock: Clock, exchange: Callable[[WireRequest, float], Response] | None = None):
        self._size, self._clock = min(size, MOST_THREADS), clock
        self._exchange, self._given = exchange, exchange is not None
        self._work: SimpleQueue[tuple[WireRequest, int, float] | None] = SimpleQueue()
        self._done: SimpleQueue[Completion | None] = SimpleQueue()
        self._deadlines: dict[int, float] = {}
        self._waiting: deque[tuple[WireRequest, int, float]] = deque()
        self._threads = 0

    def start(self, request: WireRequest, token: int, timeout: float) -> None:
        self._waiting.append((request, token, timeout))
        self._hand_out()

    def _hand_out(self) -> None:
        """Gives what waits to threads that are free, or new."""
        while self._waiting and len(self._deadlines) < self._size:
            try:
                if self._threads <= len(self._deadlines):
                    self._spawn()
            except Exception as error:
                if self._threads:
                    self._size = self._threads  # more there cannot be
                    return
                _, token, timeout = self._waiting.popleft()  # nobody is there to send it
                self._done.put((token, error if isinstance(error, EngineError) else defect(error)))
                self._deadlines[token] = self._clock.now() + timeout
                continue
            request, token, timeout = self._waiting.popleft()
            self._deadlines[token] = self._clock.now() + timeout
            self._work.put((request, token, timeout))

    def _spawn(self) -> None:
        if self._exchange is None:
            from engine.runtime.http import exchange  # late: requests is dear to import

            self._exchange = exchange()
        threading.Thread(target=self._serve, daemon=True, name="engine-transport").start()
        self._threads += 1

    def _serve(self) -> None:
        assert self._exchange is not None
        while (job := self._work.get()) is not None:
            request, token, timeout = job
            answer: Answer
            try:
                answer = self._exchange(request, timeout)
            except EngineError as error:
                answer = error
            except Exception as error:
                answer = defect(error)
            self._done.put((token, answer))

    def wait(self, until: float | None) -> list[Completion]:
        found = list(self._take(until))
        now = self._clock.now()
        for token in [t for t, deadline in self._deadlines.items() if deadline + 0.5 <= now]:
            del self._deadlines[token]
            self._threads -= 1  # its thread is stuck in the exchange
            found.append((token, NoAnswer("no whole answer within the time limit", ambiguous=True)))
        self._hand_out()
        return found

    def _take(self, until: float | None) -> Iterator[Completion]:
        limit = min(
            [d + 0.5 for d in self._deadlines.values()] + ([until] if until is not None else []), default=None
        )
        timeout = None if limit is None else max(0.0, limit - self._clock.now())
        if limit is None and not self._deadlines:
            return
        try:
            done = self._done.get(timeout=timeout) if timeout != 0 else self._done.get_nowait()
            while True:
                if done is not None and self._deadlines.pop(done[0], None) is not None:
                    yield done
                elif done is not None:
                    self._threads += 1  # a thread that was given up has come back
                done = self._done.get_nowait()
        except Empty:
            return

    def wake(self) -> None:
        self._done.put(None)

    def close(self) -> None:
        self._waiting.clear()
        for _ in range(self._threads):
            self._work.put(None)
        if not self._given:  # the giver's is the giver's to close: it may keep connections for the next transport
            getattr(self._exchange, "close", lambda: None)()
