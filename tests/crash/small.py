"""A real small disk that is really full: a tmpfs of a megabyte, where the machine lets us mount one."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from tests.crash.data import Data
from tests.crash.hatchery import Hatchery
from tests.crash.judging import finished
from tests.crash.stories import RUN, Step, stage, with_files

SIZE = 2 * 1024 * 1024
ROOMS = (0, 4, 16, 48, 100, 180, 300)  # kilobytes that are free when the run begins


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mounts a small file system there; gives False where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=700", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, hatchery: Hatchery, room: int, rows: int = 600) -> tuple[int, int, list[str]]:
    """A run with so many kilobytes of room, then one with enough: exit code of the first, repeated, what is wrong.

    `folder` is on the small disk.
    """
    data, ballast = Data.make(rows), folder / "ballast"
    with stage(folder / "home", hatchery) as stages:
        step = Step(RUN, {})
        (stages.home / "crash.yaml").write_text(with_files())
        (stages.home / "customers.jsonl").write_text(data.text)
        _leave(folder, ballast, room * 1024)
        ended = stages.live(step)
        wrong = []
        if ended.code == 3 and not (
            re.search(r"state\.db|\.jsonl|\.part|report\.json|\.engine|out\b", ended.err)
            and "bytes are free" in ended.err
        ):
            wrong.append(f"neither path nor room: {ended.err[-300:]}")
        if ended.code not in (0, 1, 3):
            wrong.append(f"exit {ended.code}: {ended.err[-300:]}")
        over = finished(stages.home) is not None
        ballast.unlink()
        again = stages.live(step)
        if again.code != 1:
            wrong.append(f"with room again: exit {again.code}: {again.err[-300:]}")
        people = {one["email"] for one in stages.world.vendors["iterable"].state()["users"]}  # type: ignore[attr-defined]
        wrong += [f"{len(data.users - people)} people lost"] if data.users - people else []
        return ended.code, 0 if over else stages.repeated(), wrong


def _leave(folder: Path, ballast: Path, room: int) -> None:
    """Fills the disk up to so many bytes."""
    found = os.statvfs(folder)
    with ballast.open("wb") as file:
        file.write(b"\0" * max(0, found.f_bavail * found.f_frsize - room))
