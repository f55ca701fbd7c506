"""The tools, and how each is asked: in the ways that find most without sending a record to a destination."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.mistakes.kinds import AIRBYTE, DRT, ENGINE, Mistake

ROOT = Path(__file__).parent.parent.parent
BENCH = ROOT / ".bench"
PEOPLE = [("1", "ADA@SHOP.TEST", "Ada"), ("2", "bo@shop.test", "Bo")]


@dataclass(frozen=True)
class Said:
    """What a tool said of a project: with which command, its exit code, whether it found fault, its words, and the
    one line that says it best."""

    command: str
    exit: int
    found: bool
    text: str = ""
    line: str = ""


@dataclass(frozen=True)
class Tool:
    """A tool: where it is, its version, how it is asked (for the table), its mistakes, and how a project is asked."""

    name: str
    program: Path
    versions: tuple[str, ...]
    how: str
    mistakes: Mapping[str, Mistake]
    ask: Callable[[Path, Mapping[str, str]], Said]

    @property
    def installed(self) -> bool:
        return self.program.exists()

    def version(self) -> str:
        """As the package itself says."""
        code = f"from importlib.metadata import version; print(version({self.versions[0]!r}))"
        python = str(self.program.parent / "python")
        return subprocess.run([python, "-c", code], text=True, capture_output=True, check=True).stdout.strip()


def ran(program: Path, arguments: list[str], folder: Path, environ: Mapping[str, str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command within the project, with nothing else of our environment."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "COLUMNS": "500", "NO_COLOR": "1", **environ}
    done = subprocess.run(
        [str(program), *arguments], cwd=folder, env=env, text=True, capture_output=True, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


# --- ours ---------------------------------------------------------------------------------------------------------

PYTHON = Path(sys.executable)


def ask_engine(folder: Path, environ: Mapping[str, str]) -> Said:
    for arguments in (["check", "shop.yaml"], ["run", "shop.yaml", "--dry-run"]):
        code, _, text = ran(PYTHON, ["-m", "engine", *arguments], folder, {"PYTHONPATH": str(ROOT), **environ})
        command = " ".join(["engine", *arguments])
        if code:
            return Said(command, code, True, text, _first(text, "error["))
    return Said(command, code, False)


# --- drt ----------------------------------------------------------------------------------------------------------


def ask_drt(program: Path, folder: Path, environ: Mapping[str, str]) -> Said:
    """`validate`, then the dry run, which computes every field for the rows of the model."""
    home = folder / "home" / ".drt"
    home.mkdir(parents=True, exist_ok=True)
    (home / "profiles.yml").write_text("shop:\n  type: sqlite\n  database: shop.sqlite\n")
    _fill(folder / "shop.sqlite")
    for arguments in (["validate", "--strict"], ["run", "--dry-run"]):
        code, out, err = ran(program, arguments, folder, {"DO_NOT_TRACK": "1", **environ})
        command = " ".join(["drt", *arguments])
        text = without_frames(out + err)
        if code or "✗" in text:
            return Said(command, code, True, text, _best(text))
    return Said(command, code, False)


def _fill(path: Path) -> None:
    base = sqlite3.connect(path)
    with base:
        base.execute("create table if not exists customers (id text primary key, email text, name text)")
        base.executemany("insert or replace into customers values (?, ?, ?)", PEOPLE)
    base.close()


# --- Airbyte ------------------------------------------------------------------------------------------------------


def ask_airbyte(program: Path, folder: Path, environ: Mapping[str, str]) -> Said:
    """`check`, which reads one record of the stream, then a test read of the whole stream."""
    options = ["--config", "config.json", "--manifest-path", "manifest.yaml"]
    with _people() as address:
        config = folder / "config.json"
        config.write_text(config.read_text().replace("ADDRESS", address))
        for arguments in (["check", *options], ["read", *options, "--catalog", "catalog.json"]):
            code, out, err = ran(program, arguments, folder, environ)
            messages = list(_messages(out))
            text = "\n".join([*messages, without_frames(err)])
            command = f"source-declarative-manifest {arguments[0]}"
            if code or messages:
                return Said(command, code, True, text, _best(text))
    return Said(command, code, False)


def _messages(out: str) -> Iterator[str]:
    """What its protocol tells of failures; the whole trace is left out."""
    for line in out.splitlines():
        try:
            message = json.loads(line)
        except ValueError:
            continue
        status = message.get("connectionStatus", {})
        if status.get("status") == "FAILED":
            yield status.get("message", "")
        error = message.get("trace", {}).get("error")
        if error:
            yield from (error[word] for word in ("message", "internal_message") if error.get(word))


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = json.dumps([dict(zip(("id", "email", "name"), one, strict=True)) for one in PEOPLE]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def _people() -> Iterator[str]:
    """A source on loopback that has the customers; gives its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# --- texts --------------------------------------------------------------------------------------------------------


def without_frames(text: str) -> str:
    """A trace without the places in the tool's own code, which would pass for places in the file."""
    kept, lines = [], iter(_unboxed(text).split("\n"))
    for line in lines:
        if re.match(r'\s*File "[^"]+\.py", line \d+', line) or re.search(r"/site-packages/\S+:\d+ in ", line):
            continue
        kept.append(line)
    return "\n".join(kept)


def _unboxed(text: str) -> str:
    """Frames that a terminal library draws around a message say nothing."""
    return "\n".join(line.strip("│╭╮╰╯─ ") if line[:1] in "│╭╰" else line for line in text.split("\n"))


_ERROR = re.compile(r"^\s*(?:[\w.]+\.)?\w*(?:Error|Exception)\b: *(.+)$", re.MULTILINE)


def _best(text: str) -> str:
    """The line that tells most: the first error's own words, else the first line that is not empty."""
    found = _ERROR.search(text)
    if found:
        return found.group().strip()
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    marked = next((at for at, line in enumerate(lines) if line.startswith("✗")), 0)
    return " ".join(lines[marked : marked + 2]) if lines else ""


def _first(text: str, word: str) -> str:
    return next((line for line in text.split("\n") if word in line), text.split("\n")[0])


def tools() -> list[Tool]:
    """All of them, ours first; those that `make bench-setup` has not installed say so."""
    drt, airbyte = BENCH / "drt/bin/drt", BENCH / "airbyte/bin/source-declarative-manifest"
    return [
        Tool("engine", PYTHON, ("engine",), "`engine check`, then `engine run --dry-run`", ENGINE, ask_engine),
        Tool("drt", drt, ("drt-core",), "`drt validate --strict`, then `drt run --dry-run`", DRT,
             partial(ask_drt, drt)),
        Tool("Airbyte CDK", airbyte, ("airbyte-cdk",),
             "`source-declarative-manifest check`, then its `read` with the records printed", AIRBYTE,
             partial(ask_airbyte, airbyte)),
    ]  # fmt: skip
