"""Ports of loopback that answer by a script: plain, over TLS, over HTTP/2; and one way to ask over any transport."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import h2.config
import h2.connection
import h2.events
import trustme

from engine.model import Secret, WireRequest
from engine.runtime.clock import SystemClock
from engine.runtime.curl import Curl
from engine.runtime.http import exchange
from engine.runtime.transport import Answer, Threads, Transport

Script = Callable[[socket.socket, "Heard"], Any]
LONG = 30.0  # seconds that no test waits out


class Heard(NamedTuple):
    """A request as it came over the wire, and the number of the connection that it came over."""

    head: bytes
    body: bytes
    connection: int

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n")[0].decode()

    @property
    def headers(self) -> dict[str, str]:
        pairs = [line.decode("latin-1").partition(":") for line in self.head.split(b"\r\n")[1:]]
        return {name.lower(): value.strip() for name, _, value in pairs}


class Port:
    """`url` is where it is, `heard` what came in. The n-th connection is handled by the n-th script, the last repeats."""

    def __init__(self, scripts: tuple[Script, ...], tls: ssl.SSLContext | None = None) -> None:
        self.scripts, self.tls = scripts, tls
        self.heard: list[Heard] = []
        self.connections = self.open = 0
        self.closing = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            script = self.scripts[min(self.connections, len(self.scripts) - 1)]
            self.connections += 1
            self.open += 1
            threading.Thread(target=self.handle, args=(connection, script, self.connections), daemon=True).start()

    def handle(self, connection: socket.socket, script: Script, number: int) -> None:
        with connection, suppress(OSError):
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                self.converse(connection, script, number)
        self.open -= 1

    def converse(self, connection: socket.socket, script: Script, number: int) -> None:
        while (heard := read_request(connection, number)) is not None:
            self.heard.append(heard)
            if script(connection, heard) == "close":
                return


@contextmanager
def port(*scripts: Script, tls: ssl.SSLContext | None = None) -> Iterator[Port]:
    it = Port(scripts, tls)
    threading.Thread(target=it.serve, daemon=True).start()
    try:
        yield it
    finally:
        it.closing.set()
        it.listener.close()


def read_request(connection: socket.socket, number: int) -> Heard | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(Heard(head, b"", 0).headers.get("content-length", "0"))
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return None
        body += piece
    return Heard(head, body, number)


# --- scripts ------------------------------------------------------------------------------------------------


def says(body: bytes, status: str = "200 OK", *headers: str, length: int | None = None, then: str = "") -> Script:
    """An answer with its length."""
    return writes(
        "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers])
        + "\r\n\r\n", body, then=then,
    )  # fmt: skip


def writes(*pieces: str | bytes, then: str = "close") -> Script:
    """Exactly these bytes."""
    data = b"".join(piece.encode("latin-1") if isinstance(piece, str) else piece for piece in pieces)

    def script(connection: socket.socket, heard: Heard) -> str:
        connection.sendall(data)
        return then

    script.closes = then == "close"
    return script


def reset(connection: socket.socket, heard: Heard) -> str:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    return "close"


def silent(connection: socket.socket, heard: Heard) -> str:
    connection.recv(1)  # until the other side goes
    return "close"


def drips(head: bytes, letters: bytes) -> Script:
    """The head at once, the rest a letter every 50 ms: never silent for long, never done."""

    def script(connection: socket.socket, heard: Heard) -> str:
        connection.sendall(head)
        connection.settimeout(0.05)
        for letter in letters:
            connection.sendall(bytes([letter]))
            with suppress(TimeoutError):
                if not connection.recv(1):
                    break
        return "close"

    return script


def in_turn(*scripts: Script) -> Script:
    """One script for each request of a connection."""
    left = list(scripts)

    def script(connection: socket.socket, heard: Heard) -> Any:
        return left.pop(0)(connection, heard)

    return script


# --- TLS ----------------------------------------------------------------------------------------------------


class Certificates:
    """An authority, as a file to trust, and what a server of its shows."""

    def __init__(self, folder: Any) -> None:
        self.authority = trustme.CA()
        self.file = str(folder / "ca.pem")
        self.authority.cert_pem.write_to_path(self.file)

    def context(self, name: str = "127.0.0.1", protocols: tuple[str, ...] = ()) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert(name).configure_cert(context)
        if protocols:
            context.set_alpn_protocols(list(protocols))
        return context


def speaks_h2(connection: socket.socket, body: bytes, heard: list[str]) -> None:
    """Answers every request of one connection of HTTP/2."""
    talk = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    talk.initiate_connection()
    connection.sendall(talk.data_to_send())
    while data := connection.recv(65536):
        for event in talk.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                heard.append(dict(event.headers or [])[b":path"].decode())
            elif isinstance(event, h2.events.StreamEnded):
                talk.send_headers(event.stream_id, [(":status", "200"), ("x-thing", "yes")])
                talk.send_data(event.stream_id, body, end_stream=True)
        connection.sendall(talk.data_to_send())


# --- asking -------------------------------------------------------------------------------------------------


class OverRequests(Threads):
    """Ends its connections, too: the exchange is its own."""

    def close(self) -> None:
        super().close()
        self._exchange.close()  # type: ignore[union-attr]


def over_threads(size: int = 1, ca_file: str | None = None) -> Transport:
    return OverRequests(size, SystemClock(), exchange(ca_file=ca_file))


def over_curl(size: int = 1, ca_file: str | None = None) -> Transport:
    return Curl(size, SystemClock(), ca_file)


NETWORKS = {"requests": over_threads, "curl": over_curl}
HEADERS = {
    "User-Agent": "engine/0", "Accept-Encoding": "gzip", "Content-Type": "application/json", "Api-Key": Secret("s3cret"),
}  # fmt: skip


def request(url: str, method: str = "POST", **more: Any) -> WireRequest:
    return WireRequest(method, url, **{"headers": HEADERS, "body": b'{"a":1}', **more})


def answers(transport: Transport, count: int, seconds: float = 10.0) -> dict[int, Answer]:
    """So many answers, by token."""
    end, found = time.monotonic() + seconds, {}
    while len(found) < count and time.monotonic() < end:
        found.update(transport.wait(end))
    assert len(found) == count, found
    return found


def ask(transport: Transport, what: WireRequest, timeout: float = 5.0) -> Answer:
    transport.start(what, 7, timeout)
    return answers(transport, 1)[7]
