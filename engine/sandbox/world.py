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
from engine.sandbox.faults import Fault, announced, fault, in_process
from engine.sandbox.flagship import PretendFlagship
from engine.sandbox.iterable import PretendIterable
from engine.sandbox.lumidatum import PretendLumidatum
from engine.sandbox.lumidatum_storage import PretendStorage


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
    beside: str = ""  # the vendor that it belongs to: it is served on a port of its own


PLACES = {
    "iterable": Place(PretendIterable, ("api.iterable.com", "api.eu.iterable.com"), {"iterable": "/api"}),
    "flagship": Place(
        PretendFlagship,
        ("decision.flagship.io", "cdn.flagship.io", "ariane.abtasty.com", "events.flagship.io"),
        {"flagship_decision": "/v2", "flagship_bucketing": "", "flagship_collect": "/", "flagship_batch": "/"},
    ),
    "lumidatum": Place(PretendLumidatum, ("www.lumidatum.com", "lumidatum.com"), {"lumidatum": ""}),
    "storage": Place(PretendStorage, ("storage.lumidatum.test",), {"storage": ""}, beside="lumidatum"),
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
        self.vendors = {n: place.make(clock, **own.get(n, {})) for n, place in PLACES.items() if not place.beside}
        self.vendors |= {n: getattr(self.vendors[place.beside], n) for n, place in PLACES.items() if place.beside}
        self.received: list[Received] = []
        self._hosts = {host: name for name, place in PLACES.items() for host in place.hosts}
        self._lock = threading.Lock()

    def handle(self, request: WireRequest) -> Response:
        """The answer; raises `NoAnswer` where the connection is lost."""
        return in_process(announced(self.answer(request)))

    def answer(self, request: WireRequest, place: str = "") -> Response:
        """The same, as a port needs it: an answer may be `Spoilt`. `place` is whose port it is, if one's own."""
        with self._lock:
            return self._answer(request, place)

    def urls(self, root: str) -> dict[str, str]:
        """Base addresses by name, below the address of a port; not of those with a port of their own."""
        return {
            name: f"{root}/{at}{path}"
            for at, place in PLACES.items()
            if not place.beside
            for name, path in place.paths.items()
        }

    @property
    def apart(self) -> list[str]:
        """The places that have a port of their own."""
        return [name for name, place in PLACES.items() if place.beside]

    def move(self, name: str, root: str) -> None:
        """A place with a port of its own is there from now on."""
        self.vendors[name].url = root  # type: ignore[attr-defined]

    def large(self, url: str, place: str) -> bool:
        """May a request to that address be of any size?"""
        name = place or urlsplit(url).path.lstrip("/").partition("/")[0]
        return bool(getattr(self.vendors.get(name), "large", False))

    def _answer(self, request: WireRequest, place: str) -> Response:
        parts = urlsplit(request.url)
        name, path = place or self._hosts.get(parts.hostname or "", ""), parts.path
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
                body = b"" if getattr(self.vendors[name], "large", False) else whole(request)
                self.received.append(Received(name, request.method, path, body))
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
