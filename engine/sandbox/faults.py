"""Faults as data: one vocabulary for every pretend vendor.

A fault is a map that says when it strikes and what it does, such as `{"every": 10, "status": 503}`.

| when | strikes |
| --- | --- |
| `every: n` | each n-th request |
| `first: n` | the first n |
| `nth: [1, 5]` | these, counted from 1 |
| `ratio: 0.3`, `seed: 1` | by chance, the same chance each time |
| none of these | always |
| `vendor: name`, `path: prefix` | counts only such requests (a path as the vendor sees it: `/api/users`) |

| what | happens |
| --- | --- |
| `status: 503` | that answer, with `headers`, `body`, `retry_after`; `after: true`: once the work is done |
| `redirect: url` | status 307 to there |
| `reset: before` or `after` | the connection is lost, before or after the vendor did its work |
| `delay: seconds` | the answer comes late |
| `drip: seconds` | its body comes byte by byte, over that time |
| `cut: n` | its body ends after n bytes |
| `empty`, `html`, `invalid_json`: true | its body is none, a gateway's page, or no JSON |
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from random import Random
from typing import Any

from engine.plugin import InvalidPipeline, NoAnswer, Response

Answering = Callable[[], Response]

HTML = b"<html><head><title>Gateway</title></head><body>The server is having a bad hour.</body></html>"


@dataclass(frozen=True, slots=True)
class Spoilt(Response):
    """An answer that a port gives badly: in process it is only what is left of it."""

    announced: int | None = None  # the length that the headers promise
    drip: float = 0.0  # seconds over which the body goes out


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _count(value: Any) -> bool:
    return _is(int)(value) and value >= 1


def _seconds(value: Any) -> bool:
    return _is(int, float)(value) and value >= 0


WORDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "every": (_count, "a number of requests, 1 or more"),
    "first": (_count, "a number of requests, 1 or more"),
    "nth": (lambda value: isinstance(value, list) and all(map(_count, value)), "a list of numbers, counted from 1"),
    "ratio": (lambda value: _seconds(value) and value <= 1, "a share between 0 and 1"),
    "seed": (_is(int, str), "a number or text"),
    "vendor": (_is(str), "a vendor's name"),
    "path": (_is(str), "the beginning of a path"),
    "status": (lambda value: _is(int)(value) and 200 <= value <= 599, "an HTTP status from 200 to 599"),
    "headers": (_is(dict), "a map of texts"),
    "body": (lambda value: True, "any value"),
    "retry_after": (_is(int, float, str), "seconds or a date"),
    "after": (_is(bool), "true or false"),
    "redirect": (_is(str), "an address"),
    "reset": (lambda value: value in ("before", "after"), "before or after"),
    "delay": (_seconds, "seconds"),
    "drip": (_seconds, "seconds"),
    "cut": (lambda value: _is(int)(value) and value >= 0, "a number of bytes"),
    "empty": (_is(bool), "true or false"),
    "html": (_is(bool), "true or false"),
    "invalid_json": (_is(bool), "true or false"),
}
DEEDS = {"status", "redirect", "reset", "delay", "drip", "cut", "empty", "html", "invalid_json"}


@dataclass
class Fault:
    """One fault and how often it struck. Made by `fault` or `faults`."""

    says: Mapping[str, Any]
    seen: int = 0
    fired: int = 0
    chance: Random = field(default_factory=Random)

    def __post_init__(self) -> None:
        self.chance = Random(str(self.says.get("seed", 0)))  # noqa: S311 - chance that must repeat, no secret

    def strikes(self, vendor: str, path: str) -> bool:
        """Does it strike this request? Counts it."""
        says = self.says
        if says.get("vendor", vendor) != vendor or not path.startswith(says.get("path", "")):
            return False
        self.seen += 1
        struck = self._now()
        self.fired += struck
        return struck

    def _now(self) -> bool:
        says, n = self.says, self.seen
        if "every" in says:
            return bool(n % says["every"] == 0)
        if "first" in says:
            return bool(n <= says["first"])
        if "nth" in says:
            return n in says["nth"]
        return "ratio" not in says or self.chance.random() < says["ratio"]

    def apply(self, answering: Answering) -> Answering:
        """The way to an answer, with this fault in it."""

        def answer() -> Response:
            if self._instead():
                return self._own_answer()
            if self.says.get("reset") == "before":
                raise NoAnswer("the connection was reset before the vendor did its work", ambiguous=True)
            given = answering()
            if self.says.get("reset") == "after":
                raise NoAnswer("the connection was reset after the vendor did its work", ambiguous=True)
            return self._own_answer() if "status" in self.says else self._spoil(given)

        return answer

    def _instead(self) -> bool:
        return "redirect" in self.says or ("status" in self.says and not self.says.get("after"))

    def _own_answer(self) -> Response:
        says = self.says
        headers = {name.lower(): str(value) for name, value in says.get("headers", {}).items()}
        if "redirect" in says:
            return Response(says.get("status", 307), {**headers, "location": says["redirect"]}, b"")
        if "retry_after" in says:
            headers["retry-after"] = str(says["retry_after"])
        return self._spoil(Response(says["status"], headers, self._body(says["status"])))

    def _body(self, status: int) -> bytes:
        body = self.says.get("body")
        if body is None:
            return HTTPStatus(status).phrase.encode() if status in set(HTTPStatus) else b""
        return body.encode() if isinstance(body, str) else json.dumps(body).encode()

    def _spoil(self, given: Response) -> Response:
        says, body, whole = self.says, given.body, None
        if says.get("html"):
            body = HTML
        elif says.get("invalid_json"):
            body = body[:-1] + b","
        elif says.get("empty"):
            body = b""
        if "cut" in says:
            body, whole = body[: says["cut"]], len(body)
        if whole is None:
            whole = given.announced if isinstance(given, Spoilt) else None
        late = says.get("delay", 0.0)
        drip = says.get("drip", 0.0)
        return Spoilt(given.status, given.headers, body, given.delay + late, announced=whole, drip=drip)


def fault(says: Any) -> Fault:
    """A fault from its map; raises `InvalidPipeline` for what is none."""
    if not isinstance(says, dict):
        raise InvalidPipeline(f'a fault is a map such as {{"every": 10, "status": 503}}, not {says!r}')
    for word, value in says.items():
        if word not in WORDS:
            near = difflib.get_close_matches(word, WORDS, 1)
            raise InvalidPipeline(f"a fault has no {word!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        fits, wanted = WORDS[word]
        if not fits(value):
            raise InvalidPipeline(f"the fault's {word!r} must be {wanted}, not {value!r}")
    if not DEEDS & says.keys():
        raise InvalidPipeline(f"the fault {says!r} does nothing: give it one of {', '.join(sorted(DEEDS))}")
    return Fault(says)


def faults(text: str) -> list[Fault]:
    """Faults from JSON text: one map, or a list of them. Raises `InvalidPipeline`."""
    try:
        said = json.loads(text)
    except ValueError as error:
        raise InvalidPipeline(f"a fault is JSON: {error}") from None
    return [fault(says) for says in (said if isinstance(said, list) else [said])]


def in_process(answer: Response) -> Response:
    """An answer as a program sees it that does not go through a port: dripping is a delay."""
    if isinstance(answer, Spoilt) and answer.drip:
        return replace(answer, delay=answer.delay + answer.drip, drip=0.0)
    return answer


def announced(answer: Response) -> Response:
    """A cut answer with the length that it promised, by which a program can tell."""
    if isinstance(answer, Spoilt) and answer.announced is not None:
        return replace(answer, headers={**answer.headers, "content-length": str(answer.announced)})
    return answer
