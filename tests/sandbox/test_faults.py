"""Faults as data: when they strike, what they do, and what is no fault."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.plugin import InvalidPipeline, NoAnswer, Response
from engine.sandbox.faults import Fault, Spoilt, fault, faults, in_process

GOOD = Response(200, {"content-type": "application/json"}, b'{"msg": "well"}')


def struck(says: dict[str, Any], requests: int = 10, path: str = "/api/users/bulkUpdate") -> list[int]:
    one = fault({"status": 503, **says})
    return [n for n in range(1, requests + 1) if one.strikes("iterable", path)]


def through(says: dict[str, Any]) -> tuple[Response | NoAnswer, bool]:
    """The answer under a fault, and whether the vendor did its work."""
    worked = False

    def work() -> Response:
        nonlocal worked
        worked = True
        return GOOD

    try:
        return fault(says).apply(work)(), worked
    except NoAnswer as error:
        return error, worked


@pytest.mark.parametrize(
    ("says", "strikes"),
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ({"every": 3}, [3, 6, 9]),
        ({"first": 2}, [1, 2]),
        ({"nth": [1, 5, 50]}, [1, 5]),
        ({"ratio": 0}, []),
        ({"ratio": 1}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ({"path": "/api/users"}, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        ({"path": "/api/events"}, []),
        ({"vendor": "lumidatum"}, []),
    ],
)
def test_when_it_strikes(says: Any, strikes: list[int]) -> None:
    assert struck(says) == strikes


def test_chance_is_the_same_each_time_and_another_with_another_seed() -> None:
    says = {"ratio": 0.3, "seed": 7}
    assert struck(says, 1000) == struck(says, 1000)
    assert struck(says, 1000) != struck({"ratio": 0.3, "seed": 8}, 1000)
    assert 250 < len(struck(says, 1000)) < 350


def test_only_requests_that_it_concerns_are_counted() -> None:
    one = fault({"nth": [2], "path": "/api/events", "status": 500})
    paths = ["/api/users", "/api/events/a", "/api/users", "/api/events/b", "/api/events/c"]
    assert [one.strikes("iterable", path) for path in paths] == [False, False, False, True, False]
    assert (one.seen, one.fired) == (3, 1)


@pytest.mark.parametrize(
    ("says", "answer", "worked"),
    [
        ({"status": 503}, Response(503, {}, b"Service Unavailable"), False),
        ({"status": 503, "after": True}, Response(503, {}, b"Service Unavailable"), True),
        ({"status": 429, "retry_after": 3}, Response(429, {"retry-after": "3"}, b"Too Many Requests"), False),
        ({"status": 400, "body": {"code": "BadParams"}, "headers": {"X-A": 1}},
            Response(400, {"x-a": "1"}, b'{"code": "BadParams"}'), False),
        ({"status": 400, "body": "text"}, Response(400, {}, b"text"), False),
        ({"redirect": "http://other/"}, Response(307, {"location": "http://other/"}, b""), False),
        ({"redirect": "/x", "status": 301}, Response(301, {"location": "/x"}, b""), False),
        ({"empty": True}, Response(200, GOOD.headers, b""), True),
        ({"cut": 5}, Response(200, GOOD.headers, b'{"msg'), True),
        ({"delay": 2.5}, Response(200, GOOD.headers, GOOD.body, 2.5), True),
        ({"drip": 2, "delay": 1}, Response(200, GOOD.headers, GOOD.body, 3), True),
    ],
)  # fmt: skip
def test_what_it_does(says: Any, answer: Response, worked: bool) -> None:
    got, did_work = through(says)
    assert isinstance(got, Response)
    got = in_process(got)
    assert (got.status, dict(got.headers), got.body, got.delay) == (
        answer.status, dict(answer.headers), answer.body, answer.delay,
    )  # fmt: skip
    assert did_work is worked


@pytest.mark.parametrize("what", ["html", "invalid_json"])
def test_a_body_that_is_no_json(what: str) -> None:
    got, worked = through({what: True})
    assert isinstance(got, Response)
    assert (got.status, worked) == (200, True)
    with pytest.raises(json.JSONDecodeError):
        json.loads(got.body)


def test_a_cut_body_was_announced_whole() -> None:
    got, _ = through({"cut": 5})
    assert isinstance(got, Spoilt)
    assert got.announced == len(GOOD.body)


@pytest.mark.parametrize(("when", "worked"), [("before", False), ("after", True)])
def test_a_lost_connection_tells_nothing(when: str, worked: bool) -> None:
    got, did_work = through({"reset": when})
    assert isinstance(got, NoAnswer)
    assert got.ambiguous
    assert did_work is worked


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ({"evry": 3, "status": 503}, "did you mean 'every'"),
        ({"every": 0, "status": 503}, "1 or more"),
        ({"every": True, "status": 503}, "1 or more"),
        ({"ratio": 2, "status": 503}, "between 0 and 1"),
        ({"nth": 3, "status": 503}, "a list"),
        ({"status": 99}, "HTTP status"),
        ({"status": "503"}, "HTTP status"),
        ({"reset": "sometimes"}, "before or after"),
        ({"every": 3}, "does nothing"),
        ({}, "does nothing"),
        ([], "a map"),
    ],
)
def test_what_is_no_fault_is_told(says: Any, message: str) -> None:
    with pytest.raises(InvalidPipeline, match=message):
        fault(says)


def test_faults_are_read_from_text() -> None:
    assert [type(one) for one in faults('{"every": 10, "status": 503}')] == [Fault]
    assert [one.says for one in faults('[{"delay": 1}, {"first": 1, "reset": "after"}]')] == [
        {"delay": 1},
        {"first": 1, "reset": "after"},
    ]
    with pytest.raises(InvalidPipeline, match="JSON"):
        faults("{every: 10}")
