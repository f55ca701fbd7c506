"""What a vendor that was taken over can make of a run: an error, never a key, a trap, a bomb or a forged line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.attacks.answers import TAKEN_OVER, Answer
from tests.attacks.table import MEGABYTES, SECRET
from tests.attacks.test_attacks import command


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, list[Any]]]:
    """A server that always answers so; its address, and the requests (path, headers) that it got."""
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            got.append((self.path, dict(self.headers)))
            status, headers, body, *more = answer
            times = more[0] if more else 1
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body) * times)}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                for _ in range(times):
                    self.wfile.write(body)
            except OSError:  # it had enough
                self.close_connection = True

        do_GET = do_PUT = do_CONNECT = do_POST

        def log_message(self, *_: Any) -> None: ...

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_port}", got
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


@pytest.mark.parametrize("transport", ["requests", "curl"])
@pytest.mark.parametrize("taken", TAKEN_OVER, ids=lambda taken: taken.id)
def test_a_vendor_that_was_taken_over(taken, transport, tmp_path):
    if transport == "curl":
        pytest.importorskip("pycurl")
    with server((200, {}, b"{}")) as (trap, trapped), server(taken.answer(trap)) as (vendor, asked):
        (tmp_path / "people.csv").write_bytes(taken.people)
        (tmp_path / "attack.yaml").write_text(taken.pipeline % {"vendor": vendor})
        if taken.netrc:
            (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password other\n")
            (tmp_path / ".netrc").chmod(0o600)
        environ = {"ITERABLE_API_KEY": taken.key, "ENGINE_TRANSPORT": transport, **taken.environ(trap)}
        code, printed, peak = command(tmp_path, ("run", "attack.yaml", "--no-progress"), environ)
    assert code == taken.exit, printed
    assert not [word for word in taken.says if word not in printed], printed
    assert trapped == []
    assert [path for path, _ in asked if taken.paths is not None and path not in taken.paths] == []
    assert not [path for path, _ in asked if ".." in path or "?" in path or ("admin" in path and "%2F" not in path)]
    assert not [name for _, headers in asked for name in headers if name.lower() == "authorization"]
    assert "Traceback" not in printed
    assert SECRET not in printed
    assert "\x1b" not in printed
    assert "\nINFO" not in printed
    assert peak < MEGABYTES
