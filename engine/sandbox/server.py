"""The pretend vendors on a port: a small HTTP/1.1 server that keeps connections, one thread for each.

What a fault asks for happens on the socket: a lost connection is reset, a cut body ends early, a dripping one drips.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from io import BufferedReader
from typing import cast

from engine.plugin import NoAnswer, Response, Stream, WireRequest
from engine.sandbox.faults import Spoilt
from engine.sandbox.world import World

BODY_CAP = 16 * 1024 * 1024  # bytes; what is longer is refused with 413
BUFFER = 256 * 1024
LINE_CAP = 64 * 1024
HEADERS_CAP = 200
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: closing sends a reset
DRIPS = 20  # pieces of a dripping body
REASONS = {status.value: status.phrase for status in HTTPStatus}


class BadRequest(Exception):
    """A request that cannot be read; the connection ends with this status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Server:
    """Serves a world on loopback until `close`. `urls` are the vendors' base addresses by name."""

    def __init__(self, world: World, port: int = 0, host: str = "127.0.0.1") -> None:
        self.world = world
        self._listening = [socket.create_server((host, port), backlog=256)]
        self.port: int = self._listening[0].getsockname()[1]
        self.root = f"http://{host}:{self.port}"
        self.urls = world.urls(self.root)
        self._places = [("", self.root)]
        for name in world.apart:
            self._open_apart(name, host)
        self._connections: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._accepting = [
            threading.Thread(target=self._accept, args=(at, *place), name="sandbox", daemon=True)
            for at, place in zip(self._listening, self._places, strict=True)
        ]
        for thread in self._accepting:
            thread.start()

    def _open_apart(self, name: str, host: str) -> None:
        """A port for a vendor's part that is another origin."""
        listening = socket.create_server((host, 0), backlog=256)
        root = f"http://{host}:{listening.getsockname()[1]}"
        self._listening.append(listening)
        self._places.append((name, root))
        self.urls[name] = root
        self.world.move(name, root)

    def close(self) -> None:
        """Ends all connections and waits for their threads."""
        self._closing.set()
        for listening, thread in zip(self._listening, self._accepting, strict=True):
            address = listening.getsockname()
            with contextlib.suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError):  # where shutdown does not wake `accept`, a caller does
                socket.create_connection(address, timeout=1).close()
            thread.join(5)
            listening.close()
        with self._lock:
            open_ones = dict(self._connections)
        for connection, thread in open_ones.items():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(5)

    def _accept(self, listening: socket.socket, place: str, root: str) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection, place, root), daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: socket.socket, place: str, root: str) -> None:
        try:
            with connection, connection.makefile("rb", buffering=BUFFER) as stream:
                self._converse(connection, cast(BufferedReader, stream), place, root)
        except OSError:
            pass  # the other side has gone
        finally:
            with self._lock:
                self._connections.pop(connection, None)

    def _converse(self, connection: socket.socket, stream: BufferedReader, place: str, root: str) -> None:
        while not self._closing.is_set():
            try:
                request = read_request(stream, connection, root, lambda url: self.world.large(url, place))
            except BadRequest as error:
                _dismiss(connection, error.status)
                return
            if request is None:
                return
            try:
                if not self._answer(connection, request, place):
                    return
            finally:
                if isinstance(request.body, Incoming):
                    request.body.drain()

    def _answer(self, connection: socket.socket, request: WireRequest, place: str) -> bool:
        """Answers one request; False when the connection ends with it."""
        try:
            answer = self.world.answer(request, place)
        except NoAnswer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return False
        if answer.delay:
            self._closing.wait(answer.delay)
        announced = answer.announced if isinstance(answer, Spoilt) else None
        whole = len(answer.body) if announced is None else announced
        body = b"" if request.method == "HEAD" else answer.body
        if isinstance(answer, Spoilt) and answer.drip:
            connection.sendall(_head(answer, whole))
            self._drip(connection, body, answer.drip)
        else:
            connection.sendall(_head(answer, whole) + body)
        return whole == len(answer.body) and str(request.headers.get("connection", "")).lower() != "close"

    def _drip(self, connection: socket.socket, body: bytes, seconds: float) -> None:
        size = max(1, len(body) // DRIPS)
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        for piece in pieces:
            connection.sendall(piece)
            if self._closing.wait(seconds / len(pieces)):
                return


@contextlib.contextmanager
def serve(world: World, port: int = 0) -> Iterator[Server]:
    """A world on a port of loopback (0: any that is free) for as long as the block lasts."""
    server = Server(world, port)
    try:
        yield server
    finally:
        server.close()


def _dismiss(connection: socket.socket, status: int) -> None:
    """The last answer of a connection. What still comes is read: unread, it would reset the answer away."""
    connection.sendall(_head(Response(status, {"connection": "close"}), 0))
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(1)
    left = 4 * BODY_CAP
    while left > 0 and (piece := connection.recv(1 << 20)):
        left -= len(piece)


# --- HTTP/1.1, as much as is needed -------------------------------------------------------------------------


def read_request(
    stream: BufferedReader, connection: socket.socket, root: str, large: Callable[[str], bool]
) -> WireRequest | None:
    """The next request of a connection; None at its end. Raises `BadRequest`. A `large` body goes into a file."""
    first = _line(stream)
    if not first:
        return None
    words = first.split()
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        raise BadRequest(400, "no request line")
    headers = _headers(stream)
    if words[2] == b"HTTP/1.0":
        headers.setdefault("connection", "close")
    if headers.get("expect", "").lower() == "100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    target = words[1].decode("latin-1")
    url = root + target if target.startswith("/") else target
    method, announced = words[0].decode("latin-1"), headers.get("content-length", "0")
    if large(url) and announced.isdecimal() and int(announced) > BODY_CAP:
        return WireRequest(method, url, headers, Incoming(stream, int(announced)))
    return WireRequest(method, url, headers, _body(stream, headers))


class Incoming(Stream):
    """A body of any size that is still coming in: it can be read once."""

    __slots__ = ("_left", "_source")
    _left: int
    _source: BufferedReader

    def __init__(self, source: BufferedReader, length: int) -> None:
        super().__init__("", length)
        object.__setattr__(self, "_source", source)
        object.__setattr__(self, "_left", length)

    def chunks(self, length: int = 1 << 18) -> Iterator[bytes]:
        """What has not been read yet. Ends early where the sender does."""
        while self._left and (piece := self._source.read1(min(self._left, length))):
            object.__setattr__(self, "_left", self._left - len(piece))
            yield piece

    def drain(self) -> None:
        """Reads over the rest: unread, it would be taken for the next request."""
        for _ in self.chunks():
            pass


def _line(stream: BufferedReader) -> bytes:
    line = stream.readline(LINE_CAP)
    if line and not line.endswith(b"\n"):
        raise BadRequest(431, "a line without end")
    return line


def _headers(stream: BufferedReader) -> dict[str, str]:
    headers: dict[str, str] = {}
    while (line := _line(stream)) not in (b"\r\n", b"\n", b""):
        name, colon, value = line.partition(b":")
        if not colon or len(headers) >= HEADERS_CAP:
            raise BadRequest(431 if colon else 400, "headers")
        headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
    return headers


def _body(stream: BufferedReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(stream)
    announced = headers.get("content-length", "0")
    if not announced.isdecimal():
        raise BadRequest(400, "content-length")
    return _exactly(stream, int(announced), 0)


def _chunks(stream: BufferedReader) -> bytes:
    found: list[bytes] = []
    size = 0
    while True:
        try:
            length = int(_line(stream).partition(b";")[0], 16)
        except ValueError:
            raise BadRequest(400, "chunk size") from None
        if length == 0:
            _headers(stream)
            return b"".join(found)
        found.append(_exactly(stream, length, size))
        size += length
        _line(stream)


def _exactly(stream: BufferedReader, length: int, before: int) -> bytes:
    if length < 0 or before + length > BODY_CAP:
        raise BadRequest(413, "too long")
    body = stream.read(length) if length else b""
    if len(body) < length:
        raise BadRequest(400, "cut short")
    return body


def _head(answer: Response, length: int) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {REASONS.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if answer.status != 204:
        lines.append(f"content-length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
