"""A clock that stands, and requests to a pretend Iterable."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.plugin import Response, Secret, WireRequest
from engine.sandbox.iterable import PretendIterable

US = "https://api.iterable.com/api"


class Standing:
    """A clock that a test moves by hand."""

    def __init__(self) -> None:
        self.moment = 1000.0

    def now(self) -> float:
        return self.moment


def request(
    path: str, said: Any = None, *, key: str | Secret = "k", method: str = "POST", base: str = US
) -> WireRequest:
    body = b"" if said is None else said if isinstance(said, bytes) else msgspec.json.encode(said)
    return WireRequest(method, base + path, {"Api-Key": key}, body)


class Caller:
    """Speaks to one pretend vendor."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Standing()
        self.vendor = PretendIterable(self.clock, **settings)

    def post(self, path: str, said: Any, **more: Any) -> Response:
        return self.vendor.handle(request(path, said, **more))

    def users(self, *users: Any, **flags: Any) -> Any:
        return self._told(self.post("/users/bulkUpdate", {"users": list(users), **flags}))

    def events(self, *events: Any) -> Any:
        return self._told(self.post("/events/trackBulk", {"events": list(events)}))

    def purchase(self, **said: Any) -> Response:
        item = {"id": "1", "name": "Thing", "price": 1, "quantity": 1}
        return self.post("/commerce/trackPurchase", {"items": [item], "total": 1, **said})

    def told(self, path: str, said: Any, **more: Any) -> Any:
        """A POST whose answer is JSON, with its status."""
        return self._told(self.post(path, said, **more))

    def delete(self, path: str) -> Any:
        return self._told(self.vendor.handle(request(path, method="DELETE")))

    def state(self) -> Any:
        return self.vendor.state()

    def person(self, **identifier: str) -> Any:
        (found,) = [p for p in self.state()["users"] if identifier.items() <= p.items()]
        return found["dataFields"]

    def _told(self, answer: Response) -> Any:
        self.clock.moment += 1  # what comes next is within the rate
        return answer.json() | {"status": answer.status}
