"""The recordings of the Flagship Python SDK 2.1.5; see `tests/golden/flagship/README.md`."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from engine.vendors.buckets import Decider, compile_file

FOLDER = Path(__file__).parents[2] / "golden" / "flagship"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()]


def document(stem: str) -> Any:
    return json.loads((FOLDER / "bucketing" / f"{stem}.json").read_text("utf-8"))


@cache
def decider(stem: str) -> Decider:
    return compile_file(document(stem))
