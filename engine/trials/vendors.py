"""Vendors that answer as a test says, and as the pretend vendors do where it says nothing. Requests are kept.

An answer is `{status: 503}`, `{status: 200, body: {…}}` or a fault of the sandbox (`{reset: after}`, `{cut: 10}`). It
is given once, or `times` often (`always`), to requests whose path begins with `path`, if it names one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from engine.errors import InvalidPipeline, NoAnswer
from engine.model import Response, Stream, WireRequest
from engine.registry import pretend_answer, pretend_world
from engine.trials.given import decoded


@dataclass(frozen=True)
class Sent:
    """A request that went out, and the status of its answer (None: the connection was lost)."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: Any
    status: int | None = None

    @property
    def path(self) -> str:
        """Path and query."""
        parts = urlsplit(self.url)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def to_json(self) -> dict[str, Any]:
        """As a test may expect it; header values that are secret are masked."""
        return {"method": self.method, "url": self.url, "path": self.path, "headers": dict(self.headers),
                "body": self.body}  # fmt: skip


@dataclass
class Answer:
    """One answer of the script and how often it is still given."""

    says: dict[str, Any]
    path: str = ""
    left: float = 1

    def fits(self, path: str) -> bool:
        return self.left > 0 and path.startswith(self.path)


def script(entries: Iterable[Mapping[str, Any]]) -> list[Answer]:
    """The answers of a test's `vendor:`."""
    found = []
    for entry in entries:
        says = {**entry, **entry.get("fault", {})}
        says.pop("fault", None)
        times, path = says.pop("times", 1), says.pop("path", "")
        found.append(Answer(says, path, float("inf") if times == "always" else times))
    return found


@dataclass
class Vendors:
    """`handle(request)` answers; `sent` are the requests so far."""

    clock: Any
    answers: Sequence[Answer] = ()
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._world = pretend_world(self.clock, [])

    def handle(self, request: WireRequest) -> Response:
        status = None
        try:
            answer: Response = self._answer(request)
            status = answer.status
            return answer
        finally:
            headers = {name: str(value) for name, value in request.headers.items()}
            self.sent.append(Sent(request.method, request.url, headers, _body(request), status))

    def _answer(self, request: WireRequest) -> Any:
        path = urlsplit(request.url).path
        own = next((answer for answer in self.answers if answer.fits(path)), None)
        if own is None:
            return self._world.handle(request)
        own.left -= 1
        return pretend_answer(own.says, lambda: self._world.handle(request))


def mistaken(entries: Iterable[Mapping[str, Any]]) -> list[tuple[int, str]]:
    """What is wrong with the answers of a script, by their positions."""
    wrong = []
    for position, answer in enumerate(script(entries)):
        try:
            pretend_answer(answer.says, lambda: Response(200))
        except NoAnswer:
            continue
        except InvalidPipeline as error:
            wrong.append((position, str(error)))
    return wrong


def _body(request: WireRequest) -> Any:
    if isinstance(request.body, Stream):
        return decoded(b"".join(request.body.chunks()))
    return decoded(bytes(request.body))
