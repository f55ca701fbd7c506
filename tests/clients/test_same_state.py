"""For the same input our sink leaves the same state at the vendor as its own public client."""

from __future__ import annotations

import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.config.load import parse
from engine.registry import Registry
from engine.runners.local import Options, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.transport import Pretend
from engine.sandbox.server import serve
from engine.sandbox.world import World
from tests.clients.running import GOLDEN, HERE, comparable, iterable_import
from tests.clients.test_iterable_data_import import CASES
from tests.sandbox.helpers import Standing

pytestmark = pytest.mark.clients

PIPELINES = [HERE.parent / "golden" / "pipelines" / f"{case}.yaml" for case in CASES]


def by_the_client(case: str, folder: Path) -> Any:
    with serve(World(Standing())) as server:
        told = iterable_import(case, server.urls["iterable"], folder)
    assert told == {"finished": True, "refused": []}
    return server.world.vendors["iterable"].state()


def by_the_engine(pipeline: Path, folder: Path) -> Any:
    for file in (GOLDEN / pipeline.stem).glob("input.*"):
        shutil.copy(file, folder)
    path = Path(shutil.copy(pipeline, folder))
    registry, clock = Registry.builtin(), FakeClock()
    loaded = parse(
        path.read_text("utf-8"), str(path), registry, environ={"ITERABLE_API_KEY": "k-0123456789"}, path=path
    )
    assert loaded.pipeline is not None, "\n".join(finding.render() for finding in loaded.findings)
    world = World(clock)
    transport = lambda _, at: Pretend(world.handle, at)  # noqa: E731
    outcome = run_pipeline(loaded.pipeline, registry, Options(clock=clock, chance=Random(1), transport=transport))
    assert outcome.report["status"] == "succeeded", outcome.report
    return world.vendors["iterable"].state()


@pytest.mark.parametrize("pipeline", PIPELINES, ids=[path.stem for path in PIPELINES])
def test_the_state_is_the_same(pipeline: Path, tmp_path: Path) -> None:
    theirs = comparable(by_the_client(pipeline.stem, tmp_path))
    assert comparable(by_the_engine(pipeline, tmp_path)) == theirs
    assert any(theirs.values())
