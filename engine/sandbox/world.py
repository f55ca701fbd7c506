"""All pretend vendors together: routes a request to its vendor, lets faults strike, remembers what was accepted.

In process a vendor is found by its real host; on a port by the first part of the path. Another vendor joins by a line
in `PLACES`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import msgspec

from engine.plugin import Response, WireRequest
from engine.sandbox.bodies import whole
from engine.sandbox.faults import Fault, fault, in_process
from engine.sandbox.flagship import PretendFlagship
from engine.sandbox.iterable import PretendIterable


class Clock(Protocol):
    def now(self) -> float:
        """Monotonic seconds."""
        ...


class PretendVendor(Protocol):
    """A vendor's stand-in. The path of the request's address is the one the vendor itself would see."""

    def handle(self, request: WireRequest) -> Response: ...

    def state(self) -> Any:
        """What it remembers, as a JSON value."""
        ...


@dataclass(frozen=True)
class Place:
    """A vendor and where it is: its real hosts, and its base addresses (name → path) on a port."""

    make: Callable[..., PretendVendor]
    hosts: tuple[str, ...]
    paths: Mapping[str, str]


PLACES = {
    "iterable": Place(PretendIterable, ("api.iterable.com", "api.eu.iterable.com"), {"iterable": "/api"}),
    "flagship": Place(
        PretendFlagship,
        ("decision.flagship.io", "cdn.flagship.io", "ariane.abtasty.com", "events.flagship.io"),
        {"flagship_decision": "/v2", "flagship_bucketing": "", "flagship_collect": "/", "flagship_batch": "/"},
    ),
}


class Received(NamedTuple):
    """A request that a vendor accepted."""

    vendor: str
    method: str
    path: str
    body: bytes


class World:
    """The pretend vendors with one clock. `faults` are maps or `Fault`s; `settings` are given to vendors by name.

    May be called from several threads; the vendors do their work one request at a time.
    """

    def __init__(
        self,
        clock: Clock,
        faults: Iterable[Fault | Mapping[str, Any]] = (),
        settings: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        own = settings or {}
        self.faults = [given if isinstance(given, Fault) else fault(given) for given in faults]
        self.vendors = {name: place.make(clock, **own.get(name, {})) for name, place in PLACES.items()}
        self.received: list[Received] = []
        self._hosts = {host: name for name, place in PLACES.items() for host in place.hosts}
        self._lock = threading.Lock()

    def handle(self, request: WireRequest) -> Response:
        """The answer; raises `NoAnswer` where the connection is lost."""
        return in_process(self.answer(request))

    def answer(self, request: WireRequest) -> Response:
        """The same, as a port needs it: an answer may be `Spoilt`."""
        with self._lock:
            return self._answer(request)

    def urls(self, root: str) -> dict[str, str]:
        """Base addresses by name, below the address of a port."""
        return {name: f"{root}/{at}{path}" for at, place in PLACES.items() for name, path in place.paths.items()}

    def _answer(self, request: WireRequest) -> Response:
        parts = urlsplit(request.url)
        name, path = self._hosts.get(parts.hostname or "", ""), parts.path
        if not name:
            name, _, path = path.lstrip("/").partition("/")
            path = f"/{path}"
        if name not in self.vendors:
            return self._look(name)
        if path != parts.path:
            request = replace(request, url=parts._replace(path=path).geturl())
        return self._through_faults(name, path, request)

    def _through_faults(self, name: str, path: str, request: WireRequest) -> Response:
        def work() -> Response:
            response = self.vendors[name].handle(request)
            if 200 <= response.status < 300:
                self.received.append(Received(name, request.method, path, whole(request)))
            return response

        answering: Callable[[], Response] = work
        for striking in [one for one in self.faults if one.strikes(name, path)]:
            answering = striking.apply(answering)
        return answering()

    def _look(self, page: str) -> Response:
        """What people look at: `/_received` and `/_state`."""
        if page == "_received":
            return _page([one._asdict() | {"body": _value(one.body)} for one in self.received])
        if page == "_state":
            return _page({name: vendor.state() for name, vendor in self.vendors.items()})
        known = ", ".join([*self._hosts, *(f"/{name}" for name in self.vendors), "/_received", "/_state"])
        return Response(404, {"content-type": "text/plain"}, f"Not pretended. Here are: {known}\n".encode())


def _page(value: Any) -> Response:
    return Response(200, {"content-type": "application/json"}, msgspec.json.encode(value))


def _value(body: bytes) -> Any:
    """A body as a JSON value; as text where it is none."""
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")
