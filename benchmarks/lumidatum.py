"""`python -m benchmarks.lumidatum [--megabytes N]`: reports and files, beside the older client in the same run.

Bounds: at most 64 MiB of memory above what small transfers take, and reports at least twice as fast.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
THEIRS = ROOT / ".clients" / "lumidatum" / "bin" / "python"
ONE = ROOT / "benchmarks" / "lumidatum_one.py"
MOST = 64 * 1024 * 1024
LINE = b'{"id": "%012d", "email": "customer@shop.test", "note": "' + b"n" * 200 + b'"}\n'


def fill(folder: Path, megabytes: int) -> None:
    """A large file and a small one to upload, and a report of the same size."""
    (folder / "small.json").write_bytes(LINE % 0)
    with (folder / "large.json").open("wb") as file:
        for n in range(megabytes * 1_000_000 // len(LINE % 0)):
            file.write(LINE % n)
    size = (folder / "large.json").stat().st_size
    row = b"customer,12.50\n"
    head = b"customer_id,ltv\n"
    rows, rest = divmod(size - len(head), len(row))
    (folder / "report.csv").write_bytes(head + row * rows + b"x" * rest)


def serve(folder: Path) -> None:
    """The pretend Lumidatum, until its input ends. What is uploaded is counted, not taken in."""
    from engine.runtime.clock import SystemClock
    from engine.sandbox import lumidatum
    from engine.sandbox.server import serve as on_a_port
    from engine.sandbox.world import World

    lumidatum._ingest = lambda model, kind, name, file: {"file": name, "size": file.seek(0, 2)}  # type: ignore[assignment]
    world = World(SystemClock())
    vendor: Any = world.vendors["lumidatum"]
    vendor.put_report("large", "reports/large/LTV/2017-07-21T194816Z.csv", (folder / "report.csv").read_bytes())
    with on_a_port(world) as server:
        print(server.urls["lumidatum"], flush=True)
        sys.stdin.read()


@contextmanager
def vendor(folder: Path) -> Iterator[str]:
    """The pretend Lumidatum in a process of its own; its address."""
    command = [sys.executable, "-m", "benchmarks.lumidatum", "--serve", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def transfers(which: str, base_url: str, folder: Path) -> dict[str, Any]:
    """One client's figures: rates in MB/s, memory in bytes."""
    python = sys.executable if which == "ours" else str(THEIRS)
    done = subprocess.run(
        [python, str(ONE), which, base_url, str(folder)], capture_output=True, text=True, timeout=600,
        env={"PYTHONPATH": str(ROOT) if which == "ours" else "", "PATH": os.environ.get("PATH", "")},
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def broken(ours: dict[str, Any], theirs: dict[str, Any] | None) -> list[str]:
    """The bounds that do not hold, in words."""
    found = [
        f"{what} grew by {ours[what]['grown'] / 2**20:.0f} MiB, more than {MOST >> 20}"
        for what in ("download", "upload")
        if ours[what]["grown"] > MOST
    ]
    if theirs is not None and ours["download"]["rate"] < 2 * theirs["download"]["rate"]:
        rates = f"{ours['download']['rate']:.0f} against {theirs['download']['rate']:.0f} MB/s"
        found.append(f"reports come less than twice as fast as with the older client: {rates}")
    return found


def measure(megabytes: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Our figures and, where it is installed, the older client's."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fill(folder, megabytes)
        with vendor(folder) as base_url:
            theirs = transfers("theirs", base_url, folder) if THEIRS.exists() else None
            return transfers("ours", base_url, folder), theirs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    ours, theirs = measure(options.megabytes)
    for name, figures in (("lumidatumclient 0.11.0", theirs), ("engine", ours)):
        for what in ("download", "upload") if figures else ():
            one = figures[what]
            print(f"{name:24} {what:9} {one['rate']:7.0f} MB/s  +{one['grown'] / 2**20:.1f} MiB")
    if found := broken(ours, theirs):
        raise SystemExit("; ".join(found))


if __name__ == "__main__":
    main()
