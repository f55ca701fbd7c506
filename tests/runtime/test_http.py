"""The default transport over real sockets: answers, losses, deadlines, caps; nothing of the environment."""

import gzip
import socket
import threading
import time
from contextlib import contextmanager

import pytest

from engine.errors import Halt, NoAnswer, Unreadable
from engine.model import Response, Secret, WireRequest
from engine.runtime.clock import SystemClock
from engine.runtime.http import ANSWER_CAP, exchange
from engine.runtime.transport import Threads


@contextmanager
def server(*scripts):
    """A port whose n-th connection is handled by the n-th script (the last one repeats); `seen` has what came in."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []
    closing = threading.Event()

    def serve():
        number = 0
        while not closing.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            script = scripts[min(number, len(scripts) - 1)]
            number += 1
            threading.Thread(target=handle, args=(connection, script), daemon=True).start()

    def handle(connection, script):
        with connection:
            while request := read_request(connection):
                seen.append(request)
                if script(connection, request) == "close":
                    return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        closing.set()
        listener.close()


def read_request(connection) -> bytes:
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(
            (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
    except OSError:
        return b""
    return head + b"\r\n\r\n" + body


def says(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None, then: str = ""):
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers])

    def script(connection, request):
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        return then

    return script


def reset(connection, request):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return "close"


def ask(url, timeout=5.0, **more):
    facts = {"headers": {"Api-Key": Secret("s3cret"), "Content-Type": "application/json"}, "body": b'{"a":1}'} | more
    return exchange()(WireRequest("POST", f"{url}/api/x?q=1", **facts), timeout)


def test_a_request_goes_out_as_it_is_and_the_answer_comes_back():
    with server(says(b'{"ok":true}', "200 OK", "X-Thing: yes")) as (url, seen):
        answer = ask(url)
    assert (answer.status, answer.json(), answer.headers["x-thing"]) == (200, {"ok": True}, "yes")
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /api/x?q=1 HTTP/1.1\r\n") and body == b'{"a":1}'
    assert b"Api-Key: s3cret" in head and b"Content-Length: 7" in head
    assert b"python-requests" not in head


def test_one_connection_serves_many_requests():
    with server(says(b"{}"), reset) as (url, seen):
        send = exchange()
        for _ in range(5):
            send(WireRequest("POST", url + "/", {}, b"{}"), 5.0)
        assert len(seen) == 5


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_never_followed(status):
    with server(says(b"", f"{status} Elsewhere", "Location: http://127.0.0.1:9/trap")) as (url, seen):
        assert ask(url).status == status
        assert len(seen) == 1


def test_a_connection_that_was_never_made_carried_nothing():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(NoAnswer, match="cannot connect") as caught:
        ask(f"http://127.0.0.1:{port}")
    assert not caught.value.ambiguous


@pytest.mark.parametrize(
    "script",
    [reset, lambda c, r: "close", says(b'{"a"', length=100, then="close")],
    ids=["reset", "closed", "cut"],
)
def test_a_connection_that_broke_may_have_carried_all(script):
    with server(script) as (url, _), pytest.raises(NoAnswer) as caught:
        ask(url)
    assert caught.value.ambiguous


def test_a_head_cut_short_is_at_least_no_json():
    with (
        server(lambda c, r: c.sendall(b"HTTP/1.1 200") or "close") as (url, _),
        pytest.raises((NoAnswer, Unreadable)),
    ):
        ask(url).json()


def test_silence_ends_with_the_time_limit():
    with server(lambda c, r: time.sleep(2) or "close") as (url, _), pytest.raises(NoAnswer) as caught:
        ask(url, timeout=0.2)
    assert caught.value.ambiguous


def drip(connection, request):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    try:
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.05)
    except OSError:
        return "close"


def test_a_body_that_drips_does_not_outlast_the_time_limit():
    with server(drip) as (url, _):
        began = time.monotonic()
        with pytest.raises(NoAnswer, match="time limit"):
            ask(url, timeout=0.4)
        assert time.monotonic() - began < 1.4


def drip_head(connection, request):
    try:
        for letter in b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200:
            connection.sendall(bytes([letter]))
            time.sleep(0.05)
    except OSError:
        return "close"


def test_a_head_that_drips_does_not_hold_up_the_loop():
    """The thread may be stuck; the loop is not, and another thread serves the next request."""
    transport = Threads(1, SystemClock())
    with server(drip_head, says(b'{"ok":1}')) as (url, _):
        transport.start(WireRequest("POST", url + "/slow", {}, b""), 1, 0.3)
        began = time.monotonic()
        answers = transport.wait(began + 5)
        while not answers:
            answers = transport.wait(began + 5)
        assert time.monotonic() - began < 1.5
        assert [(token, type(a)) for token, a in answers] == [(1, NoAnswer)]
        transport.start(WireRequest("POST", url + "/quick", {}, b""), 2, 5.0)
        ((token, answer),) = transport.wait(time.monotonic() + 5)
        assert token == 2 and answer.json() == {"ok": 1}
    transport.close()


def test_a_compressed_answer_is_unpacked_a_bomb_is_not():
    small, bomb = gzip.compress(b'{"a":1}'), gzip.compress(b" " * (ANSWER_CAP + 1))
    with server(says(small, "200 OK", "Content-Encoding: gzip")) as (url, _):
        assert ask(url).json() == {"a": 1}
    with (
        server(says(bomb, "200 OK", "Content-Encoding: gzip")) as (url, _),
        pytest.raises(Unreadable, match="more than"),
    ):
        ask(url)


def test_after_a_bad_answer_the_connection_is_not_used_again():
    send = exchange()
    with server(drip, says(b'{"ok":1}')) as (url, _):
        with pytest.raises(NoAnswer):
            send(WireRequest("GET", url, {}, b""), 0.2)
        assert send(WireRequest("GET", url, {}, b""), 5.0).json() == {"ok": 1}


def test_tls_trouble_halts():
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def refuse():
            with plain.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 no\r\n\r\n")
                connection.recv(65536)

        threading.Thread(target=refuse, daemon=True).start()
        with pytest.raises(Halt, match="TLS to"):
            ask(f"https://127.0.0.1:{plain.getsockname()[1]}")


@pytest.mark.parametrize("value", ["line\nbreak", "carriage\rreturn", "snow\u2603man", "end\n"])
def test_a_header_that_cannot_be_sent_halts_without_showing_it(value):
    with server(says(b"{}")) as (url, seen):
        with pytest.raises(Halt) as caught:
            ask(url, headers={"Api-Key": Secret(value)})
        assert value not in str(caught.value) and not seen


def test_nothing_of_the_environment_reaches_a_request(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with server(says(b"{}")) as (url, seen):
        ask(url)
    assert b"Authorization" not in seen[0]


def test_many_requests_fly_at_once():
    barrier = threading.Barrier(8, timeout=5)

    def together(connection, request):
        barrier.wait()
        return says(b"{}")(connection, request)

    transport = Threads(8, SystemClock())
    with server(together) as (url, _):
        for token in range(8):
            transport.start(WireRequest("POST", url, {}, b"{}"), token, 5.0)
        found, end = {}, time.monotonic() + 5
        while len(found) < 8 and time.monotonic() < end:
            found.update(transport.wait(end))
    transport.close()
    assert {token: answer.status for token, answer in found.items()} == dict.fromkeys(range(8), 200)


def test_a_wait_can_be_woken():
    transport = Threads(1, SystemClock())
    threading.Timer(0.05, transport.wake).start()
    transport._deadlines[99] = time.monotonic() + 30
    began = time.monotonic()
    assert transport.wait(began + 10) == [] and time.monotonic() - began < 5


def test_a_defect_in_an_exchange_halts_by_type_only():
    def broken(request, timeout):
        raise RuntimeError("s3cret")

    transport = Threads(1, SystemClock(), broken)
    transport.start(WireRequest("GET", "http://127.0.0.1", {}, b""), 1, 5.0)
    ((_, answer),) = transport.wait(time.monotonic() + 5)
    assert isinstance(answer, Halt) and "RuntimeError" in str(answer) and "s3cret" not in str(answer)


def test_an_answer_that_is_not_json_proves_nothing():
    with pytest.raises(Unreadable):
        Response(200, {}, b"<html>").json()
    with pytest.raises(Unreadable):
        Response(200, {}, b"[1]")["url"]
