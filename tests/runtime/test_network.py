"""Which transport is taken: the fast one where it can be had, or what the setting says."""

from __future__ import annotations

import sys
import time

import pytest

from engine.errors import InvalidPipeline
from engine.model import Response
from engine.runtime.clock import FakeClock, SystemClock
from engine.runtime.curl import Curl
from engine.runtime.network import Late, best, over_the_network
from engine.runtime.transport import Threads
from tests.runtime.ports import answers, port, request, says


@pytest.fixture
def without_pycurl(monkeypatch):
    monkeypatch.delitem(sys.modules, "engine.runtime.curl", raising=False)
    monkeypatch.delitem(sys.modules, "engine.runtime.transfer", raising=False)
    monkeypatch.setitem(sys.modules, "pycurl", None)


@pytest.fixture
def with_an_old_pycurl(monkeypatch):
    import pycurl

    monkeypatch.delitem(sys.modules, "engine.runtime.curl", raising=False)
    monkeypatch.delitem(sys.modules, "engine.runtime.transfer", raising=False)
    monkeypatch.delattr(pycurl, "PREREQFUNCTION")


def test_the_fast_one_where_it_can_be_had():
    transport = best(4, SystemClock())
    assert isinstance(transport, Curl)
    transport.close()


@pytest.mark.parametrize("lack", ["without_pycurl", "with_an_old_pycurl"])
def test_else_threads(request, lack):
    request.getfixturevalue(lack)
    assert isinstance(best(4, SystemClock()), Threads)


def test_the_setting_decides():
    chosen = over_the_network(4, SystemClock(), {"ENGINE_TRANSPORT": "curl"})
    assert type(chosen).__name__ == "Curl"
    chosen.close()
    assert isinstance(over_the_network(4, SystemClock(), {"ENGINE_TRANSPORT": "requests"}), Threads)
    for nothing in ({}, {"ENGINE_TRANSPORT": ""}):
        assert isinstance(over_the_network(4, SystemClock(), nothing), Late)


def test_what_cannot_be_obeyed_is_said(without_pycurl):
    with pytest.raises(InvalidPipeline, match=r"needs pycurl .*pip install 'engine\[fast\]'"):
        over_the_network(4, SystemClock(), {"ENGINE_TRANSPORT": "curl"})
    with pytest.raises(InvalidPipeline, match="'cutl'; it can be 'curl' or 'requests'"):
        over_the_network(4, SystemClock(), {"ENGINE_TRANSPORT": "cutl"})


class Counting:
    """Makes transports; counts them."""

    def __init__(self):
        self.made = 0

    def __call__(self):
        self.made += 1
        return Threads(1, SystemClock(), lambda request, timeout: Response(200))


def test_nothing_is_made_before_it_is_needed():
    make, clock = Counting(), FakeClock()
    late = Late(make, clock)
    assert late.wait(None) == late.wait(clock.now()) == []
    late.wake()
    assert late.wait(clock.now() + 60) == []  # woken before it began
    late.close()
    assert make.made == 0
    late.start(request("http://127.0.0.1"), 1, 5.0)
    late.start(request("http://127.0.0.1"), 2, 5.0)
    assert make.made == 1 and answers(late, 2).keys() == {1, 2}
    late.close()


def test_a_late_one_waits_too_and_can_be_woken():
    late = Late(Counting(), SystemClock())
    began = time.monotonic()
    assert late.wait(began + 0.02) == [] and time.monotonic() - began > 0.015
    late.wake()
    assert late.wait(began + 60) == [] and time.monotonic() - began < 5
    late.close()


def test_a_late_one_sends():
    late = Late(lambda: best(1, SystemClock()), SystemClock())
    with port(says(b"{}")) as at:
        late.start(request(at.url), 1, 5.0)
        assert answers(late, 1)[1].status == 200
    late.close()
