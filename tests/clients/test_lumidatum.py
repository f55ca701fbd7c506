"""The real `lumidatumclient` 0.11.0 against the pretend Lumidatum: everything it can do succeeds, and so does ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.python.lumidatum import LumidatumClient
from engine.runtime.clock import SystemClock
from engine.sandbox.server import Server, serve
from engine.sandbox.world import World
from tests.clients.running import HERE, python

pytestmark = pytest.mark.clients

TOKEN = "Token 74076ed60dc5ce6a8d384814ed08f6c9a4bee02d"
USERS = '{"id": 1, "name": "Ada"}\n{"id": 2, "name": "Łódź"}'
KINDS = {"users": "User", "items": "Item", "transactions": "Transaction", "feedback": "Feedback"}


@pytest.fixture
def server() -> Iterator[Server]:
    settings = {"lumidatum": {"tokens": [TOKEN], "models": [123, 456], "demo": False}}
    with serve(World(SystemClock(), settings=settings)) as running:
        yield running


def made(server: Server, folder: Path, *calls: tuple[str, list[Any], dict[str, Any]]) -> list[Any]:
    """What the old client's calls returned."""
    done = subprocess.run(
        [python("lumidatum"), HERE / "lumidatum_calls.py", server.urls["lumidatum"], TOKEN, folder],
        input=json.dumps(calls), capture_output=True, text=True, timeout=120, env={"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tables(server: Server, model: str = "123") -> dict[str, Any]:
    return server.world.vendors["lumidatum"].state()["models"][model]


def load(server: Server, folder: Path) -> None:
    """A shop with two customers, sent by the old client."""
    sales = '[{"id": "s1", "user_id": 1, "total": 250.5}, {"id": "s2", "user_id": 2, "total": 20}]'
    items = "".join(f'{{"id": {n}, "title": "Item {n}"}}\n' for n in range(10, 20))
    (folder / "items.json").write_text(items)
    results = made(
        server, folder, ("sendUserData", [USERS], {}), ("sendTransactionData", [sales], {}),
        ("sendItemData", [], {"file_path": "{FOLDER}/items.json"}),
    )  # fmt: skip
    assert [one["status"] for one in results] == [201, 201, 204]


@pytest.mark.parametrize("kind", KINDS)
def test_data_arrives_inline_and_by_file(kind: str, server: Server, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text('{"id": 3, "v": "x"}\n{"id": 4, "v": "y"}\n')
    method = f"send{KINDS[kind]}Data"
    results = made(
        server, tmp_path, (method, ['{"id": 1}\n{"id": 2}'], {}), (method, ['[{"id": 2, "again": true}]'], {}),
        (method, [], {"file_path": "{FOLDER}/data.json"}), (method, ['{"id": 9}'], {"model_id": "456"}),
    )  # fmt: skip
    assert [one["status"] for one in results] == [201, 201, 204, 201]
    assert tables(server)[kind] == [{"id": 1}, {"id": 2, "again": True}, {"id": 3, "v": "x"}, {"id": 4, "v": "y"}]
    assert tables(server, "456")[kind] == [{"id": 9}]
    (file,) = server.world.vendors["lumidatum"].files
    assert file == {"file": "data.json", "kind": kind, "records": 2, "error": None}


def test_models_answer(server: Server, tmp_path: Path) -> None:
    load(server, tmp_path)
    asked = {"customer_id": 1, "num_of_recs": 3, "exc_prod_ids": [11]}
    plain, described, worth, segments = made(
        server, tmp_path, ("getRecommendations", [asked], {}), ("getRecommendationDescriptions", [asked], {}),
        ("getLifetimeValue", [{"customer_id": 1}], {}), ("getSegmentation", [], {}),
    )  # fmt: skip
    assert len(plain["recommendations"]) == 3
    assert 11 not in [name for name, _ in plain["recommendations"]]
    scores = [score for _, score in plain["recommendations"]]
    assert scores == sorted(scores, reverse=True)
    assert described["recommendations"][0] == {
        "product_id": plain["recommendations"][0][0],
        "product_description": f"Item {plain['recommendations'][0][0]}",
    }
    assert worth == {"customer_id": 1, "ltv": 250.5}
    assert segments == {"segments": [{"name": "active", "ids": ["2"]}, {"name": "high_value", "ids": ["1"]}]}


def test_reports_come(server: Server, tmp_path: Path) -> None:
    load(server, tmp_path)
    dates, newest, *_ = made(
        server, tmp_path, ("getLTVReportDates", [], {}), ("getSegmentationReportDates", [], {"latest": True}),
        ("getLatestLTVReport", ["{FOLDER}/ltv.csv"], {"zipped": False}), ("getLatestLTVReport", ["{FOLDER}/ltv.zip"], {}),
        ("getLatestSegmentationReport", ["{FOLDER}/seg.csv"], {"zipped": False}),
    )  # fmt: skip
    assert dates[-1] == newest == "2017-07-21T19:48:16Z"
    assert (tmp_path / "ltv.csv").read_text() == "customer_id,ltv\n1,250.50\n2,20.00\n"
    assert (tmp_path / "ltv.zip").read_bytes()[:4] == b"PK\x03\x04"
    assert (tmp_path / "seg.csv").read_text() == "customer_id,segment\n1,high_value\n2,active\n"


def test_both_clients_are_told_the_same(server: Server, tmp_path: Path) -> None:
    load(server, tmp_path)
    ours = LumidatumClient(TOKEN, 123, server.urls["lumidatum"])
    asked = {"customer_id": 2, "num_of_recs": 4}
    theirs, segments, dates, _ = made(
        server, tmp_path, ("getRecommendations", [asked], {}), ("getSegmentation", [], {}),
        ("getLTVReportDates", [], {"zipped": True}), ("getLatestLTVReport", ["{FOLDER}/theirs.zip"], {}),
    )  # fmt: skip
    assert ours.get_recommendations(asked).raw == theirs
    assert ours.get_segmentation() == segments
    assert sorted(ours.get_ltv_report_dates(zipped=True)) == sorted(dates)
    saved = ours.get_latest_ltv_report(tmp_path / "ours.zip")
    assert saved.read_bytes() == (tmp_path / "theirs.zip").read_bytes()
