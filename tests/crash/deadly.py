"""A pretend vendor that kills its client, and remembers what came from it."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from engine.plugin import Response, WireRequest
from engine.sandbox.faults import Spoilt
from engine.sandbox.world import World


@dataclass
class Sent:
    """The payloads of one request, the people in them, and when a success went back, if one did.

    What was not answered well may always go again.
    """

    names: list[str]
    people: set[str]
    answered: float | None = None


class Deadly(World):
    """A world that may kill its client at one exact moment of its `at`-th exchange."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.exchanges = 0
        self.plan: tuple[int, str] | None = None  # which exchange, which moment
        self.victim: int | None = None
        self.log: list[Sent] = []  # each request that arrived, in order
        self._count = threading.Lock()

    def answer(self, request: WireRequest, place: str = "") -> Response:
        with self._count:
            self.exchanges += 1
            number = self.exchanges
            sent = contents(request)
            self.log.append(sent)
        self._strike(number, "arrived")
        response = super().answer(request, place)
        sent.answered = time.monotonic() if response.status == 200 and not isinstance(response, Spoilt) else None
        self._strike(number, "processed")
        if self.plan == (number, "answered") and self.victim:
            victim = self.victim
            threading.Timer(0.002, lambda: kill(victim)).start()
        return response

    def _strike(self, number: int, moment: str) -> None:
        if self.plan == (number, moment) and self.victim:
            kill(self.victim)


def contents(request: WireRequest) -> Sent:
    """What is in a request, by names that a repetition has, too; of other vendors' than Iterable its place."""
    if "/iterable/" not in request.url:
        return Sent([f"{request.method} {urlsplit(request.url).path}"], set())
    body = msgspec.json.decode(request.body)
    if "users" in body:
        named = [(f"user {user['email']} {user['dataFields']['n']}", user) for user in body["users"]]
    elif "events" in body:
        named = [(f"event {one['dataFields']['of']} {one['dataFields']['at']}", one) for one in body["events"]]
    else:
        named = [(f"purchase {body['dataFields']['of']}", body["user"])]
    return Sent([name for name, _ in named], {person["email"] for _, person in named})


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
