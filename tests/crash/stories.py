"""Stories: some commands over some files, of which one may be cut off anywhere. What comes of them must be the same.

Between them they do everything that the engine does to a disk: state, dead letters, files whole and packed, files
gathered for an upload, downloaded reports, append mode, replays, reports.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.runtime.clock import SystemClock
from engine.runtime.deadletters import read_letters
from engine.sandbox.server import Server, serve
from tests.crash.data import KEY, Data, pipeline
from tests.crash.deadly import Deadly
from tests.crash.hatchery import Ended, Hatchery

TOKEN = "Token crash-test-token-0123456789"
RUN = ("run", "crash.yaml", "--no-progress", "--report", "report.json")
FILES = """
  table: {type: file, path: out/table.csv}
  packed: {type: file, path: out/packed.jsonl.gz}
"""
TO_FILES = """
  rows: {from: customers, to: table, fields: {id: "{{ record.id }}", email: "{{ record.email }}"}}
  copies: {from: customers, to: packed, fields: {id: "{{ record.id }}"}}
"""
LUMI = """
version: 1
name: crash
connections:
  lumi: {type: lumidatum, token: "${LUMIDATUM_TOKEN}", model_id: 123, base_url: "${LUMIDATUM_URL}"}
"""
UPLOAD = (
    LUMI
    + """
sources: {customers: {type: file, path: customers.jsonl, key: id}}
sinks: {lumi: {type: lumidatum, connection: lumi, via: file}}
mappings:
  users: {from: customers, to: lumi.users, fields: {id: "{{ record.id }}", name: "{{ record.email }}"}}
"""
)
REPORT = (
    LUMI
    + """
sources: {ltv: {type: lumidatum_report, connection: lumi, report: ltv, zipped: true, key: customer_id}}
sinks: {values: {type: file, path: out/values.jsonl}}
mappings:
  values: {from: ltv, to: values, fields: {id: "{{ record.customer_id }}", ltv: "{{ record.ltv | float }}"}}
"""
)
APPEND = pipeline().replace("{type: file, path", "{type: file, mode: append, path")


def with_files() -> str:
    text = pipeline()
    return text.replace("mappings:\n", FILES.lstrip("\n") + "mappings:\n" + TO_FILES.lstrip("\n"), 1)


@dataclass(frozen=True)
class Step:
    """A command, and the files that are (over)written before it."""

    command: tuple[str, ...] = RUN
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Story:
    """Steps, of which the one numbered `struck` meets its fate."""

    name: str
    steps: tuple[Step, ...]
    struck: int = 0


def stories(rows: int = 60) -> list[Story]:
    """All of them. `rows` of customers are in each."""
    text, half = Data.make(rows).text, Data.make(rows // 2).text
    mended = pipeline().replace("record.n | int", "record.n | int(0)")
    return [
        Story("vendor, files, dead letters", (Step(files={"crash.yaml": with_files(), "customers.jsonl": text}),)),
        Story("upload of a gathered file", (Step(files={"crash.yaml": UPLOAD, "customers.jsonl": text}),)),
        Story("download of a report", (Step(files={"crash.yaml": REPORT}),)),
        Story(
            "append mode, the file has grown",
            (Step(files={"crash.yaml": APPEND, "customers.jsonl": half}), Step(files={"customers.jsonl": text})),
            struck=1,
        ),
        Story(
            "replay of dead letters",
            (Step(files={"crash.yaml": pipeline(), "customers.jsonl": text}),
             Step(("dead", "replay", "crash.yaml"), {"crash.yaml": mended})),
            struck=1,
        ),
    ]  # fmt: skip


class Stage:
    """One playing of a story: a folder, and pretend vendors of its own."""

    def __init__(self, home: Path, hatchery: Hatchery, world: Deadly, server: Server) -> None:
        self.home, self._hatchery, self.world = home, hatchery, world
        self.ends: list[int] = []  # requests that had arrived when a life ended
        self.env = {
            "ITERABLE_API_KEY": KEY, "ITERABLE_URL": server.urls["iterable"],
            "LUMIDATUM_TOKEN": TOKEN, "LUMIDATUM_URL": server.urls["lumidatum"],
        }  # fmt: skip

    def live(self, step: Step, plan: Mapping[str, Any] | None = None) -> Ended:
        """One life; the step's files are as they should be."""
        for name, text in step.files.items():
            (self.home / name).write_text(text)
        ended = self._hatchery.run(self.home, *step.command, plan=plan, env=self.env)
        self.ends.append(len(self.world.log))
        return ended

    def result(self) -> dict[str, Any]:
        """All that a story leaves behind."""
        vendors = {name: _sorted(vendor.state()) for name, vendor in self.world.vendors.items() if name != "storage"}
        files = vendors["lumidatum"]["files"]  # an upload that was in flight may have gone twice, to the same effect
        vendors["lumidatum"]["files"] = [one for n, one in enumerate(files) if one not in files[:n]]
        out = {str(p.relative_to(self.home)): p.read_bytes() for p in self.home.glob("out/*") if p.is_file()}
        dead = self.home / ".engine/dead/crash.jsonl"
        letters = sorted((x["id"], x["code"]) for x in read_letters(dead)) if dead.exists() else []
        path = self.home / "report.json"
        report = json.loads(path.read_text()) if path.exists() else {}
        kept = {name: report.get(name) for name in ("status", "sources", "mappings", "dead_letters")}
        (kept["dead_letters"] or {}).pop("path", None)
        return {"vendors": vendors, "out": out, "letters": letters, "report": kept, "left": self._left()}

    def _left(self) -> list[str]:
        """Files of the engine's own that should be gone in the end, or stay."""
        names = (str(p.relative_to(self.home)) for p in self.home.rglob("*") if p.is_file())
        return sorted(name for name in names if not name.endswith(("-wal", "-shm")))

    def repeated(self) -> int:
        """Payloads that were sent again by a later life though they had been answered."""
        seen: set[str] = set()
        again = begin = 0
        for end in self.ends:
            here = [name for sent in self.world.log[begin:end] for name in sent.names]
            again += len(seen & set(here))
            seen |= {name for sent in self.world.log[begin:end] if sent.answered for name in sent.names}
            begin = end
        return again


@contextlib.contextmanager
def stage(home: Path, hatchery: Hatchery, faults: tuple[dict[str, Any], ...] = ()) -> Iterator[Stage]:
    home.mkdir(parents=True)
    world = Deadly(SystemClock(), faults, {"iterable": {"rates": False}})
    with serve(world, port=0) as server:
        yield Stage(home, hatchery, world, server)


def _sorted(value: Any) -> Any:
    """Without the order in which lanes delivered, and without times."""
    if isinstance(value, dict):
        return {name: _sorted(one) for name, one in sorted(value.items()) if name not in ("at", "time", "url", "key")}
    if isinstance(value, list):
        return sorted((_sorted(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True, default=str))
    return value
