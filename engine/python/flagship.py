"""Flagship from Python, in the words of the SDK 2.1.

from engine.python.flagship import Config, Transaction, start

client = start("env-id", "api-key", Config(mode="bucketing", polling_interval=60))
visitor = client.create_visitor("customer-9", context={"plan": "pro"})
"""

from __future__ import annotations

import threading
import traceback
from pathlib import Path
from random import SystemRandom
from typing import Any

from engine.errors import Halt, NoAnswer
from engine.model import Response, Secret, WireRequest
from engine.plugin import Vendor
from engine.runtime.clock import Clock, SystemClock
from engine.runtime.courier import Memory
from engine.runtime.dialogue import Dialogue, Exchange
from engine.runtime.state import State
from engine.vendors.flagship_client import Client, Config, EventHandler
from engine.vendors.flagship_visitor import Visitor
from engine.vendors.flagship_vocabulary import (
    Event,
    EventCategory,
    Hit,
    Item,
    Page,
    Preset,
    Screen,
    Transaction,
)
from engine.vendors.flagship_wire import endpoints

__all__ = [
    "Client", "Config", "Event", "EventCategory", "EventHandler", "Hit", "Item", "Page", "Preset", "Screen",
    "Started", "Transaction", "Visitor", "start",
]  # fmt: skip


class Started(Client):
    """A client that asks for the bucketing file by itself, on a thread of its own, until `stop`."""

    _stopped: threading.Event
    _polling: threading.Thread | None = None

    def begin(self) -> None:
        """Brings the file, then asks again every `polling_interval` seconds."""
        self.start()
        self._stopped = threading.Event()
        if self.bucketing and self.config.polling_interval:
            self._polling = threading.Thread(target=self._poll, name="flagship-polling", daemon=True)
            self._polling.start()

    def stop(self) -> None:
        """Ends the polling."""
        self._stopped.set()
        if self._polling is not None:
            self._polling.join()

    def _poll(self) -> None:
        while not self._stopped.wait(self.config.polling_interval):
            try:
                self.poll()
            except Exception as error:  # the next poll may do better
                self.raised(error, traceback.format_exc())


class Forgetful:
    """A memory as long as the process."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes | None] = {}

    def recall(self, key: str) -> bytes | None:
        return self._kept.get(key)

    def remember(self, key: str, value: bytes | None) -> None:
        self._kept[key] = value


class Kept:
    """A memory in a state directory, beside that of pipelines. A database handle belongs to one thread."""

    def __init__(self, directory: Path) -> None:
        self._directory, self._lock = directory, threading.Lock()

    def recall(self, key: str) -> bytes | None:
        with self._lock:
            state = State(self._directory, "flagship")
            try:
                return state.recall("flagship", key)
            finally:
                state.close()

    def remember(self, key: str, value: bytes | None) -> None:
        with self._lock:
            state = State(self._directory, "flagship")
            try:
                state.remember("flagship", key, value)
            finally:
                state.close()


def start(
    env_id: str,
    api_key: str,
    config: Config | None = None,
    *,
    state: Path | None = None,
    exchange: Exchange | None = None,
    clock: Clock | None = None,
    chance: Any = None,
    memory: Memory | None = None,
    **urls: str,
) -> Started:
    """A client of an environment; in bucketing mode its file is there when this returns, if it can be had.

    `state` is a directory in which the file is kept between processes, by environment. `urls` are `decision_url`,
    `bucketing_url` and `collect_url`. `exchange`, `clock`, `chance` and `memory` are for tests.
    """
    config, clock = config or Config(), clock or SystemClock()
    places = endpoints(env_id, Secret(api_key), blank_presets=config.blank_presets, **urls)
    vendor = Vendor()
    vendor.base_url = places.decision_url
    memory = memory or (Kept(state) if state else Forgetful())
    dialogue = Dialogue(
        vendor, _named(exchange or _over_the_network()), clock, memory, lambda note: client.noted(note)
    )
    client = Started(places, config, dialogue.hold, clock.time, chance or SystemRandom())
    client.begin()
    return client


def _over_the_network() -> Exchange:
    from engine.runtime.http import exchange  # late: requests is dear to import

    return exchange()


def _named(exchange: Exchange) -> Exchange:
    """To a script, what halts a pipeline (TLS, an impossible address) is an answer that did not come."""

    def send(request: WireRequest, timeout: float) -> Response:
        try:
            return exchange(request, timeout)
        except Halt as error:
            raise NoAnswer(error.reason) from error

    return send
