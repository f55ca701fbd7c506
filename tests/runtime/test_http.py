"""What only the default transport has: threads that may be stuck, and that may not be had at all."""

import threading
import time
from queue import SimpleQueue

import pytest

from engine.errors import Halt, NoAnswer, Unreadable
from engine.model import Response, WireRequest
from engine.runtime.clock import SystemClock
from engine.runtime.http import exchange
from engine.runtime.transport import Threads
from tests.runtime.ports import answers, ask, drips, port, request, says


def test_a_head_that_drips_does_not_hold_up_the_loop():
    """The thread may be stuck; the loop is not, and another thread serves the next request."""
    transport = Threads(1, SystemClock())
    with port(drips(b"", b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200), says(b'{"ok":1}')) as at:
        began = time.monotonic()
        assert isinstance(ask(transport, request(at.url), 0.3), NoAnswer)
        assert time.monotonic() - began < 5
        assert ask(transport, request(at.url)).json() == {"ok": 1}
    transport.close()


def test_an_exchange_that_was_given_keeps_its_connections():
    given = exchange()
    with port(says(b"{}")) as at:
        for _ in range(3):
            transport = Threads(1, SystemClock(), given)
            assert ask(transport, request(at.url)).status == 200
            transport.close()
        assert at.connections == 1
    given.close()


def test_a_defect_in_an_exchange_halts_by_type_only():
    def broken(request, timeout):
        raise RuntimeError("s3cret")

    found = ask(Threads(1, SystemClock(), broken), WireRequest("GET", "http://127.0.0.1", {}, b""))
    assert isinstance(found, Halt) and "RuntimeError" in str(found) and "s3cret" not in str(found)


def test_the_time_of_a_request_begins_when_a_thread_is_free_for_it():
    """One that was answered for while it waited would go out later, beside the one that is sent in its place."""
    clock, begun, free = StillClock(), SimpleQueue(), SimpleQueue()

    def exchange(given, timeout):
        begun.put(given.url)
        return free.get(timeout=10)

    transport = Threads(2, clock, exchange)
    for token in range(3):
        transport.start(request(f"http://127.0.0.1/{token}"), token, 1.0)
    assert {begun.get(timeout=10), begun.get(timeout=10)} == {"http://127.0.0.1/0", "http://127.0.0.1/1"}
    clock.moment = 2.0
    assert {token for token, _ in transport.wait(clock.moment)} == {0, 1}  # the third was not sent: nothing is known
    assert begun.get(timeout=10) == "http://127.0.0.1/2"
    for _ in range(3):
        free.put(Response(200))
    found = []
    while not found:
        found = transport.wait(clock.moment + 0.4)
    assert [(token, answer.status) for token, answer in found] == [(2, 200)]
    transport.close()


class StillClock:
    """Moves when the test says so."""

    moment = 0.0

    def now(self):
        return self.moment


@pytest.mark.parametrize("error", [Halt("no more", code="machine"), RuntimeError("can't start new thread")])
def test_where_no_thread_can_be_had_the_request_is_answered_so(monkeypatch, error):
    """`start` lets nothing out: the loop would wait for an answer that nobody gives."""
    transport = Threads(2, SystemClock(), lambda request, timeout: Response(200))

    def refuse(self):
        raise error

    monkeypatch.setattr(threading.Thread, "start", refuse)
    found = ask(transport, request("http://127.0.0.1"))
    assert isinstance(found, Halt)
    monkeypatch.undo()
    assert ask(transport, request("http://127.0.0.1")).status == 200
    monkeypatch.setattr(threading.Thread, "start", refuse)
    for token in range(3):  # the one there is does the work
        transport.start(request("http://127.0.0.1"), token, 5.0)
    assert all(found.status == 200 for found in answers(transport, 3).values())


def test_an_answer_that_is_not_json_proves_nothing():
    with pytest.raises(Unreadable):
        Response(200, {}, b"<html>").json()
    with pytest.raises(Unreadable):
        Response(200, {}, b"[1]")["url"]
