"""Whole runs in a pretend world: a file, a pipeline, a clock that stands, faults as data."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from engine.config.load import parse
from engine.registry import Registry, pretend_world
from engine.runners.local import Options, Outcome, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.counts import Counts, broken_sums
from engine.runtime.deadletters import read_letters
from engine.runtime.transport import Pretend

USERS = """
version: 1
name: shop
sources:
  customers: {type: file, path: customers.csv, key: id}
sinks:
  crm: {type: iterable, api_key: "${ITERABLE_API_KEY}"}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    fields:
      email: "{{ record.email }}"
      userId: "{{ record.id }}"
      dataFields: {age: "{{ record.age | int }}"}
"""


class World:
    """The pretend vendors, kept over several starts of a pipeline in `folder`."""

    def __init__(self, folder: Path, text: str = USERS, faults: list[Any] | None = None, seed: int = 1) -> None:
        self.folder, self.text = folder, text
        self.clock, self.chance = FakeClock(), Random(seed)
        self.world = pretend_world(self.clock, faults or [])
        self.requests: list[Any] = []

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def pipeline(self, text: str | None = None):
        path = self.write("shop.yaml", text or self.text)
        loaded = parse(
            path.read_text(), str(path), Registry.builtin(),
            environ={"ITERABLE_API_KEY": "test-key-0123456789"}, path=path,
        )  # fmt: skip
        assert loaded.pipeline is not None, "\n".join(f.render() for f in loaded.findings)
        return loaded.pipeline

    def run(self, text: str | None = None, *, handle: Any = None, **options: Any) -> Outcome:
        def ask(request):
            self.requests.append(request)
            return (handle or self.world.handle)(request)

        options.setdefault("transport", lambda _, clock: Pretend(ask, clock))
        options.setdefault("registry", Registry.builtin())
        registry = options.pop("registry")
        outcome = run_pipeline(
            self.pipeline(text), registry, Options(clock=self.clock, chance=self.chance, **options)
        )
        check_sums(outcome)
        return outcome

    @property
    def letters(self) -> list[dict[str, Any]]:
        path = self.folder / ".engine" / "dead" / "shop.jsonl"
        return list(read_letters(path)) if path.exists() else []

    @property
    def vendor(self):
        return self.world.vendors["iterable"]


def check_sums(outcome: Outcome) -> None:
    """The sums of the report that always hold."""
    report = outcome.report
    sources = report["sources"]
    for name, m in report["mappings"].items():
        assert m["payloads"] == m["delivered"] + m["dropped"] + m["rejected"] + m["unknown"], (name, m)
        assert m["filtered"] + m["failed"] <= m["records"], (name, m)
        assert any(s["read"] == m["records"] + s["malformed"] for s in sources.values()), (name, m, sources)
    bad = sum(m["failed"] + m["rejected"] + m["unknown"] for m in report["mappings"].values())
    assert report["dead_letters"]["count"] == bad + sum(s["malformed"] for s in sources.values())


def customers(count: int, bad: dict[int, str] | None = None) -> str:
    """A CSV of customers; `bad` replaces whole rows by number."""
    rows = [f"{n},user{n}@shop.test,{20 + n % 60}" for n in range(count)]
    for number, row in (bad or {}).items():
        rows[number] = row
    return "id,email,age\n" + "\n".join(rows) + "\n"


__all__ = ["USERS", "Counts", "World", "broken_sums", "check_sums", "customers"]
