"""Starts `engine` in processes of its own, quickly: one process loads the engine, each life is a fork of it.

A child behaves as `python -m engine` does, behind the seam of `tests.crash.seam` if it is given a plan.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Ended:
    """How a life ended: the exit code (negative: that signal killed it), and what it said."""

    code: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Hatchery:
    """`with Hatchery() as hatch: hatch.run(folder, "run", "shop.yaml")`."""

    def __enter__(self) -> Hatchery:
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
        self._folder = tempfile.TemporaryDirectory()
        self._mother = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.crash.hatchery"], env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        assert self._mother.stdin is not None and self._mother.stdout is not None
        self._mother.stdin.close()
        self._mother.wait(30)
        self._mother.stdout.close()
        self._folder.cleanup()

    def run(
        self, home: Path, *arguments: str, plan: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None
    ) -> Ended:
        """One life, from its birth to its end."""
        self.start(home, *arguments, plan=plan, env=env)
        return self.wait()

    def start(
        self, home: Path, *arguments: str, plan: Mapping[str, Any] | None = None, env: Mapping[str, str] | None = None
    ) -> int:
        """Begins a life; gives its process id. One at a time: `wait` ends it."""
        assert self._mother.stdin is not None
        self._said = [Path(self._folder.name) / name for name in ("out", "err")]  # the home's disk may be full
        order = {"home": str(home), "arguments": arguments, "plan": plan, "env": dict(env or {}),
                 "said": [str(path) for path in self._said]}  # fmt: skip
        self._mother.stdin.write(json.dumps(order) + "\n")
        self._mother.stdin.flush()
        return int(self._heard())

    def wait(self) -> Ended:
        code = int(self._heard())
        out, err = (path.read_text("utf-8", "replace") for path in self._said)
        return Ended(code, out, err)

    def _heard(self) -> str:
        assert self._mother.stdout is not None
        line = self._mother.stdout.readline()
        assert line, "the mother process is gone"
        return line


def _load() -> None:
    """Everything that a run may load, so that a fork has it."""
    import engine

    for found in pkgutil.walk_packages(engine.__path__, "engine."):
        importlib.import_module(found.name)
    gc.collect()
    gc.freeze()  # a fork need not look through what it inherited


def _live(order: Mapping[str, Any]) -> None:
    from engine.__main__ import run

    os.chdir(order["home"])
    os.environ.update(order["env"])
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for handle, path in enumerate(order["said"], 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), handle)
    if order["plan"] is not None:
        from tests.crash.seam import Seam

        Seam(Path(order["home"]), order["plan"]).install()
    sys.argv = ["engine", *order["arguments"]]
    code = 70
    try:
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


def main() -> None:
    _load()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _live(json.loads(line))
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
