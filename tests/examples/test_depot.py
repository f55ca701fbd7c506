"""The example vendor of `docs/writing-a-vendor.md` does what it says: an action, a lookup and a reader in one run."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from engine.config.load import parse
from engine.model import Response, WireRequest
from engine.registry import Registry
from engine.runners.local import Options, Outcome, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.deadletters import read_letters
from engine.runtime.transport import Pretend

ROOT = Path(__file__).parents[2]
PIPELINE = """
version: 1
name: depot
connections:
  d: {type: depot, token: "${DEPOT_TOKEN}"}
sources:
  orders: {type: file, path: orders.csv, key: id}
  returned: {type: depot_returns, connection: d, since: "2024-01-01", details: true, key: parcel}
lookups:
  place: {type: depot.where, connection: d, with: {parcel: "{{ record.id }}"}}
sinks:
  d: {type: depot, connection: d}
  out: {type: file, path: returned.jsonl}
mappings:
  parcels:
    from: orders
    to: d.parcels
    when: "{{ not place }}"
    fields: {id: "{{ record.id }}", to: "{{ record.city }}"}
  returns:
    from: returned
    to: out
    fields: {parcel: "{{ record.parcel }}", why: "{{ record.why | default(omit) }}"}
"""


@pytest.fixture
def depot() -> Any:
    spec = importlib.util.spec_from_file_location("depot", ROOT / "examples" / "depot.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Answering:
    """The depot: knows parcel 1, refuses those to nowhere, has two pages of returns and a file."""

    def __init__(self) -> None:
        self.seen: list[WireRequest] = []

    def handle(self, request: WireRequest) -> Response:
        self.seen.append(request)
        path = request.url.partition("?")[0]
        if path.endswith("/where"):
            known = request.url.endswith("parcel=1")
            return self._say(200, place="Lyon") if known else self._say(404, error="unknown")
        if path.endswith("/parcels"):
            parcels = json.loads(request.body)["parcels"]  # type: ignore[arg-type]
            refused = [{"index": n, "why": "nowhere"} for n, one in enumerate(parcels) if one["to"] == "Nowhere"]
            return self._say(200, refused=refused)
        if path.endswith("/returns/file"):
            return self._say(201, url="https://files.example/returns.csv?signed=1")
        if path.endswith("/returns"):
            page = int(request.url[-1])
            return self._say(200, returns=[{"parcel": f"r{page}", "why": "torn"}], next=2 if page == 1 else None)
        return Response(200, {"etag": '"1"'}, b"parcel\nf1\nf2\n")

    def _say(self, status: int, **said: Any) -> Response:
        return Response(status, {}, msgspec.json.encode(said))


def run(depot: Any, folder: Path, answering: Answering) -> Outcome:
    (folder / "orders.csv").write_text("id,city\n1,Lyon\n2,Nice\n3,Nowhere\n")
    registry = Registry.builtin()
    registry = registry.with_plugin("sinks", "depot", depot.Depot)
    registry = registry.with_plugin("lookups", "depot.where", depot.Where)
    registry = registry.with_plugin("sources", "depot_returns", depot.Returns)
    path = folder / "depot.yaml"
    path.write_text(PIPELINE)
    loaded = parse(PIPELINE, str(path), registry, environ={"DEPOT_TOKEN": "t-0123456789"}, path=path)
    assert loaded.pipeline is not None, "\n".join(found.render() for found in loaded.findings)
    clock = FakeClock()
    transport = lambda _, at: Pretend(answering.handle, at)  # noqa: E731
    return run_pipeline(loaded.pipeline, registry, Options(clock=clock, chance=Random(1), transport=transport))


def test_everything_in_one_run(depot: Any, tmp_path: Path) -> None:
    answering = Answering()
    outcome = run(depot, tmp_path, answering)
    assert outcome.exit == 1, outcome.report
    assert outcome.report["mappings"]["parcels"]["delivered"] == 1
    (letter,) = read_letters(tmp_path / ".engine" / "dead" / "depot.jsonl")
    assert (letter["origin"]["line"], letter["code"], letter["reason"]) == (4, "not-taken", "nowhere")
    out = [json.loads(line) for line in (tmp_path / "returned.jsonl").read_text().splitlines()]
    assert out == [
        {"parcel": "r1", "why": "torn"},
        {"parcel": "r2", "why": "torn"},
        {"parcel": "f1"},
        {"parcel": "f2"},
    ]


def test_the_token_goes_to_the_depot_only(depot: Any, tmp_path: Path) -> None:
    answering = Answering()
    run(depot, tmp_path, answering)
    with_token = {request.url.split("/")[2] for request in answering.seen if "X-Depot-Token" in request.headers}
    without = {request.url.split("/")[2] for request in answering.seen if "X-Depot-Token" not in request.headers}
    assert (with_token, without) == ({"depot.example"}, {"files.example"})


def test_it_has_sixty_lines() -> None:
    lines = (ROOT / "examples" / "depot.py").read_text("utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 60


def test_the_page_shows_it_as_it_is() -> None:
    page = (ROOT / "docs" / "writing-a-vendor.md").read_text("utf-8")
    assert (ROOT / "examples" / "depot.py").read_text("utf-8") in page
