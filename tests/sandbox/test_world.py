"""The world routes to its vendors, lets faults strike, and remembers what was accepted."""

from __future__ import annotations

from typing import Any

import pytest

from engine.plugin import NoAnswer, Response, WireRequest
from engine.sandbox.world import World
from tests.sandbox.helpers import Standing, request

EU = "https://api.eu.iterable.com/api"
PORT = "http://127.0.0.1:8700/iterable/api"
ONE = {"users": [{"email": "a@x.test"}]}


def world(*faults: Any, **settings: Any) -> World:
    return World(Standing(), faults, {"iterable": {"rates": False, **settings}})


def look(the: World, page: str) -> Any:
    return the.handle(WireRequest("GET", f"http://127.0.0.1:8700/{page}", {}, b"")).json()


@pytest.mark.parametrize("base", ["https://api.iterable.com/api", EU, PORT])
def test_a_vendor_is_found_by_its_host_or_by_the_path(base: str) -> None:
    the = world()
    assert the.handle(request("/users/bulkUpdate", ONE, base=base)).status == 200
    assert look(the, "_received") == [
        {"vendor": "iterable", "method": "POST", "path": "/api/users/bulkUpdate", "body": ONE}
    ]
    assert look(the, "_state")["iterable"]["users"] == [{"email": "a@x.test", "userId": None, "dataFields": {}}]


def test_a_host_that_is_not_pretended_says_what_is() -> None:
    answer = world().handle(WireRequest("GET", "https://api.elsewhere.test/v1", {}, b""))
    assert answer.status == 404
    assert "api.iterable.com" in answer.text


def test_addresses_on_a_port() -> None:
    assert world().urls("http://127.0.0.1:8700")["iterable"] == PORT


def test_what_was_refused_was_not_accepted() -> None:
    the = world()
    assert the.handle(request("/users/bulkUpdate", ONE, key="invalid")).status == 401
    assert the.handle(request("/users/bulkUpdate", {"users": 5})).status == 400
    assert look(the, "_received") == []


def test_settings_reach_their_vendor() -> None:
    the = world(forgotten=["a@x.test"])
    assert the.handle(request("/users/bulkUpdate", ONE))["failCount"] == 1


def test_a_fault_stands_between_and_the_work_before_it_counts() -> None:
    the = world({"nth": [1], "reset": "before"}, {"nth": [2], "reset": "after"}, {"nth": [3], "status": 503})
    for received in (0, 1):
        with pytest.raises(NoAnswer):
            the.handle(request("/users/bulkUpdate", ONE))
        assert len(the.received) == received
    assert the.handle(request("/users/bulkUpdate", ONE)).status == 503
    assert the.handle(request("/users/bulkUpdate", ONE)).status == 200
    assert len(the.received) == 2
    assert [one.fired for one in the.faults] == [1, 1, 1]


def test_several_faults_strike_together() -> None:
    answer = world({"delay": 2}, {"status": 503}, {"delay": 1}).handle(request("/users/bulkUpdate", ONE))
    assert (answer.status, answer.delay) == (503, 1)
    answer = world({"delay": 2}, {"html": True}, {"delay": 1}).handle(request("/users/bulkUpdate", ONE))
    assert (answer.status, answer.delay) == (200, 3)


def test_a_body_that_is_no_json_is_kept_as_text() -> None:
    class Anything:
        def handle(self, request: WireRequest) -> Response:
            return Response(200)

        def state(self) -> None:
            return None

    the = world()
    the.vendors["iterable"] = Anything()
    the.handle(WireRequest("POST", "https://api.iterable.com/x", {}, b"a=1&b=\xff"))
    assert look(the, "_received")[0]["body"] == "a=1&b=\ufffd"
