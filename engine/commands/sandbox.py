"""`engine sandbox`: the pretend vendors on loopback."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Sequence

from engine.commands.run import parse_faults
from engine.console import stdout
from engine.registry import pretend_server, pretend_world
from engine.runtime.clock import SystemClock


def serve(port: int, faults: Sequence[str]) -> int:
    """Serves until SIGINT or SIGTERM; prints `name url` lines first."""
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    world = pretend_world(SystemClock(), parse_faults(faults))
    with pretend_server(world, port) as server:
        for name, url in server.urls.items():
            stdout(f"{name} {url}\n")
        sys.stdout.flush()
        while not done.wait(1.0):
            pass
    return 0
