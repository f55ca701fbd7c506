"""Two recorders that answer by a script, one for the API and one for storage: in this process, or on loopback."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from engine.errors import NoAnswer
from engine.model import Response, Stream, WireRequest
from engine.runtime.clock import FakeClock
from engine.runtime.transport import Pretend, Threads, Transport
from engine.runtime.wire import revealed

IN_PROCESS = {"api": "http://127.0.0.1:1", "storage": "http://127.0.0.1:2"}
PART = re.compile(
    rb'Content-Disposition: form-data; name="([^"]*)"[^\r\n]*\r\n(?:[^\r\n]+\r\n)*\r\n(.*)\Z', re.S | re.I
)


class Recorder:
    """Answers in the order of `script` over both hosts; what came in is in `requests`."""

    def __init__(self, script: list[dict[str, Any]]) -> None:
        self.script, self.requests = list(script), []
        self.roots = dict(IN_PROCESS)
        self._lock = threading.Lock()

    def filled(self, value: Any) -> Any:
        """With the two origins in their places."""
        if isinstance(value, str):
            return value.replace("{{API}}", self.roots["api"]).replace("{{STORAGE}}", self.roots["storage"])
        if isinstance(value, dict):
            return {k: self.filled(v) for k, v in value.items()}
        return [self.filled(v) for v in value] if isinstance(value, list) else value

    def take(self, host: str, method: str, target: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        """Notes a request; the next answer of the script, its body and headers ready."""
        parts = urlsplit(target)
        with self._lock:
            self.requests.append({
                "host": host, "method": method, "path": parts.path, "query_pairs": parse_qsl(parts.query, True),
                "headers": {name.lower(): value for name, value in headers.items()}, "body": body,
            })  # fmt: skip
            answer = self.filled(self.script.pop(0)) if self.script else {"status": 599, "text": "script is over"}
        if "json" in answer:
            data = json.dumps(answer["json"]).encode()
        else:
            data = base64.b64decode(answer["base64"]) if "base64" in answer else answer.get("text", "").encode()
        return {**answer, "data": data, "headers": answer.get("headers", {})}

    # --- in this process --------------------------------------------------------------------------------------

    def handle(self, request: WireRequest) -> Response:
        host = next(name for name, root in self.roots.items() if request.url.startswith(root))
        body = b"".join(request.body.chunks()) if isinstance(request.body, Stream) else request.body
        target = request.url[len(self.roots[host]) :]
        answer = self.take(host, request.method, target, revealed(request.headers), body)
        if answer.get("drop"):
            raise NoAnswer("dropped", ambiguous=True)
        headers = {name.lower(): value for name, value in answer["headers"].items()}
        headers["content-length"] = str(len(answer["data"]))
        return Response(answer["status"], headers, answer["data"][: answer.get("truncate")])

    # --- on loopback ------------------------------------------------------------------------------------------

    @contextmanager
    def on_loopback(self):
        with ExitStack() as stack:
            for host in self.roots:
                server = stack.enter_context(closing(_server(self, host)))
                self.roots[host] = f"http://127.0.0.1:{server.server_port}"
            yield self


def _server(recorder: Recorder, host: str) -> Any:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            answer = recorder.take(host, self.command, self.path, dict(self.headers.items()), body)
            if answer.get("drop"):
                self.close_connection = True
                return
            self.send_response(answer["status"])
            for name, value in answer["headers"].items():
                self.send_header(name, value)
            if answer["status"] != 204:
                self.send_header("Content-Length", str(len(answer["data"])))
            self.end_headers()
            self.wfile.write(answer["data"][: answer.get("truncate")])
            self.close_connection = "truncate" in answer

        do_GET = do_POST = do_PUT = do

        def log_message(self, *_: Any) -> None: ...

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def close(self) -> None:
            self.shutdown()
            self.server_close()
            thread.join(5)

        def handle_error(self, *_: Any) -> None: ...

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    return server


class Hasty:
    """A clock that runs with the machine's, and over waits in no time."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead

    def time(self) -> float:
        return time.time() + self.ahead

    def sleep(self, seconds: float) -> None:
        self.ahead += seconds


class HastyThreads(Threads):
    """The real transport; where nothing is under way it does not wait."""

    def wait(self, until: float | None) -> list[Any]:
        if not self._deadlines and until is not None:
            self._clock.sleep(max(0.0, until - self._clock.now()))
            return []
        return super().wait(until)


def in_process(recorder: Recorder) -> tuple[Transport, Any]:
    clock = FakeClock()
    return Pretend(recorder.handle, clock), clock


def over_http() -> tuple[Transport, Any]:
    clock = Hasty()
    return HastyThreads(1, clock), clock


def multipart(body: bytes, content_type: str) -> list[tuple[str, bytes]]:
    """The parts of a form, in order: name and content."""
    mark = b"--" + content_type.partition("boundary=")[2].encode()
    pieces = body.split(mark)
    assert pieces[0] == b"" and pieces[-1] == b"--\r\n"
    parts = []
    for piece in pieces[1:-1]:
        found = PART.fullmatch(piece.removeprefix(b"\r\n").removesuffix(b"\r\n"))
        assert found, piece[:200]
        parts.append((found[1].decode(), found[2]))
    return parts


__all__ = ["Recorder", "in_process", "multipart", "over_http", "suppress"]
