"""The pretend vendors of one process, asked by others: with one memory, and one count for their faults.

Requests and answers go over a socket in a folder that only its owner can enter.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from tempfile import TemporaryDirectory

from engine.errors import EngineError, NoAnswer
from engine.model import Response, WireRequest
from engine.runtime.clock import Clock
from engine.runtime.transport import Threads

Handle = Callable[[WireRequest], Response]


@dataclass(frozen=True)
class Address:
    """Where to ask, and what lets one in."""

    path: str
    key: bytes


@contextmanager
def served(handle: Handle) -> Iterator[Address]:
    """Answers requests by `handle`, which may be called from several threads, as long as the context lasts."""
    with TemporaryDirectory(prefix="engine-") as folder:
        address = Address(str(Path(folder) / "vendors"), os.urandom(32))
        with Listener(address.path, "AF_UNIX", backlog=64, authkey=address.key) as listener:
            threading.Thread(target=_accept, args=(listener, handle), daemon=True).start()
            yield address


def _accept(listener: Listener, handle: Handle) -> None:
    while True:
        try:
            connection = listener.accept()
        except (OSError, EOFError):
            return  # closed
        except AuthenticationError:  # somebody who does not know the key
            continue
        threading.Thread(target=_serve, args=(connection, handle), daemon=True).start()


def _serve(connection: Connection, handle: Handle) -> None:
    with connection, suppress(EOFError, OSError):
        while True:
            request: WireRequest = connection.recv()
            try:
                answer: Response | EngineError = handle(request)
            except EngineError as error:
                answer = error
            connection.send(answer)


def relayed(address: Address, size: int, clock: Clock) -> Threads:
    """A transport to what is served there."""
    local = threading.local()

    def ask(request: WireRequest, timeout: float) -> Response:
        try:
            if not hasattr(local, "connection"):
                local.connection = Client(address.path, "AF_UNIX", authkey=address.key)
            local.connection.send(request)
            answer: Response | EngineError = local.connection.recv()
        except (EOFError, OSError) as error:
            raise NoAnswer("the pretend vendors are gone", ambiguous=True) from error
        delay = answer.delay if isinstance(answer, Response) else 0.0
        clock.sleep(min(delay, timeout))
        if delay > timeout:
            raise NoAnswer(f"no answer within {timeout:g} s", ambiguous=True)
        if isinstance(answer, EngineError):
            raise answer
        return answer

    return Threads(size, clock, ask)
