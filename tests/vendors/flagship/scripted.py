"""A client over scripted replies: what the recordings' server answered, by route."""

from __future__ import annotations

import json
from random import Random
from typing import Any
from urllib.parse import urlsplit

from engine.model import Response, WireRequest
from engine.plugin import NoAnswer
from engine.python.flagship import Config, Started, start
from engine.runtime.clock import FakeClock

DEFAULTS: dict[str, dict[str, Any]] = {
    "campaigns": {"status": 200, "body": {"campaigns": []}},
    "events": {"status": 204},
    "activate": {"status": 204},
    "collect": {"status": 200},
    "cdn": {"status": 200, "body": {}},
}


def route(request: WireRequest) -> str:
    parts = urlsplit(request.url)
    if parts.hostname == "ariane.abtasty.com":
        return "collect"
    return "cdn" if parts.hostname == "cdn.flagship.io" else parts.path.strip("/").split("/")[-1]


class Server:
    """Gives the replies of a script in order; the last one of a route repeats."""

    def __init__(self, replies: dict[str, list[dict[str, Any]]]) -> None:
        self.replies = {name: list(those) for name, those in replies.items()}
        self.requests: list[WireRequest] = []
        self.timeouts: list[float] = []

    def exchange(self, request: WireRequest, timeout: float) -> Response:
        self.requests.append(request)
        self.timeouts.append(timeout)
        name = route(request)
        left = self.replies.get(name) or [DEFAULTS[name]]
        reply = left.pop(0) if len(left) > 1 else left[0]
        if reply.get("delay", 0) > timeout:
            raise NoAnswer(f"no answer within {timeout:g} s", ambiguous=True)
        if reply.get("lost"):
            raise NoAnswer("the connection was lost", ambiguous=True)
        body = reply.get("body", "")
        headers = {key.lower(): value for key, value in reply.get("headers", {}).items()}
        return Response(
            reply["status"], headers, body.encode() if isinstance(body, str) else json.dumps(body).encode()
        )

    def taken(self) -> list[WireRequest]:
        """The requests since the last time somebody looked."""
        taken, self.requests = self.requests, []
        return taken


class Handler:
    def __init__(self) -> None:
        self.said: list[tuple[int, str]] = []
        self.raised: list[BaseException] = []

    def on_log(self, level: int, message: str) -> None:
        self.said.append((level, message))

    def on_exception_raised(self, exception: BaseException, traceback: str) -> None:
        self.raised.append(exception)

    def levels(self, least: int = 30) -> list[int]:
        """The levels since the last time somebody looked, each once."""
        found = sorted({level for level, _ in self.said if level >= least})
        self.said = []
        return found


class Cache:
    """The SDK's visitor cache, remembering what was saved."""

    def __init__(self, entries: dict[str, Any] | None = None) -> None:
        self.entries = dict(entries or {})
        self.saved: list[Any] = []

    def lookup(self, visitor_id: str) -> Any:
        return self.entries.get(visitor_id)

    def save(self, visitor_id: str, entry: Any) -> None:
        self.entries[visitor_id] = entry
        self.saved.append([visitor_id, entry])


class Kept:
    """What is kept between processes."""

    def __init__(self, **entries: bytes) -> None:
        self.entries: dict[str, bytes | None] = dict(entries)

    def recall(self, key: str) -> bytes | None:
        return self.entries.get(key)

    def remember(self, key: str, value: bytes | None) -> None:
        self.entries[key] = value


def client(
    server: Server, *, env_id: str = "env", api_key: str = "key", kept: Kept | None = None, **config: Any
) -> Started:
    config.setdefault("polling_interval", 0)
    return start(
        env_id, api_key, Config(**config), exchange=server.exchange, clock=FakeClock(), chance=Random(1),
        memory=kept or Kept(),
    )  # fmt: skip


def campaign(number: int, **values: Any) -> dict[str, Any]:
    """A campaign of the Decision API's answer."""
    modifications = {"type": "JSON", "value": values}
    variation = {"id": f"v{number}", "modifications": modifications, "reference": False}
    return {"id": str(number), "variationGroupId": f"g{number}", "variation": variation}
