"""The Lumidatum pipelines do what their own tests say, and leave at the vendors what they should."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.config.load import parse
from engine.registry import Registry
from engine.runners.local import Options, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.transport import Pretend
from engine.sandbox.world import World

ROOT = Path(__file__).parents[3]
PIPELINES = sorted((ROOT / "pipelines").glob("lumidatum-*.yaml"))


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_its_tests_pass(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "engine", "test", path.name],
        cwd=path.parent, capture_output=True, text=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def left_behind(name: str, folder: Path) -> World:
    """The pretend vendors after a run."""
    path = ROOT / "pipelines" / f"{name}.yaml"
    environ = {"LUMIDATUM_TOKEN": "Token 0123456789", "ITERABLE_API_KEY": "k-0123456789"}
    text = path.read_text("utf-8") + f"\nstate: {{path: {folder}}}\n"
    loaded = parse(text, str(path), Registry.builtin(), environ=environ, path=path)
    assert loaded.pipeline is not None, [found.render() for found in loaded.findings]
    clock = FakeClock()
    world = World(clock)
    transport = lambda _, at: Pretend(world.handle, at)  # noqa: E731
    outcome = run_pipeline(loaded.pipeline, Registry.builtin(), Options(clock=clock, transport=transport))
    assert outcome.exit == 0, outcome.report
    return world


def test_transactions_arrive(tmp_path: Path) -> None:
    sales = (
        left_behind("lumidatum-transactions", tmp_path).vendors["lumidatum"].state()["models"]["123"]["transactions"]
    )
    found = {sale["id"]: sale["total"] for sale in sales if sale["id"].startswith("s-")}
    assert found == {"s-1001": 25.0, "s-1002": 79.0, "s-1003": 7.25, "s-1004": 50.0, "s-1005": 18.0, "s-1006": 79.0}


def test_lifetime_values_become_data_fields(tmp_path: Path) -> None:
    world = left_behind("lumidatum-ltv", tmp_path)
    report = world.vendors["lumidatum"].models["123"].report("reports/123/LTV/2017-07-21T194816Z.csv").decode()
    wanted = dict(line.split(",") for line in report.splitlines()[1:])
    people = {p["userId"]: p["dataFields"] for p in world.vendors["iterable"].state()["users"]}
    assert {name: f"{fields['ltv']:.2f}" for name, fields in people.items()} == wanted
    assert all(fields["loyal"] == (fields["ltv"] >= 200) for fields in people.values())
    assert {fields["ltvAsOf"] for fields in people.values()} == {"2017-07-21T19:48:16Z"}


def test_recommendations_become_data_fields(tmp_path: Path) -> None:
    world = left_behind("lumidatum-recommendations", tmp_path)
    model = world.vendors["lumidatum"].models["123"]
    people = {p["userId"]: p["dataFields"] for p in world.vendors["iterable"].state()["users"]}
    assert len(people) == 4
    for name, fields in people.items():
        best = model.predict({"customer_id": int(name), "num_of_recs": 3, "human_readable": True})["recommendations"]
        assert fields["recommendedIds"] == [one["product_id"] for one in best]
        assert fields["recommendedNow"] == best[0]["product_description"]
