"""Addresses, against a server on loopback."""

from __future__ import annotations

import gzip
import http.server
import threading

import pytest

from engine.errors import Refused
from engine.sources.files import FileSource

TEXT = b"a,b\n" + b"".join(b"%d,v\n" % n for n in range(20_000))


@pytest.fixture
def server():
    """Serves what is put into `files`; `cut` breaks the connection after so many bytes."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = self.server.files.get(self.path.partition("?")[0])
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write((body or b"")[: self.server.cut])

        do_HEAD = do_GET

        def log_message(self, *_): ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files, running.cut = {}, None
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def read(server, path):
    source = FileSource(path=f"http://127.0.0.1:{server.server_port}{path}")
    [name] = source.partitions()
    return name, [record for rows in source.read(name, None) for record in rows.records]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_file_is_read_from_an_address(server, pack):
    server.files["/a.csv"] = pack(TEXT)
    name, records = read(server, "/a.csv?signature=secret")
    assert name.endswith("/a.csv")
    assert len(records) == 20_000


def test_resuming_reads_on(server):
    server.files["/a.csv"] = TEXT
    source = FileSource(path=f"http://127.0.0.1:{server.server_port}/a.csv")
    [name] = source.partitions()
    everything = list(source.read(name, None))
    assert source.checksum(name, everything[5].end.offset) == everything[5].end.check
    assert [rows.records for rows in source.read(name, everything[5].end)][-1][-1] == ["19999", "v"]
    assert sum(len(rows) for rows in source.read(name, everything[5].end)) == 20_000 - everything[5].end.row


def test_a_cut_connection_is_refused(server):
    server.files["/a.csv"], server.cut = TEXT, 100_000
    with pytest.raises(Refused, match="cannot be read to its end"):
        read(server, "/a.csv")


def test_an_address_without_a_file_is_refused(server):
    with pytest.raises(Refused, match="cannot be read") as told:
        read(server, "/b.csv?signature=secret")
    assert "secret" not in str(told.value)
