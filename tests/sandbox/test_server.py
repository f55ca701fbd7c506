"""The world on a port: what a client sees on the socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from engine.sandbox.server import BODY_CAP, Server, serve
from engine.sandbox.world import World
from tests.sandbox.helpers import Standing

PATH = "/iterable/api/users/bulkUpdate"
ONE = json.dumps({"users": [{"email": "a@x.test"}]}).encode()


@contextmanager
def port(*faults: Any) -> Iterator[Server]:
    with serve(World(Standing(), faults, {"iterable": {"rates": False}})) as server:
        yield server


@contextmanager
def client(server: Server) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)) as connection:
        yield connection


def post(connection: http.client.HTTPConnection, body: Any = ONE, **more: Any) -> http.client.HTTPResponse:
    connection.request("POST", PATH, body, {"Api-Key": "k"}, **more)
    return connection.getresponse()


def raw(server: Server, sent: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_it_listens_on_loopback_only_and_tells_its_addresses() -> None:
    with port() as server:
        assert server.urls["iterable"] == f"http://127.0.0.1:{server.port}/iterable/api"
        assert urlsplit(server.root).hostname == "127.0.0.1"


def test_a_connection_is_kept() -> None:
    with port() as server, client(server) as connection:
        for _ in range(3):
            answer = post(connection)
            assert (answer.status, json.loads(answer.read())["successCount"]) == (200, 1)
            assert connection.sock is not None
        connection.request("GET", "/_received")
        assert len(json.loads(connection.getresponse().read())) == 3


def test_a_chunked_body_is_read() -> None:
    with port() as server, client(server) as connection:
        answer = post(connection, iter([ONE[:5], ONE[5:]]), encode_chunked=True)
        assert json.loads(answer.read())["successCount"] == 1


def test_a_client_may_ask_before_it_sends() -> None:
    head = f"POST {PATH} HTTP/1.1\r\nApi-Key: k\r\nExpect: 100-continue\r\nContent-Length: {len(ONE)}\r\n\r\n"
    with port() as server:
        got = raw(server, head.encode() + ONE)
    assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"rubbish\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 50\r\n\r\nshort", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (f"POST / HTTP/1.1\r\nContent-Length: {BODY_CAP + 1}\r\n\r\n".encode(), 413),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"a%d: b\r\n" % n for n in range(201)), 431),
    ],
)
def test_what_is_no_request_is_refused(sent: bytes, status: int) -> None:
    with port() as server:
        assert raw(server, sent).startswith(f"HTTP/1.1 {status} ".encode())


def test_old_clients_are_not_kept() -> None:
    with port() as server:
        got = raw(server, b"GET /_state HTTP/1.0\r\n\r\nGET /_state HTTP/1.0\r\n\r\n")
    assert got.count(b"HTTP/1.1 200 OK") == 1


@pytest.mark.parametrize(("when", "received"), [("before", 0), ("after", 1)])
def test_a_lost_connection_is_reset(when: str, received: int) -> None:
    with port({"reset": when}) as server:
        with client(server) as connection, pytest.raises(ConnectionResetError):
            post(connection)
        assert len(server.world.received) == received


def test_a_cut_body_ends_early() -> None:
    with port({"cut": 5}) as server, client(server) as connection:
        with pytest.raises(http.client.IncompleteRead) as cut:
            post(connection).read()
        assert len(cut.value.partial) == 5


def test_an_answer_may_come_late_and_dripping() -> None:
    with port({"delay": 0.01, "drip": 0.02}) as server, client(server) as connection:
        assert json.loads(post(connection).read())["successCount"] == 1


def test_other_answers_go_out_as_they_are() -> None:
    faults = {"nth": [1], "status": 429, "retry_after": 2}, {"nth": [2], "redirect": "http://x.test/"}
    with port(*faults) as server, client(server) as connection:
        answer = post(connection)
        assert (answer.status, answer.getheader("retry-after"), answer.read()) == (429, "2", b"Too Many Requests")
        answer = post(connection)
        assert (answer.status, answer.getheader("location"), answer.read()) == (307, "http://x.test/", b"")


def test_nothing_is_left_behind() -> None:
    before = threading.active_count()
    with port({"delay": 60}) as server, client(server) as connection:
        connection.request("POST", PATH, ONE, {"Api-Key": "k"})
        taken = server.port
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", taken), timeout=1)


def test_many_clients_at_once() -> None:
    def send(server: Server) -> None:
        with client(server) as connection:
            for _ in range(20):
                statuses.append(post(connection).status)
                connection.close()

    statuses: list[int] = []
    with port() as server:
        threads = [threading.Thread(target=send, args=(server,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 160
        assert len(server.world.received) == 160
