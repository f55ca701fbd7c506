"""Every transport means the same: one table of what happens on a wire, asked over `requests` and over libcurl."""

from __future__ import annotations

import gzip
import signal
import socket
import threading
import time
import zlib
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import pytest

from engine.errors import Halt, NoAnswer, Unreadable
from engine.model import Landing, Response, Secret, Stream
from engine.runtime.answers import ANSWER_CAP
from tests.runtime.ports import (
    HEADERS,
    LONG,
    NETWORKS,
    Certificates,
    answers,
    ask,
    drips,
    in_turn,
    port,
    request,
    reset,
    says,
    silent,
    speaks_h2,
    writes,
)


@pytest.fixture(params=NETWORKS)
def network(request):
    return NETWORKS[request.param]


@pytest.fixture
def transport(network):
    with closing(network()) as made:
        yield made


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("tls"))


class Answered(NamedTuple):
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


class Lost(NamedTuple):
    """No usable answer; the vendor may have done the work."""


LOST, ANYTHING = Lost(), object()


def judge(found: Any, expected: Any) -> None:
    if isinstance(expected, Answered):
        assert isinstance(found, Response), found
        assert (found.status, found.body) == expected[:2]
        assert expected.headers.items() <= found.headers.items()
        assert all(name == name.lower() for name in found.headers)
    elif expected is LOST:
        assert isinstance(found, NoAnswer) and found.ambiguous, found
    else:
        assert isinstance(found, expected), found


JSON = b'{"ok":true}'
GZIP = "Content-Encoding: gzip"
CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ON_THE_WIRE: dict[str, tuple[Any, Any]] = {
    "an answer": (says(JSON, "200 OK", "X-Thing: yes"), Answered(200, JSON, {"x-thing": "yes"})),
    "no content": (writes("HTTP/1.1 204 No Content\r\n\r\n", then=""), Answered(204)),
    "empty": (says(b""), Answered(200, b"")),
    "created": (says(b"x", "201 Created"), Answered(201, b"x")),
    "no reason": (says(b"x", "200"), Answered(200, b"x")),
    "a page": (says(b"<html>", "502 Bad Gateway", "Content-Type: text/html"), Answered(502, b"<html>")),
    "wait": (says(b"", "429 Slow", "Retry-After: 7"), Answered(429, b"", {"retry-after": "7"})),
    "wait until": (
        says(b"", "503 No", "RETRY-AFTER: Wed, 21 Oct 2015 07:28:00 GMT"),
        Answered(503, b"", {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}),
    ),
    "wait for what": (says(b"", "429 Slow", "Retry-After: soon \t"), Answered(429, b"", {"retry-after": "soon"})),
    "twice the same header": (says(b"", "200 OK", "X-A: 1", "x-a: 2"), Answered(200, b"", {"x-a": "1, 2"})),
    "other letters": (says(b"", "200 OK", "X-A: \xe9t\xe9"), Answered(200, b"", {"x-a": "\xe9t\xe9"})),
    "two lengths": (writes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"), LOST),
    "one length twice": (
        writes("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"), Answered(200, b"hello"),
    ),
    "plain ends of lines": (
        writes("HTTP/1.1 200 OK\nX-A: 1\nContent-Length: 5\n\nhello"), Answered(200, b"hello", {"x-a": "1"}),
    ),
    "a header over two lines": (
        writes("HTTP/1.1 200 OK\r\nX-B: 1\r\n 2\r\nContent-Length: 5\r\n\r\nhello"), Answered(200, b"hello"),
    ),
    "more than announced": (says(b"hello and more", length=5, then="close"), Answered(200, b"hello")),
    "not modified": (writes("HTTP/1.1 304 NM\r\nContent-Length: 5\r\n\r\n", then=""), Answered(304)),
    "an odd status": (says(b"x", "799 Odd"), Answered(799, b"x")),
    "go on": (writes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"), Answered(200, b"x")),
    "in chunks": (writes(CHUNKED, "3\r\nabc\r\n4;note=1\r\ndefg\r\n0\r\n\r\n", then=""), Answered(200, b"abcdefg")),
    "with a trailer": (writes(CHUNKED, "3\r\nabc\r\n0\r\nX-A: 1\r\n\r\n", then=""), Answered(200, b"abc")),
    "chunks cut": (writes(CHUNKED, "8\r\nabc"), LOST),
    "chunks without an end": (writes(CHUNKED, "3\r\nabc\r\n"), LOST),
    "chunks of rubbish": (writes(CHUNKED, "zz\r\nabc\r\n"), LOST),
    "until the end": (writes("HTTP/1.0 200 OK\r\n\r\nabc"), Answered(200, b"abc")),
    "cut": (says(b'{"a"', length=100, then="close"), LOST),
    "cut before the body": (says(b"", length=100, then="close"), LOST),
    "closed": (writes(b""), LOST),
    "reset": (reset, LOST),
    "a head cut short": (writes("HTTP/1.1 200 OK\r\nContent-Le"), (NoAnswer, Response)),
    "no HTTP": (writes("rubbish\r\n\r\n"), LOST),
    "no status": (writes("HTTP/1.1 abc Huh\r\nContent-Length: 0\r\n\r\n"), LOST),
    "packed": (says(gzip.compress(JSON), "200 OK", GZIP), Answered(200, JSON)),
    "packed in parts": (says(gzip.compress(b"ab") + gzip.compress(b"cd"), "200 OK", GZIP), Answered(200, b"abcd")),
    "packed with more": (says(gzip.compress(b"ab") + b"\0\0", "200 OK", GZIP), Answered(200, b"ab")),
    "deflated": (says(zlib.compress(JSON), "200 OK", "Content-Encoding: deflate"), Answered(200, JSON)),
    "deflated barely": (
        says(zlib.compress(JSON, wbits=-15), "200 OK", "Content-Encoding: deflate"), Answered(200, JSON),
    ),
    "packed by name only": (says(b"{}", "200 OK", GZIP), LOST),
    "packed and damaged": (says(gzip.compress(JSON)[:-8] + bytes(8), "200 OK", GZIP), LOST),
    "in a strange coding": (says(b"{}", "200 OK", "Content-Encoding: utf-8"), Answered(200, b"{}")),
    "as it is": (says(b"{}", "200 OK", "Content-Encoding: identity"), Answered(200, b"{}")),
    "a bomb": (says(gzip.compress(b" " * (ANSWER_CAP + 1)), "200 OK", GZIP), Unreadable),
    "too long": (says(b" " * (ANSWER_CAP + 1)), Unreadable),
    "as long as may be": (says(b"1" * ANSWER_CAP), Answered(200, b"1" * ANSWER_CAP)),
}  # fmt: skip


@pytest.mark.parametrize("case", ON_THE_WIRE)
def test_what_comes_over_the_wire(transport, case):
    script, expected = ON_THE_WIRE[case]
    with port(script) as at:
        judge(ask(transport, request(at.url)), expected)
        assert len(at.heard) == 1


@pytest.mark.parametrize("case", ON_THE_WIRE)
def test_after_any_answer_the_next_is_its_own(transport, case):
    """What is left of one answer is not taken for the next."""
    script, _ = ON_THE_WIRE[case]
    with port(in_turn(script, says(b"second")), says(b"second")) as at:
        ask(transport, request(at.url))
        assert not getattr(script, "closes", False) or wait_for(lambda: at.open == 0)
        judge(ask(transport, request(at.url)), Answered(200, b"second"))
        assert len(at.heard) == 2


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_never_followed(transport, status):
    with port(says(b"{}")) as trap, port(says(b"", f"{status} Elsewhere", f"Location: {trap.url}/")) as at:
        judge(ask(transport, request(at.url)), Answered(status, b"", {"location": f"{trap.url}/"}))
        assert len(at.heard) == 1 and trap.connections == 0


# --- the time limit -----------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
SLOW = {"silence": silent, "a body that drips": drips(HEAD, b"x" * 999), "a head that drips": drips(HEAD[:20], b"x" * 999)}  # fmt: skip


@pytest.mark.parametrize("case", SLOW)
def test_the_time_limit_is_for_the_whole_exchange(transport, case):
    with port(SLOW[case], says(JSON)) as at:
        began = time.monotonic()
        judge(ask(transport, request(at.url), 0.3), LOST)
        assert 0.25 < time.monotonic() - began < 5  # not as long as it drips
        judge(ask(transport, request(at.url)), Answered(200, JSON))


# --- connections --------------------------------------------------------------------------------------------


def test_a_connection_that_was_never_made_carried_nothing(transport):
    with socket.create_server(("127.0.0.1", 0)) as free:
        at = free.getsockname()[1]
    found = ask(transport, request(f"http://127.0.0.1:{at}/?email=a@x.test"))
    assert isinstance(found, NoAnswer) and not found.ambiguous
    assert str(found) == f"cannot connect to 127.0.0.1:{at}"


def test_one_connection_serves_many_requests(transport):
    with port(says(b"{}")) as at:
        for _ in range(5):
            ask(transport, request(at.url))
        assert (len(at.heard), at.connections) == (5, 1)


@pytest.mark.parametrize("method", ["POST", "GET", "DELETE"])
def test_a_request_is_never_sent_twice_unasked(transport, method):
    """A kept connection dies with the second request on it: whether it was processed is for the courier to judge."""
    with port(in_turn(says(b"{}"), writes(b"")), says(b"{}")) as at:
        body = b"x" if method == "POST" else b""
        judge(ask(transport, request(at.url, method, body=body)), Answered(200, b"{}"))
        judge(ask(transport, request(at.url, method, body=body)), LOST)
        assert len(at.heard) == 2


def test_a_connection_that_ended_while_nobody_used_it_is_not_used(transport):
    with port(says(b"{}", then="close")) as at:
        for _ in range(3):
            judge(ask(transport, request(at.url)), Answered(200, b"{}"))
            assert wait_for(lambda: at.open == 0)
        assert (len(at.heard), at.connections) == (3, 3)


def wait_for(true) -> bool:
    end = time.monotonic() + LONG
    while not true() and time.monotonic() < end:
        threading.Event().wait(0.001)
    return true()


def test_many_requests_fly_at_once(network):
    barrier = threading.Barrier(8, timeout=LONG)

    def together(connection, heard):
        barrier.wait()
        return says(b"{}")(connection, heard)

    with closing(network(8)) as transport, port(together) as at:
        for token in range(8):
            transport.start(request(at.url), token, LONG)
        assert {token: found.status for token, found in answers(transport, 8).items()} == dict.fromkeys(range(8), 200)


def test_many_fly_at_once_over_tls_before_it_is_known_what_the_server_speaks(network, certificates):
    barrier = threading.Barrier(4, timeout=LONG)

    def together(connection, heard):
        barrier.wait()
        return says(b"{}")(connection, heard)

    with (
        closing(network(4, certificates.file)) as transport,
        port(together, tls=certificates.context()) as at,
    ):
        for token in range(4):
            transport.start(request(at.url), token, LONG)
        assert all(found.status == 200 for found in answers(transport, 4).values())


def test_more_than_fit_wait_their_turn(network):
    with closing(network(2)) as transport, port(says(b"{}")) as at:
        for token in range(20):
            transport.start(request(at.url), token, LONG)
        assert all(found.status == 200 for found in answers(transport, 20).values())
        assert at.connections <= 2


def test_each_gets_the_answer_to_what_it_asked(network):
    def echo(connection, heard):
        return says(heard.body)(connection, heard)

    with closing(network(4)) as transport, port(echo) as at:
        for token in range(40):
            transport.start(request(at.url, body=b"%d" % token * token), token, LONG)
        assert {t: found.body for t, found in answers(transport, 40).items()} == {t: b"%d" % t * t for t in range(40)}


# --- what goes out ------------------------------------------------------------------------------------------

BARE = {"User-Agent": "engine/0", "Accept-Encoding": "gzip"}


def sent(transport, method: str, target: str = "/", **more: Any) -> Any:
    with port(says(b"")) as at:
        assert isinstance(ask(transport, request(at.url + target, method, **more)), Response)
        (heard,) = at.heard
        assert heard.headers.pop("host") == at.url.removeprefix("http://")
        return heard


@pytest.mark.parametrize(
    ("method", "body", "length"),
    [
        ("POST", b'{"a":1}', "7"), ("POST", b"", "0"), ("PUT", b"", "0"), ("PATCH", b"\0\xff", "2"),
        ("GET", b"", None), ("GET", b"{}", "2"), ("DELETE", b"", None), ("DELETE", b"{}", "2"), ("HEAD", b"", None),
        ("POST", b"x" * 3_000_000, "3000000"),
    ],
)  # fmt: skip
def test_a_request_goes_out_as_it_is(transport, method, body, length):
    heard = sent(transport, method, "/api/x?q=1", headers=BARE | {"Api-Key": Secret("s3cret")}, body=body)
    assert (heard.line, heard.body) == (f"{method} /api/x?q=1 HTTP/1.1", body)
    headers = {name: value for name, value in heard.headers.items() if name not in ("host", "connection")}
    expected = {"user-agent": "engine/0", "accept-encoding": "gzip", "api-key": "s3cret"}
    assert headers == expected | ({"content-length": length} if length is not None else {})


def test_headers_go_out_as_they_are(transport):
    odd = {
        "X-Empty": "",
        "X-Blank": " ",
        "X-Latin": "\xe9",
        "x-lower": "Yes: no; maybe",
        "content-type": "text/plain",
    }
    heard = sent(transport, "POST", headers=BARE | {"Content-Type": "gone"} | odd)
    got = heard.headers
    assert (got["x-empty"], got["x-blank"], got["x-latin"], got["x-lower"]) == ("", "", "\xe9", "Yes: no; maybe")
    assert got["content-type"] == "text/plain" and heard.head.lower().count(b"content-type") == 1
    assert b"x-lower:" in heard.head


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("", "/"), ("?q=1", "/?q=1"), ("/a?b=c&d=%20+%C3%A9", "/a?b=c&d=%20+%C3%A9"), ("/a/../b/./c", "/a/../b/./c"),
        ("/a b?c d", "/a%20b?c%20d"), ("/\xe9?\u2603=1", "/%C3%A9?%E2%98%83=1"), ("/a#b", "/a"), ("/a%zz", "/a%25zz"),
        ("/a//b", "/a//b"), ("/\"<>\\^`{|}", "/%22%3C%3E%5C%5E%60%7B%7C%7D"), ("/@a:b?x=a@y.test", "/@a:b?x=a@y.test"),
    ],
)  # fmt: skip
def test_an_address_goes_out_as_it_is(transport, target, line):
    assert sent(transport, "GET", target, body=b"").line == f"GET {line} HTTP/1.1"


@pytest.mark.parametrize(
    "value", ["line\nbreak", "carriage\rreturn", "snow\u2603man", "end\n", "folded\r\n more", "n\0ul"]
)
def test_a_header_that_cannot_be_sent_halts_without_showing_it(transport, value):
    with port(says(b"{}")) as at:
        found = ask(transport, request(at.url, headers={"Api-Key": Secret(value)}))
        assert isinstance(found, Halt) and found.code == "request"
        assert value not in str(found) and found.where and not at.heard
        judge(ask(transport, request(at.url)), Answered(200, b"{}"))


@pytest.mark.parametrize("name", ["", "a b", "a\nb", "\u2603", "a:b"])
def test_a_header_by_no_name_halts(transport, name):
    with port(says(b"{}")) as at:
        found = ask(transport, request(at.url, headers={name: "x"}))
        assert isinstance(found, Halt) and found.code == "request" and not at.heard


@pytest.mark.parametrize(
    "url", ["http://", "ftp://127.0.0.1/", "file:///etc/passwd", "nothing", "http://[::1", "http://127.0.0.1:99999/", "http://u:p@127.0.0.1:9/"]
)  # fmt: skip
def test_an_address_where_nothing_can_be_sent_halts(transport, url):
    found = ask(transport, request(url))
    assert isinstance(found, Halt) and found.code == "request"


def test_nothing_of_the_environment_reaches_a_request(network, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with closing(network()) as transport, port(says(b"{}", "200 OK", "Set-Cookie: a=b")) as at:
        for _ in range(2):
            judge(ask(transport, request(at.url)), Answered(200, b"{}"))
        assert not any({"authorization", "cookie"} & heard.headers.keys() for heard in at.heard)


# --- files --------------------------------------------------------------------------------------------------


def stream(tmp_path, data: bytes, size: int | None = None) -> Stream:
    path = tmp_path / "upload"
    path.write_bytes(data)
    return Stream(str(path), len(data) if size is None else size, b"<", b">")


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_a_file_goes_out_as_long_as_announced(transport, tmp_path, method, size):
    data = bytes(n % 251 for n in range(1000)) * (size // 1000) if size >= 1000 else b"x" * size
    heard = sent(transport, method, body=stream(tmp_path, data))
    assert heard.body == b"<" + data + b">"
    assert heard.headers["content-length"] == str(len(data) + 2)
    assert not {"expect", "transfer-encoding"} & heard.headers.keys()


def test_a_file_that_becomes_shorter_halts(transport, tmp_path):
    with port(silent) as at:
        found = ask(transport, request(at.url, "PUT", body=stream(tmp_path, b"0123", 10)))
    assert isinstance(found, Halt) and found.code == "upload" and "6 bytes shorter" in str(found)


@contextmanager
def refuses_early():
    """A port that answers before it has read the body, and goes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(1 << 20):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join(LONG)


def test_an_answer_that_comes_before_the_body_has_gone_counts(transport, tmp_path):
    with refuses_early() as url:
        judge(ask(transport, request(url, "PUT", body=stream(tmp_path, b"x" * 5_000_000))), Answered(413))


def get(transport, url, landing) -> Any:
    return ask(transport, request(url, "GET", headers=BARE, body=b"", into=landing))


@pytest.fixture
def landing(tmp_path):
    return Landing(str(tmp_path / "new" / "report.part"))


def content(landing) -> bytes:
    with open(landing.path, "rb") as file:  # noqa: PTH123
        return file.read()


ETAG = 'ETag: "abc"'


def test_a_file_comes_in_whole_and_as_it_is(transport, landing):
    data = gzip.compress(bytes(range(256)) * 8000, 1) + b"x" * 2_000_000
    with port(says(data, "200 OK", GZIP, ETAG)) as at:
        judge(get(transport, at.url, landing), Answered(200, b"", {"content-length": str(len(data))}))
    assert content(landing) == data


def test_a_file_of_nothing(transport, landing):
    with port(says(b"")) as at:
        judge(get(transport, at.url, landing), Answered(200))
    assert content(landing) == b""


def test_a_file_that_was_cut_is_gone_on_with(transport, landing):
    rest = writes(f"HTTP/1.1 206 Part\r\nContent-Length: 3\r\nContent-Range: bytes 3-5/6\r\n{ETAG}\r\n\r\ndef")
    with port(says(b"abc", "200 OK", ETAG, length=6, then="close"), rest) as at:
        judge(get(transport, at.url, landing), LOST)
        assert content(landing) == b"abc"
        judge(get(transport, at.url, landing), Answered(206))
        assert content(landing) == b"abcdef"
        assert (at.heard[1].headers["range"], at.heard[1].headers["if-range"]) == ("bytes=3-", '"abc"')


def test_a_part_that_was_not_asked_for_is_none(transport, landing):
    with port(writes("HTTP/1.1 206 Part\r\nContent-Length: 3\r\nContent-Range: bytes 3-5/6\r\n\r\ndef")) as at:
        found = get(transport, at.url, landing)
    judge(found, LOST)
    assert "not asked for" in str(found)


@pytest.mark.parametrize("status", [404, 416, 500])
def test_another_answer_than_the_file(transport, landing, status):
    with port(says(b"why", f"{status} No")) as at:
        judge(get(transport, at.url, landing), Answered(status, b"why"))


def test_a_file_that_drips_ends_with_the_time_limit_and_stays(transport, landing):
    with port(drips(HEAD, b"x" * 999)) as at:
        transport.start(request(at.url, "GET", body=b"", into=landing), 1, 0.4)
        judge(answers(transport, 1)[1], LOST)
    assert 0 < len(content(landing)) < 100


def test_a_place_that_cannot_be_written_halts(transport, tmp_path):
    target = tmp_path / "precious"
    target.write_text("x")
    (tmp_path / "link").symlink_to(target)
    with port(says(b"abc")) as at:
        found = get(transport, at.url, Landing(str(tmp_path / "link")))
    assert isinstance(found, Halt) and found.code == "disk" and target.read_text() == "x"


# --- TLS ----------------------------------------------------------------------------------------------------


def test_a_certificate_that_is_trusted(network, certificates):
    with (
        closing(network(ca_file=certificates.file)) as transport,
        port(says(JSON), tls=certificates.context()) as at,
    ):
        for _ in range(3):
            judge(ask(transport, request(at.url)), Answered(200, JSON))
        assert at.connections == 1


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_certificate_that_is_not_halts(network, certificates, tmp_path, wrong):
    trusted = Certificates(tmp_path).file if wrong == "authority" else certificates.file
    context = certificates.context("127.0.0.1" if wrong == "authority" else "elsewhere.test")
    with closing(network(ca_file=trusted)) as transport, port(says(JSON), tls=context) as at:
        found = ask(transport, request(at.url))
        assert isinstance(found, Halt) and found.code == "tls" and not at.heard
        assert str(found) == f"TLS to {at.url.removeprefix('https://')} failed"


def test_who_speaks_no_tls_halts(transport):
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def refuse():
            with plain.accept()[0] as connection:
                connection.sendall(b"HTTP/1.1 400 no\r\n\r\n")
                connection.recv(65536)

        threading.Thread(target=refuse, daemon=True).start()
        found = ask(transport, request(f"https://127.0.0.1:{plain.getsockname()[1]}"))
    assert isinstance(found, Halt) and found.code == "tls"


def test_a_reset_while_tls_is_agreed_is_no_reason_to_halt(transport):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            with listener.accept()[0] as connection:
                connection.recv(10)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

        threading.Thread(target=refuse, daemon=True).start()
        found = ask(transport, request(f"https://127.0.0.1:{listener.getsockname()[1]}"))
    assert isinstance(found, NoAnswer)


def test_http_2_where_the_server_offers_it(certificates):
    """Only libcurl speaks it: many requests, one connection."""
    paths: list[str] = []

    def script(connection, heard):
        raise AssertionError("HTTP/1.1 was spoken")

    context = certificates.context(protocols=("h2", "http/1.1"))
    with port(script, tls=context) as at, closing(NETWORKS["curl"](8, certificates.file)) as transport:

        def handle(connection, script, number):
            with context.wrap_socket(connection, server_side=True) as secure:
                assert secure.selected_alpn_protocol() == "h2"
                speaks_h2(secure, JSON, paths)

        at.handle = handle
        judge(ask(transport, request(f"{at.url}/first")), Answered(200, JSON))
        for token in range(20):
            transport.start(request(f"{at.url}/{token}"), token, LONG)
        found = answers(transport, 20)
        for answer in found.values():
            judge(answer, Answered(200, JSON, {"x-thing": "yes"}))
        assert sorted(paths) == sorted(["/first", *(f"/{n}" for n in range(20))]) and at.connections == 1


# --- waiting ------------------------------------------------------------------------------------------------


def test_a_wait_ends_at_its_moment(transport):
    with port(silent) as at:
        transport.start(request(at.url), 1, LONG)
        began = time.monotonic()
        assert transport.wait(began - 1) == [] and transport.wait(began + 0.05) == []
        assert 0.04 < time.monotonic() - began < 5


def test_where_nothing_is_under_way_nobody_waits(transport):
    assert transport.wait(None) == []


@pytest.mark.parametrize("flying", [True, False])
def test_a_wait_can_be_woken_by_another_thread(transport, flying):
    with port(silent) as at:
        if flying:
            transport.start(request(at.url), 1, LONG)
        threading.Timer(0.05, transport.wake).start()
        began = time.monotonic()
        assert transport.wait(began + LONG) == [] and time.monotonic() - began < 5


def test_a_wait_can_be_woken_before_it_began(transport):
    with port(silent) as at:
        transport.start(request(at.url), 1, LONG)
        transport.wake()
        began = time.monotonic()
        assert transport.wait(began + LONG) == [] and time.monotonic() - began < 5
        assert transport.wait(began + 0.01) == []


def test_a_wait_can_be_woken_by_a_signal(transport):
    before = signal.signal(signal.SIGALRM, lambda *_: transport.wake())
    try:
        with port(silent) as at:
            transport.start(request(at.url), 1, LONG)
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            began = time.monotonic()
            assert transport.wait(began + LONG) == [] and time.monotonic() - began < 5
    finally:
        signal.signal(signal.SIGALRM, before)


def test_closing_does_not_wait_for_what_flies_and_a_late_call_does_no_harm(network):
    with port(silent) as at:
        transport = network(2)
        transport.start(request(at.url), 1, LONG)
        transport.wait(time.monotonic() + 0.05)
        began = time.monotonic()
        transport.close()
        transport.wake()
        assert time.monotonic() - began < 5


def test_what_is_wrong_with_a_request_is_an_answer(transport, monkeypatch):
    """Neither `start` nor a callback lets an error out; of a defect only the type is told."""

    class Broken(dict):
        def items(self):
            raise RuntimeError("s3cret")

        def __iter__(self):
            raise RuntimeError("s3cret")

    with port(says(JSON)) as at:
        found = ask(transport, request(at.url, headers=Broken()))
        assert isinstance(found, Halt) and "RuntimeError" in str(found) and "s3cret" not in str(found)
        judge(ask(transport, request(at.url, headers=HEADERS)), Answered(200, JSON))
