"""Runs by real worker processes, with the pretend vendors answering in the test's own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from engine.config.load import parse
from engine.plugin import Response
from engine.registry import Registry, pretend_world
from engine.runners.local import Options, Outcome, run_pipeline
from engine.runners.workers import run_workers
from engine.runtime.claims import owner
from engine.runtime.clock import SystemClock
from engine.runtime.deadletters import read_letters
from engine.runtime.transport import Pretend
from tests.runtime.runs import check_sums

KEY = "test-key-0123456789"


class Shop:
    """A folder with a pipeline. `settings` are those of the pretend Iterable; its rates are off unless they say so."""

    def __init__(self, folder: Path, text: str, faults: list[Any] | None = None, **settings: Any) -> None:
        self.folder, self.text = folder, text
        folder.mkdir(exist_ok=True)
        self.clock = SystemClock()
        self.world = pretend_world(self.clock, faults or [])
        self.vendor = self.world.vendors["iterable"]
        self.vendor.__init__(self.clock, **{"rates": False, **settings})
        self.requests: list[Any] = []
        self.chance = Random(1)
        self.refuses: Callable[[], bool] | None = None  # is the key refused now?

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def pipeline(self, text: str | None = None):
        path = self.write("shop.yaml", text or self.text)
        loaded = parse(path.read_text(), str(path), Registry.builtin(), environ={"ITERABLE_API_KEY": KEY}, path=path)
        assert loaded.pipeline is not None, "\n".join(f.render() for f in loaded.findings)
        return loaded.pipeline

    def handle(self, request):
        self.requests.append(request)
        if self.refuses is not None and self.refuses():
            return Response(401, {"content-type": "application/json"}, b'{"code": "BadApiKey"}')
        return self.world.handle(request)

    def senders(self, of: int = 2) -> Counter[int]:
        """How many requests each worker has sent, as their order keys tell."""
        return Counter(owner(people(request)[0], of) for request in list(self.requests))

    def run(self, workers: int = 1, text: str | None = None, **options: Any) -> Outcome:
        options = Options(clock=self.clock, chance=self.chance, **options)
        pipeline = self.pipeline(text)
        if workers == 1:
            options.transport = lambda _, clock: Pretend(self.handle, clock)
            options.own_process = False
            outcome = run_pipeline(pipeline, Registry.builtin(), options)
        else:
            outcome = run_workers(pipeline, Registry.builtin(), options, workers, self.handle)
        check_sums(outcome)
        return outcome

    @property
    def letters(self) -> list[dict[str, Any]]:
        path = self.folder / ".engine" / "dead" / "shop.jsonl"
        return list(read_letters(path)) if path.exists() else []

    def lines(self, name: str = "out.jsonl") -> list[Any]:
        return [json.loads(line) for line in (self.folder / name).read_bytes().splitlines()]


def people(request: Any) -> list[str]:
    """Whom a request to the pretend Iterable is about."""
    body = msgspec.json.decode(request.body)
    return [one["email"] for one in body.get("users", body.get("events", ()))] or [body["user"]["email"]]


def facts(report: dict[str, Any]) -> dict[str, Any]:
    """What has to be the same whoever ran it: all that is counted, less how it was packed into requests."""
    return {word: report[word] for word in ("status", "sources", "mappings")} | {
        "letters": report["dead_letters"]["count"]
    }


def told(letters: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The letters, in an order of their own, less what differs from run to run."""
    return sorted((x["id"], x["mapping"] or "", x["code"], x["reason"], repr(x["origin"])) for x in letters)
