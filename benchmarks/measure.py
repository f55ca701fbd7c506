"""Whole processes, run in turn: CPU, wall and peak memory as the operating system accounts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import MappingProxyType

ROOT = Path(__file__).parent.parent
Environ = Mapping[str, str]
NOTHING: Environ = MappingProxyType({})


@dataclass(frozen=True)
class Cost:
    cpu: float  # seconds, user and system
    wall: float  # seconds
    peak: float  # MB


class Failed(SystemExit):
    """A program ended in another way than it should; `last` is the last line that it wrote."""

    def __init__(self, command: Sequence[str], code: int, said: str) -> None:
        super().__init__(f"{' '.join(command)} ended with {code}:\n{said[-2000:]}")
        self.last = f"ended with {code}: {([line for line in said.splitlines() if line.strip()] or [''])[-1][:200]}"


def run(command: Sequence[str], cwd: Path, environ: Environ = NOTHING, ends: Sequence[int] = (0,)) -> Cost:
    """One run; an exit code that is none of `ends` is an error of the benchmark."""
    # An environment that keeps bytecode from being written would charge every start with compiling.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    told = {**inherited, "PYTHONPATH": str(ROOT), **environ}
    launch = [sys.executable, "-I", "-S", str(ROOT / "benchmarks" / "launch.py"), str(cwd / "output.txt"), *command]
    done = subprocess.run(launch, cwd=cwd, env=told, stdout=subprocess.PIPE, text=True, check=True)
    code, cpu, wall, peak = json.loads(done.stdout)
    if code not in ends:
        raise Failed(command, code, (cwd / "output.txt").read_text("utf-8", "replace"))
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return Cost(cpu, wall, peak / scale)


def in_turn(rounds: int, *jobs: tuple[Sequence[str], Path, Environ]) -> list[Cost]:
    """The median of each figure per job; the jobs take turns, so that a slow moment of the machine hits all alike.

    A job is (command, cwd, environ).
    """
    costs: list[list[Cost]] = [[] for _ in jobs]
    for _ in range(rounds):
        for number, (command, cwd, environ) in enumerate(jobs):
            costs[number].append(run(command, cwd, environ))
    return [Cost(*(median(getattr(c, what) for c in one) for what in ("cpu", "wall", "peak"))) for one in costs]


@contextmanager
def vendor(latency: float, record: Path | None = None, tls: Path | None = None) -> Iterator[str]:
    """The loopback vendor in a process of its own; its base address.

    `record`: a file for what it is sent. `tls`: it serves https, and `ca.pem` comes into that folder.
    """
    more = [*(["--record", str(record)] if record else []), *(["--tls", str(tls)] if tls else [])]
    server = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", str(latency), *more],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert server.stdin and server.stdout
    try:
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.wait(10)
        server.stdout.close()
