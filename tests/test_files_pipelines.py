"""The examples of files do what they say: a dialect into files per country, a growing log, an array over http."""

from __future__ import annotations

import http.server
import json
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from engine.config.load import parse
from engine.registry import Registry, pretend_world
from engine.runners.local import Options, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.transport import Pretend

ROOT = Path(__file__).parent.parent
ARRAY = """
version: 1
name: over-http
sources:
  people: {type: file, path: "ADDRESS/export/people.json?page=all", key: id, retries: 2}
sinks:
  crm: {type: iterable, api_key: "${ITERABLE_API_KEY}"}
  copy: {type: file, path: out/people.csv, formula_guard: true}
mappings:
  profiles: {from: people, to: crm.update_user, fields: {userId: "{{ record.id }}"}}
  rows: {from: people, to: copy, fields: {id: "{{ record.id }}", text: "{{ record.text }}"}}
"""
RETYPED = ["123", "1e5", "None", "True", "1_000", "0x10", "[1,2]", "1.10", "12 ", "0123"]


@pytest.fixture
def folder(tmp_path):
    ignored = shutil.ignore_patterns(".engine", "out")
    return shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines", ignore=ignored)


@pytest.fixture
def run():
    """Runs a file against pretend vendors in this process; `run.world` remembers what they received."""
    clock = FakeClock()
    world = pretend_world(clock, [])

    def run(path, **environ):
        environ = {"ITERABLE_API_KEY": "test-key-0123456789", **environ}
        loaded = parse(path.read_text(), str(path), Registry.builtin(), environ=environ, path=path)
        assert loaded.pipeline is not None, [finding.render() for finding in loaded.findings]
        options = Options(clock=clock, chance=Random(1), transport=lambda _, clock: Pretend(world.handle, clock))
        return run_pipeline(loaded.pipeline, Registry.builtin(), options)

    return run


@contextmanager
def serving(body, asked):
    """A server on loopback that breaks off half-way, once; `asked` are the offsets it is asked from. Its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            asked.append(start)
            self.send_response(206 if start else 200)
            self.send_header("ETag", '"1"')
            self.send_header("Content-Length", str(len(body) - start))
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.end_headers()
            self.wfile.write(body[start:] if start else body[: len(body) // 2])

        def log_message(self, *_): ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_dialect_goes_into_a_file_per_country(folder, run):
    assert run(folder / "files-export.yaml").exit == 0
    found = {
        path.name: [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        for path in (folder / "out" / "orders").iterdir()
    }
    assert {name: [row["order"] for row in rows] for name, rows in found.items()} == {
        "de-00001.jsonl": ["00017", "00019", "00021"], "de-00002.jsonl": ["00022"],
        "fr-00001.jsonl": ["00018", "00023"], "us-00001.jsonl": ["00020"],
    }  # fmt: skip
    assert found["de-00001.jsonl"][0] == {
        "order": "00017", "name": "Jürgen Groß", "total": 3.3, "express": True, "ordered": "2024-12-31"
    }  # fmt: skip
    assert found["fr-00001.jsonl"][0]["note"] == "Klingel || 2. Stock"


def test_a_log_that_grows_is_sent_once(folder, run):
    file, log = folder / "files-log.yaml", folder / "data" / "files-log-2024-06-02.jsonl"
    delivered = [run(file).report["mappings"]["visits"]["delivered"] for _ in range(2)]
    assert delivered == [32, 0]
    line = '{"id": "v041", "at": "2024-06-03T10:00:00Z", "event": "viewed", "user": "u-1"}\n'
    with log.open("a") as growing:
        growing.write(line[:40])
    assert run(file).report["sources"]["log"] == {"read": 0, "malformed": 0}
    with log.open("a") as growing:
        growing.write(line[40:])
    assert run(file).report["mappings"]["visits"]["delivered"] == 1


def test_the_example_of_an_array_reads_a_file_and_an_address_alike(folder, run):
    body, asked = (folder / "data" / "files-stock.json").read_bytes(), []
    with serving(body, asked) as address:
        outcomes = [run(folder / "files-http.yaml"), run(folder / "files-http.yaml", STOCK=f"{address}/stock.json")]
    counts = [outcome.report["mappings"]["items"] for outcome in outcomes]
    assert counts[0] == counts[1]
    assert (counts[0]["records"], counts[0]["filtered"], counts[0]["delivered"]) == (4, 1, 3)
    assert asked[0] == 0 and max(asked) > 0


def test_an_array_over_http_that_breaks_off_arrives_whole(tmp_path, run):
    people = [{"id": f"{n:05d}", "text": RETYPED[n % len(RETYPED)]} for n in range(4000)] + [
        {"id": "x", "text": "=A1"}
    ]
    body, asked = json.dumps(people, indent=1).encode(), []
    with serving(body, asked) as address:
        file = tmp_path / "over-http.yaml"
        file.write_text(ARRAY.replace("ADDRESS", address))
        outcome = run(file)
    assert outcome.exit == 0
    assert outcome.report["mappings"]["profiles"]["delivered"] == 4001
    assert max(asked) > 0
    rows = (tmp_path / "out" / "people.csv").read_text().splitlines()
    assert rows[0] == "id,text"
    assert rows[1:11] == [f'{n:05d},"{t}"' if "," in t else f"{n:05d},{t}" for n, t in enumerate(RETYPED)]
    assert rows[-1] == "x,'=A1"
