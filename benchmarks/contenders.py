"""Who takes part: the engine in its forms, and peers, each in an environment of its own (`make bench-setup`)."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from benchmarks.measure import ROOT

PEERS = ROOT / "benchmarks" / "peers"
PIPELINES = ROOT / "benchmarks" / "pipelines"
ENGINE = [sys.executable, "-m", "engine"]
RUN = ["--no-progress", "--fresh", "--state", ".state"]


@dataclass(frozen=True)
class Task:
    """What a contender is told: `target` is a file to write or the address of a vendor."""

    job: str
    source: Path
    target: str
    rows: int
    in_flight: int = 1
    trusted: Path | None = None  # who signed the vendor's certificate

    @property
    def ca(self) -> dict[str, str]:
        return {"CA_FILE": str(self.trusted)} if self.trusted else {}


@dataclass(frozen=True)
class Contender:
    """`missing` says why it cannot run here, or nothing; `command` gives what is run and its environment."""

    name: str
    command: Callable[[Task], tuple[list[str], dict[str, str]]]
    missing: Callable[[], str | None] = lambda: None
    ends: tuple[int, ...] = (0,)
    ours: bool = False
    follows: bool = True  # its output must be what the others' is
    adds: tuple[str, ...] = ()  # fields that it gives every payload unasked
    slow: bool = False  # it runs once, not in every round


def engine(
    name: str = "ours", pipeline: str | None = None, *more: str, data: Callable[[int], Path] | None = None,
    ends: tuple[int, ...] = (0,), follows: bool = True, missing: Callable[[], str | None] = lambda: None,
    **environ: str,
) -> Contender:  # fmt: skip
    """The engine as users start it, over a pipeline of `benchmarks/pipelines` (by default the job's own)."""

    def command(task: Task) -> tuple[list[str], dict[str, str]]:
        file = PIPELINES / f"{pipeline or task.job}.yaml"
        told = {
            "INPUT": str(data(task.rows) if data else task.source), "OUTPUT": task.target, "PYTHONPATH": str(ROOT),
            "ITERABLE_URL": task.target, "ITERABLE_API_KEY": "bench-key-0123", "IN_FLIGHT": str(task.in_flight),
            **task.ca, **environ,
        }  # fmt: skip
        if task.trusted:  # both transports trust what certifi names
            told["PYTHONPATH"] = f"{ROOT / 'benchmarks' / 'trust'}{os.pathsep}{ROOT}"
        return [*ENGINE, "run", *RUN, *more, str(file)], told

    return Contender(name, command, missing, ends, ours=True, follows=follows)


def peer(
    name: str, script: str | None = None, *more: str, room: str | None = None, slow: bool = False, **environ: str
) -> Contender:
    """`peers/SCRIPT_job.py JOB INPUT TARGET` with the Python of `.bench/ROOM`."""
    home = ROOT / ".bench" / (room or name)
    return in_room(name, home, script or name, *more, slow=slow, environ=environ)


def in_room(
    name: str, home: Path, script: str, *more: str, how: str = "make bench-setup", adds: tuple[str, ...] = (),
    slow: bool = False, environ: Mapping[str, str] = MappingProxyType({}),
) -> Contender:  # fmt: skip
    """The same with an environment anywhere."""
    python = home / "bin" / "python"

    def command(task: Task) -> tuple[list[str], dict[str, str]]:
        file = str(PEERS / f"{script}_job.py")
        told = {"PYTHONPATH": "", "IN_FLIGHT": str(task.in_flight), **task.ca, **environ}
        return [str(python), file, *more, task.job, str(task.source), task.target], told

    def missing() -> str | None:
        return None if (home / ".installed").exists() else f"not installed: {how}"

    return Contender(name, command, missing, adds=adds, slow=slow)


def program(
    name: str, binary: str, arguments: Callable[[Task], list[str]], *, follows: bool = True, slow: bool = False
) -> Contender:
    """A program of the machine, where it is installed; what it prints is its output."""

    def command(task: Task) -> tuple[list[str], dict[str, str]]:
        line = [shutil.which(binary) or binary, *arguments(task)]
        return ["sh", "-c", 'exec "$0" "$@" > out.jsonl', *line], {}

    def missing() -> str | None:
        return None if shutil.which(binary) else f"no {binary} on this machine"

    return Contender(name, command, missing, follows=follows, slow=slow)


@dataclass(frozen=True)
class Job:
    """A job: its data and sizes (usual, `--all`, `--short`), and who takes part.

    `latency`, in seconds, says that it goes to a vendor; `work` is what peers and pipelines know the job as.
    """

    name: str
    title: str
    data: Callable[[int], Path]
    rows: tuple[int, int, int]
    contenders: tuple[Contender, ...]
    work: str = ""  # what peers and pipelines know it as
    latency: float | None = None
    in_flight: int = 1
    tls: bool = False
