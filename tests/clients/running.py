"""Vendors' own public clients, each in an environment of its own under `.clients/` (`make clients`)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
GOLDEN = HERE.parent / "golden" / "iterable"


def python(client: str) -> Path:
    """The interpreter of a client's environment; skips the test where it is not installed."""
    found = ROOT / ".clients" / client / "bin" / "python"
    if not found.exists():
        pytest.skip(f"the client of {client} is not installed: make clients")
    return found


def iterable_import(case: str, base_url: str, folder: Path) -> Any:
    """Runs `iterable-data-import` over a golden case; `{"finished", "refused"}` as it saw it."""
    done = subprocess.run(
        [python("iterable"), HERE / "iterable_import.py", base_url, GOLDEN / case, folder / "errors.jsonl"],
        capture_output=True, text=True, timeout=60, check=True, env={"PYTHONUTF8": "1"},
    )  # fmt: skip
    return json.loads(done.stdout)


def comparable(state: Any) -> Any:
    """What the pretend Iterable remembers, without what may differ between two senders of the same data.

    Ids of events and purchases are left out (one sender gives none, the other a stable one), and so is the order in
    which they came.
    """
    bare = {
        kind: sorted(({k: v for k, v in one.items() if k != "id"} for one in state[kind]), key=json.dumps)
        for kind in ("events", "purchases")
    }
    return {"users": state["users"], **bare}
