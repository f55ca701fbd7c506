"""The Flagship examples of `pipelines/`: their own tests hold, and they do in the pretend world what they say."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.config.load import load
from engine.mapping.compiler import Context, compile_mapping
from engine.model import Position, Rows
from engine.registry import Registry, pretend_world
from engine.runners.local import Options, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.transport import Pretend

ROOT = Path(__file__).parents[3]
NAMES = sorted(path.stem for path in (ROOT / "pipelines").glob("flagship-*.yaml"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "pipelines", tmp_path / "pipelines", ignore=shutil.ignore_patterns(".engine"))
    return tmp_path / "pipelines"


def pipeline(folder: Path, name: str) -> Any:
    loaded = load(folder / f"{name}.yaml", Registry.builtin(), environ={}, sandbox=True)
    assert loaded.pipeline is not None, "\n".join(finding.render() for finding in loaded.findings)
    return loaded.pipeline


def run(folder: Path, name: str) -> tuple[Any, Any]:
    """The report, and the pretend vendors afterwards."""
    clock = FakeClock(1_770_000_000.0)
    world = pretend_world(clock, [])
    options = Options(transport=lambda _, clock: Pretend(world.handle, clock), clock=clock, chance=Random(1))
    outcome = run_pipeline(pipeline(folder, name), Registry.builtin(), options)
    assert outcome.exit == 0, outcome.report
    return outcome.report, world


def covers(found: Any, wanted: Any) -> bool:
    """Fields that are not named do not count."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(k in found and covers(found[k], v) for k, v in wanted.items())
    if isinstance(wanted, list):
        return isinstance(found, list) and len(found) == len(wanted) and all(map(covers, found, wanted))
    return bool(found == wanted)


def test_there_are_five() -> None:
    assert len(NAMES) == 5


@pytest.mark.parametrize("name", NAMES)
def test_its_own_tests_hold(folder: Path, name: str) -> None:
    checked = pipeline(folder, name)
    assert checked.tests
    for test in checked.tests:
        rows = Rows("given", Position(), Position(len(test["given"])), None, test["given"], lambda row: (row + 1, 0))
        values = {lookup: [value] * len(rows) for lookup, value in test.get("lookups", {}).items()}
        for mapping, wanted in test["expect"].items():
            spec = checked.mappings[mapping]
            context = Context(
                pipeline=checked.name, source=spec.source, lookups=frozenset(checked.lookups), vars={},
                run={"id": "r", "started_at": "2026-01-01T00:00:00.000Z"},
            )  # fmt: skip
            mapper, problems = compile_mapping(spec, context=context, columns=None)
            assert mapper is not None, problems
            mapped = mapper(rows, None, values)
            assert not mapped.failed and covers(mapped.payloads, wanted), (test["name"], mapped)


def test_assignment_to_a_file_asks_the_vendor_once(folder: Path) -> None:
    report, world = run(folder, "flagship-assign")
    lines = (folder / ".engine" / "flagship-assignments.jsonl").read_text("utf-8").splitlines()
    assert report["mappings"]["rows"]["delivered"] == len(lines) > 20
    assert {json.loads(line)["campaign"] for line in lines} == {"button", "offer", "checkout"}
    assert [one.path for one in world.received] == ["/demo/bucketing.json"]


def test_assignments_become_data_fields(folder: Path) -> None:
    _, world = run(folder, "flagship-to-iterable")
    people = [person["dataFields"] for person in world.vendors["iterable"].state()["users"]]
    assert len(people) == 10 and {person["buttonColor"] for person in people} == {"blue", "red"}
    assert all(person["experiments"] for person in people)


def test_orders_come_as_transactions_and_their_items(folder: Path) -> None:
    _, world = run(folder, "flagship-orders")
    hits = world.vendors["flagship"].hits
    assert sorted(hit["t"] for hit in hits) == ["ITEM"] * 4 + ["TRANSACTION"] * 4
    assert all(hit["qt"] > 0 for hit in hits)
    first = next(hit for hit in hits if hit["t"] == "TRANSACTION" and hit["tid"] == "o-1")
    assert (first["vid"], first["cuid"], first["tr"], first["icn"]) == ("d-51", "c-1001", 59.9, 3)


def test_only_who_was_shown_it_is_activated(folder: Path) -> None:
    report, world = run(folder, "flagship-exposure")
    seen = world.vendors["flagship"].activations
    assert report["mappings"]["activations"]["filtered"] + len(seen) == 10 and 0 < len(seen) < 10
    assert {one["caid"] for one in seen} == {"offer-loyal"}


def test_devices_and_logins_are_joined(folder: Path) -> None:
    _, world = run(folder, "flagship-login")
    flagship = world.vendors["flagship"]
    ids = {(one["visitorId"], one.get("anonymousId")) for one in flagship.visitors}
    assert ("c-1001", "d-51") in ids and ("d-52", None) in ids and len(ids) == 10
    assert {(hit.get("cuid"), hit["vid"]) for hit in flagship.hits} >= {("c-1001", "d-51"), (None, "d-52")}
    assert len(flagship.activations) == len(flagship.contexts) == 10
    assert all(one["aid"].startswith("d-") or len(one["aid"]) == 19 for one in flagship.activations if "aid" in one)
