"""The loopback vendor answers what is sent, whatever pieces it comes in, and writes down what it was sent."""

import json
import socket
import ssl
from urllib.parse import urlsplit

import pytest

from benchmarks.measure import vendor

SINGLE = b'{"id": "p"}'


def request(path, body, *more):
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *more]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def answer(said):
    """Status line and body of the next answer of what `makefile` gives."""
    status, length = said.readline().decode().strip(), 0
    while (line := said.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, json.loads(said.read(length))


def connected(address):
    url = urlsplit(address)
    return socket.create_connection((url.hostname, url.port), timeout=10)


@pytest.fixture
def talk():
    with vendor(0.0) as address, connected(address) as connection, connection.makefile("rb") as said:
        yield connection, said


def test_single_and_bulk_on_one_connection(talk):
    connection, said = talk
    connection.sendall(request("/api/commerce/trackPurchase", SINGLE))
    assert answer(said) == ("HTTP/1.1 200 OK", {"msg": "", "code": "Success", "params": None})
    users = json.dumps({"users": [{"email": "a"}, {"email": "b"}]}).encode()
    connection.sendall(request("/api/users/bulkUpdate", users))
    assert answer(said)[1]["successCount"] == 2


def test_what_was_sent_is_written_down(tmp_path):
    recorded = vendor(0.001, record=tmp_path / "said")
    with recorded as address, connected(address) as connection, connection.makefile("rb") as said:
        whole = request("/api/users/bulkUpdate", b'{"users": [{"email": "a"},\n {"email":\n "b"}]}')
        connection.sendall(whole[:70])
        connection.sendall(whole[70:] + request("/api/x", SINGLE))  # cut anywhere, two at once
        assert answer(said)[1]["successCount"] == 2
        assert answer(said)[1]["code"] == "Success"
    lines = [json.loads(line) for line in (tmp_path / "said").read_text().splitlines()]
    assert lines == [{"email": "a"}, {"email": "b"}, {"id": "p"}]


def test_whoever_asks_first_is_told_to_go_on(talk):
    connection, said = talk
    connection.sendall(request("/api/x", SINGLE, "Expect: 100-continue")[: -len(SINGLE)])
    assert (said.readline(), said.readline()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
    connection.sendall(SINGLE)
    assert answer(said)[0] == "HTTP/1.1 200 OK"


def test_over_tls_with_a_certificate_of_its_own(tmp_path):
    with vendor(0.0, tls=tmp_path) as address:
        assert address.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        with connected(address) as plain, trust.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            connection.sendall(request("/api/x", SINGLE))
            with connection.makefile("rb") as said:
                assert answer(said)[0] == "HTTP/1.1 200 OK"
