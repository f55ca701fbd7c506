"""Disks that fill up and disks that fail, for each kind of file that a run writes: the command must stop with exit
code 3 and name the path, lose nothing, never sync a handle again whose sync failed, and go on when there is room.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.data import BATCH, LANES
from tests.crash.durable import difference
from tests.crash.hatchery import Ended, Hatchery
from tests.crash.judging import finished
from tests.crash.stories import Story, stage, stories


@dataclass(frozen=True)
class Trouble:
    """What fails: a call on a path, in the story of that name."""

    story: str
    call: str
    path: str

    def plan(self, error: str, nth: int, *, once: bool) -> dict[str, Any]:
        return {"fail": error, "call": self.call, "path": self.path, "nth": nth, "once": once}


SHOP, UPLOAD, REPORT = "vendor, files, dead letters", "upload of a gathered file", "download of a report"
TROUBLES = [
    Trouble(SHOP, "commit", "state.db"),
    Trouble(SHOP, "mkdir", ".engine"),
    Trouble(SHOP, "open", ".engine/locks"),
    Trouble(SHOP, "open", ".engine/dead"),
    Trouble(SHOP, "write", ".engine/dead"),
    Trouble(SHOP, "fsync", ".engine/dead"),
    Trouble(SHOP, "open", "out/"),
    Trouble(SHOP, "write", "out/table.csv"),
    Trouble(SHOP, "fsync", "out/table.csv"),
    Trouble(SHOP, "write", "out/packed.jsonl.gz.part.packed"),
    Trouble(SHOP, "fsync", "out/packed.jsonl.gz.part.packed"),
    Trouble(SHOP, "replace", "out/packed.jsonl.gz"),
    Trouble(SHOP, "open", "report.json"),
    Trouble(SHOP, "write", "report.json"),
    Trouble(UPLOAD, "open", ".engine/spool"),
    Trouble(UPLOAD, "write", ".engine/spool"),
    Trouble(UPLOAD, "fsync", ".engine/spool"),
    Trouble(REPORT, "write", ".engine/fetched"),
    Trouble(REPORT, "fsync", ".engine/fetched"),
    Trouble(REPORT, "replace", ".engine/fetched"),
]


@dataclass
class Failures:
    """What came of the failures of one kind. `wrong` says what was not as it should have been."""

    trials: int = 0
    repeated: int = 0
    worst: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def fail(
    trouble: Trouble, error: str, folder: Path, hatchery: Hatchery, *, rows: int = 60, times: int = 3
) -> Failures:
    """The first `times` occasions for the trouble: each in a playing of its own, then with room again."""
    found, began = Failures(), time.monotonic()
    story = next(one for one in stories(rows) if one.name == trouble.story)
    wanted = _undisturbed(story, folder / "reference", hatchery)
    for nth in range(1, times + 1):
        if not _once(story, trouble, error, nth, folder / str(nth), hatchery, wanted, found):
            break
    found.seconds = time.monotonic() - began
    return found


def _undisturbed(story: Story, home: Path, hatchery: Hatchery) -> dict[str, Any]:
    with stage(home, hatchery) as stages:
        assert stages.live(story.steps[0]).code in (0, 1)
        return stages.result()


def _once(
    story: Story, trouble: Trouble, error: str, nth: int, home: Path, hatchery: Hatchery, wanted: Any, found: Failures
) -> bool:  # fmt: skip
    """A disk without room stays so until the command is over; a failing one fails once, and would work again."""
    journal = home.with_name(f"{home.name}.journal")
    plan = trouble.plan(error, nth, once=error == "EIO")
    with stage(home, hatchery) as stages:
        ended = stages.live(story.steps[0], {**plan, "journal": str(journal)})
        calls = [json.loads(line) for line in journal.read_text().splitlines()]
        if not any(failed for _, _, failed in calls):
            return False
        found.trials += 1
        place = f"{error} {trouble.call} {trouble.path} ({nth})"
        found.wrong += [f"{place}: {text}" for text in _flaws(trouble, error, ended, calls)]
        over = finished(home) is not None
        again = stages.live(story.steps[0])
        if again.code not in (0, 1):
            found.wrong.append(f"{place}: with room again: exit {again.code}: {again.err[-300:]}")
        elif over:  # only the report was missing; the second start was another run
            return True
        elif (result := stages.result()) != wanted:
            found.wrong.append(f"{place}: {difference(result, wanted)}")
        repeated = stages.repeated()
        found.repeated += repeated
        found.worst = max(found.worst, repeated)
        if repeated > LANES * BATCH:
            found.wrong.append(f"{place}: {repeated} payloads were sent again")
    return True


def _flaws(trouble: Trouble, error: str, ended: Ended, calls: list[list[Any]]) -> list[str]:
    """What is wrong with the end of a command whose disk failed it."""
    flaws = []
    if ended.code != 3:
        flaws.append(f"exit {ended.code}: {ended.err[-300:]}")
    if not re.search(
        r"[\w./-]*(state\.db|\.jsonl|table\.csv|packed|report\.json|\.part|\.engine|\.file|out\b)", ended.err
    ):
        flaws.append(f"no path is named: {ended.err[-300:]}")
    if error == "ENOSPC" and "bytes are free there" not in ended.err:
        flaws.append(f"no room is named: {ended.err[-300:]}")
    at = next(number for number, (_, _, failed) in enumerate(calls) if failed)
    if trouble.call == "fsync" and any(call[:2] == calls[at][:2] for call in calls[at + 1 :]):
        flaws.append("the handle whose sync failed was synced again")
    if ".engine/dead" in trouble.path and any(name == "commit" for name, path, _ in calls[at + 1 :] if "db" in path):
        flaws += _passed(calls[at + 1 :])
    return flaws


def _passed(calls: list[list[Any]]) -> list[str]:
    """After dead letters could not be written only the run's end may be entered: no position may pass them."""
    commits = sum(name == "commit" for name, _, _ in calls)
    return [f"{commits} commits after dead letters failed"] if commits > 1 else []
