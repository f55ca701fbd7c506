"""Whole runs against the pretend Lumidatum, in this process and with a clock that stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from engine.config.load import parse
from engine.model import Response, Secret, Stream, WireRequest
from engine.registry import Registry
from engine.runners.local import Options, Outcome, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.deadletters import read_letters
from engine.runtime.transport import Pretend
from engine.sandbox.lumidatum import PretendLumidatum
from engine.sandbox.world import World
from tests.runtime.runs import check_sums

TOKEN = "Token 74076ed60dc5ce6a8d384814ed08f6c9a4bee02d"
HEAD = """
version: 1
name: shop
connections:
  lumi: {type: lumidatum, token: "${LUMIDATUM_TOKEN}", model_id: 123}
"""
Handle = Callable[[WireRequest], Response]


class Killed(BaseException):
    """The process is gone at this instant."""


class Shop:
    """A pipeline in a folder, and a pretend Lumidatum that is kept over its starts."""

    def __init__(self, folder: Path, text: str, faults: list[Any] | None = None, **settings: Any) -> None:
        self.folder, self.text = folder, HEAD + text
        self.clock = FakeClock()
        self.world = World(self.clock, faults or [], {"lumidatum": {"models": [123, 456], "demo": False, **settings}})
        self.sent: list[WireRequest] = []
        self.bodies: list[bytes] = []

    def write(self, name: str, text: str | bytes) -> None:
        (self.folder / name).write_bytes(text.encode() if isinstance(text, str) else text)

    def run(self, handle: Handle | None = None, **options: Any) -> Outcome:
        outcome = run_pipeline(self.pipeline(), Registry.builtin(), self.options(handle, **options))
        check_sums(outcome)
        return outcome

    def options(self, handle: Handle | None = None, **options: Any) -> Options:
        def ask(request: WireRequest) -> Response:
            self.sent.append(request)
            self.bodies.append(b"".join(request.body.chunks()) if isinstance(request.body, Stream) else request.body)
            return (handle or self.world.handle)(request)

        return Options(
            clock=self.clock, chance=Random(1), transport=lambda _, clock: Pretend(ask, clock), secrets=(TOKEN,),
            **options,
        )  # fmt: skip

    def pipeline(self) -> Any:
        path = self.folder / "shop.yaml"
        path.write_text(self.text)
        loaded = parse(self.text, str(path), Registry.builtin(), environ={"LUMIDATUM_TOKEN": TOKEN}, path=path)
        assert loaded.pipeline is not None, "\n".join(found.render() for found in loaded.findings)
        return loaded.pipeline

    @property
    def vendor(self) -> PretendLumidatum:
        return self.world.vendors["lumidatum"]  # type: ignore[return-value]

    def table(self, kind: str, model: str = "123") -> list[Any]:
        return self.vendor.state()["models"].get(model, {}).get(kind, [])

    @property
    def letters(self) -> list[dict[str, Any]]:
        path = self.folder / ".engine" / "dead" / "shop.jsonl"
        return list(read_letters(path)) if path.exists() else []

    @property
    def paths(self) -> list[tuple[str, str]]:
        """Method and address of each request, less the query."""
        return [(one.method, one.url.partition("?")[0]) for one in self.sent]

    def output(self, name: str) -> list[Any]:
        import msgspec

        return [msgspec.json.decode(line) for line in (self.folder / name).read_bytes().splitlines()]


def authorization(request: WireRequest) -> str | None:
    """What goes over the wire in that header."""
    headers: Mapping[str, Any] = {name.lower(): value for name, value in request.headers.items()}
    value = headers.get("authorization")
    return value.reveal() if isinstance(value, Secret) else value


def jsonl(count: int, **more: Any) -> str:
    import json

    return "".join(json.dumps({"id": n, **more}) + "\n" for n in range(count))
