"""Addresses, against a server on loopback that cuts, stalls, ignores ranges and changes its files."""

from __future__ import annotations

import gzip
import http.server
import json
import threading

import pytest

from engine.errors import InvalidPipeline, Refused
from engine.sources.addresses import Version
from engine.sources.files import FileSource

TEXT = b"a,b\n" + b"".join(b"%d,v\n" % n for n in range(40_000))
CUT = len(TEXT) // 3


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives `server.files`, as the server's fields say; every request is noted in `server.asked`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server, path = self.server, self.path.partition("?")[0]
        server.asked.append((path, dict(self.headers)))
        if path in server.moved:
            self.plain(302, {"Location": server.moved[path]})
            return
        status = server.statuses.pop(0) if server.statuses else 200
        body = server.files.get(path)
        if body is None or status != 200:
            self.plain(404 if body is None else status, {})
            return
        if len(server.asked) > 1 and server.next_file is not None:
            server.files[path] = body = server.next_file
        self.give(body)

    def give(self, body):
        server, etag = self.server, self.server.etag(body)
        if server.conditions and etag and self.headers.get("If-Match", etag) != etag:
            self.plain(412, {})
            return
        start, status, headers = 0, 200, {"ETag": etag} if etag else {}
        if server.modified:
            headers["Last-Modified"] = server.modified
        wanted = self.headers.get("Range")
        if wanted and server.ranges:
            start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(body):
                self.plain(416, {"Content-Range": f"bytes */{len(body)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        part = body[start:]
        if server.length == "content-length":
            headers["Content-Length"] = str(len(part))
        elif server.length == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        self.head(status, headers)
        self.send(part)

    def send(self, part):
        server = self.server
        cut = server.cuts.pop(0) if server.cuts else None
        sent = part if cut is None else part[:cut]
        if server.length == "chunked":
            for at in range(0, len(sent), server.piece):
                piece = sent[at : at + server.piece]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if cut is None:
                self.wfile.write(b"0\r\n\r\n")
        else:
            self.wfile.write(sent)
        self.wfile.flush()
        if cut is not None and server.stall:
            server.release.wait(5)

    def plain(self, status, headers):
        self.head(status, {**headers, "Content-Length": "0"})

    def head(self, status, headers):
        self.close_connection = True
        self.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_): ...


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.moved, self.asked = {"/a.csv": TEXT}, {}, []
        self.cuts, self.statuses = [], []  # of the next answers: bytes after which to cut, the status
        self.length, self.ranges, self.conditions, self.modified = "content-length", True, True, None
        self.etag = lambda body: f'"{len(body)}-{hash(body)}"'
        self.piece = 10_000  # bytes of a chunk
        self.next_file = None  # what the file is from the second request on
        self.stall, self.release = False, threading.Event()
        self.waits = []

    def handle_error(self, *_): ...

    def source(self, path="/a.csv", **settings):
        source = FileSource(path=f"http://127.0.0.1:{self.server_port}{path}", **settings)
        source.web.sleep = self.waits.append
        return source

    def read(self, path="/a.csv", start=None, **settings):
        source = self.source(path, **settings)
        [name] = source.partitions()
        return [record for rows in source.read(name, start) for record in rows.records]


@pytest.fixture
def server():
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.release.set()
        running.shutdown()
        thread.join()


ALL = [[str(n), "v"] for n in range(40_000)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("length", ["content-length", "chunked", "none"])
def test_a_file_is_read_from_an_address(server, pack, length):
    server.files["/a.csv"], server.length = pack(TEXT), length
    source = server.source("/a.csv?signature=secret#part")
    [name] = source.partitions()
    assert name.endswith("/a.csv")
    assert [record for rows in source.read(name) for record in rows.records] == ALL
    assert [note.code for note in source.notes] == (["length-unknown"] if length == "none" else [])
    assert len(server.asked) == 1


def test_a_json_array_is_read_from_an_address(server):
    people = [{"id": n, "tags": ["a", {"b": n}]} for n in range(5000)]
    server.files["/people.json"], server.cuts = json.dumps(people).encode(), [40_000, 40_000]
    assert server.read("/people.json?page=all") == people
    assert len(server.asked) == 3


def test_resuming_reads_on_by_range(server):
    source = server.source()
    [name] = source.partitions()
    batches = list(source.read(name))
    end = batches[5].end
    assert source.checksum(name, end.offset) == end.check
    del server.asked[:]
    assert [r for rows in source.read(name, end) for r in rows.records] == ALL[end.row :]
    assert server.asked[-1][1]["Range"] == f"bytes={end.offset}-"
    assert [r for rows in server.source().read(name, end) for r in rows.records] == ALL[end.row :]
    last = batches[-1].end
    assert [r for rows in source.read(name, last) for r in rows.records] == []


@pytest.mark.parametrize("length", ["content-length", "chunked"])
@pytest.mark.parametrize("kind", ["etag", "date", "weak", "nothing", "no ranges"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_cut_connection_is_taken_up_where_it_broke(server, length, kind, pack):
    body = server.files["/a.csv"] = pack(TEXT)
    third = len(body) // 3
    whole = kind in ("weak", "nothing", "no ranges")  # all is read again and compared
    server.length, server.ranges = length, kind != "no ranges"
    server.cuts = [third, 2 * third] if whole else [third, third]
    if kind in ("date", "nothing"):
        server.etag = lambda body: None
    if kind == "weak":
        server.etag = lambda body: f'W/"{len(body)}"'
    server.modified = "Sat, 01 Jun 2024 10:00:00 GMT" if kind == "date" else None
    assert server.read() == ALL
    assert len(server.asked) == 3
    again = server.asked[-1][1]
    if pack is not bytes and length == "chunked":
        return  # so little is given to nobody when it is cut, and all of it is asked for again
    assert ("Range" in again) is (kind in ("etag", "date", "no ranges"))
    assert ("If-Match" in again) is (kind in ("etag", "no ranges"))
    assert ("If-Unmodified-Since" in again) is (kind == "date")


def test_a_server_that_stalls_is_asked_again(server):
    server.cuts, server.stall = [CUT], True
    assert server.read(timeout={"read": 0.2}) == ALL
    assert len(server.asked) == 2


@pytest.mark.parametrize("kind", ["412", "etag in the range", "nothing", "length", "shorter", "no ranges"])
def test_a_file_that_changed_between_two_requests_is_refused(server, kind):
    server.cuts = [CUT]
    changed = TEXT[:5000] + b"X" + TEXT[5001:]
    server.next_file = {"length": TEXT + b"1,2\n", "shorter": TEXT[: CUT // 2]}.get(kind, changed)
    server.conditions = kind == "412"
    if kind in ("nothing", "length", "shorter"):
        server.etag = lambda body: None
    if kind in ("nothing", "shorter"):
        server.length = "chunked"
    if kind == "no ranges":
        server.ranges, server.etag = False, lambda body: '"same"'
    with pytest.raises(Refused, match="changed while it was read; run again with --fresh"):
        server.read()


def test_nothing_is_fetched_before_it_is_read(server):
    source = server.source()
    assert source.columns(source.partitions()[0]) is None
    assert server.asked == []


def test_a_file_that_changed_between_its_verification_and_its_rows_is_refused(server):
    source = server.source()
    [name] = source.partitions()
    assert source.checksum(name, 1000) is not None
    server.files["/a.csv"] = TEXT.replace(b"a,b", b"b,a")
    with pytest.raises(Refused, match="changed"):
        list(source.read(name))


def test_a_server_that_always_cuts_is_given_up_and_what_came_stands(server):
    server.cuts = [CUT] + [0] * 20
    source = server.source("/a.csv?key=secret", retries=3)
    [name] = source.partitions()
    found = []
    with pytest.raises(Refused, match=rf"cannot be read to its end: .*at byte {CUT}, tried 4 times") as told:
        for rows in source.read(name):
            found += rows.records
    assert found == ALL[: len(found)]
    assert len(found) > 10_000
    assert server.waits == [0.5, 1.0, 2.0]
    assert "secret" not in str(told.value)


def test_each_new_byte_makes_patience_new(server):
    server.cuts = [1000] * 30
    server.files["/a.csv"] = TEXT[:25_000]
    assert len(server.read(retries=1)) > 3000
    assert len(server.asked) == 25


def test_passing_troubles_are_waited_out(server):
    server.statuses = [503, 429, 500]
    assert server.read() == ALL
    assert server.waits == [0.5, 1.0, 2.0]


class Ticking:
    """A clock on which each look takes time: a chunk a look, so that a server of small chunks drips."""

    def __init__(self, seconds):
        self.now, self.seconds = 0.0, seconds

    def __call__(self):
        self.now += self.seconds
        return self.now


def test_a_server_that_drips_for_ever_is_left(server):
    """Each byte is in time; the file never comes."""
    server.length, server.piece, server.files["/a.csv"] = "chunked", 7, TEXT[:21_000]
    source = server.source(retries=2)
    source.web.now = Ticking(30.0)
    with pytest.raises(Refused, match=r"it comes too slowly: 21 bytes in 90 s .*tried 3 times"):
        list(source.read(source.partitions()[0], None))
    assert len(server.asked) == 3


def test_a_slow_server_is_not_one_that_drips(server):
    server.length, server.piece, server.files["/a.csv"] = "chunked", 700, TEXT[:210_000]
    source = server.source(retries=0)
    source.web.now = Ticking(30.0)
    rows = [row for rows in source.read(source.partitions()[0], None) for row in rows.records]
    assert len(rows) > 20_000


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 204])
def test_what_does_not_pass_is_refused_at_once(server, status):
    server.statuses = [status]
    with pytest.raises(Refused, match=f"HTTP {status}") as told:
        server.read("/a.csv?signature=secret")
    assert "secret" not in str(told.value)
    assert server.waits == []


def test_nobody_at_the_address(server):
    source = FileSource(path="http://127.0.0.1:1/a.csv", retries=1)
    source.web.sleep = server.waits.append
    with pytest.raises(Refused, match=r"no connection.*tried 2 times"):
        list(source.read(source.partitions()[0]))


def test_a_cut_without_a_length_cannot_show_and_may_be_refused_beforehand(server):
    server.length, server.cuts = "none", [CUT]
    source = server.source()
    [name] = source.partitions()
    assert sum(len(rows) for rows in source.read(name)) < 40_000
    assert [note.code for note in source.notes] == ["length-unknown"]
    with pytest.raises(Refused, match="comes without its length, and require_length is true"):
        server.read(require_length=True)


def test_a_cut_without_a_length_shows_where_the_format_has_an_end(server):
    server.length = "none"
    for path, body in (("/a.csv.gz", gzip.compress(TEXT)), ("/a.json", json.dumps([{"a": 1}] * 9000).encode())):
        server.files[path], server.cuts = body, [len(body) // 2]
        with pytest.raises(Refused, match="incomplete or damaged"):
            server.read(path)


def test_redirects_are_followed_within_bounds(server):
    server.moved = {"/now": "/a.csv", "/there": f"http://127.0.0.1:{server.server_port}/a.csv"}
    assert server.read("/now", format="csv") == server.read("/there", format="csv") == ALL
    server.moved = {"/loop": "/loop", "/out": "http://203.0.113.1/a.csv", "/file": "file:///etc/passwd"}
    for path, why in (("/loop", "more than 5 redirects"), ("/out", "redirects to http://203"), ("/file", "file://")):
        with pytest.raises(Refused, match=why):
            server.read(path, format="csv")


def test_nothing_of_the_machine_s_settings_is_used(server, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login a password b")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert server.read() == ALL
    assert "Authorization" not in server.asked[0][1]


def test_versions_differ_where_both_say_something_else():
    assert not Version().differs(Version('"a"', "now", 3))
    assert not Version('"a"', "", 3).differs(Version('"a"', "now"))
    assert Version('"a"', "", 3).differs(Version('"a"', "", 4))
    assert Version('"a"').differs(Version('"b"'))


def test_clear_text_is_for_loopback():
    with pytest.raises(InvalidPipeline, match="use https"):
        FileSource(path="http://example.org/a.csv").partitions()
