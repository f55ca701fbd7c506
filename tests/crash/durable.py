"""Death at every durable call in turn: before it, after it, and with half of its bytes written.

`python -m tests.crash.durable [--step N]` plays every story for every k-th call.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from tests.crash.data import BATCH, LANES
from tests.crash.hatchery import Hatchery
from tests.crash.judging import finished
from tests.crash.stories import Story, stage, stories

WHENS = ("before", "after", "half")


@dataclass
class Deaths:
    """What came of all deaths of a story. `wrong` says, for some, what was not as it should have been."""

    kills: int = 0
    calls: int = 0  # durable calls of an undisturbed life
    over: int = 0  # kills that came when the run was complete
    repeated: int = 0
    worst_kill: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def play(story: Story, folder: Path, hatchery: Hatchery, step: int = 1, whens: tuple[str, ...] = WHENS) -> Deaths:
    """Every `step`-th durable call of the story's struck command."""
    deaths, began = Deaths(), time.monotonic()
    wanted, deaths.calls = _undisturbed(story, folder / "reference", hatchery)
    for when in whens:
        for k in count(1, step):
            home = folder / f"{when}{k}"
            if not _die(story, home, hatchery, {"kill": k, "when": when}, wanted, deaths):
                break
            shutil.rmtree(home)
    deaths.seconds = time.monotonic() - began
    return deaths


def _undisturbed(story: Story, home: Path, hatchery: Hatchery) -> tuple[dict[str, Any], int]:
    with stage(home, hatchery) as stages:
        calls = 0
        for number, step in enumerate(story.steps):
            journal = home.with_name("journal")
            ended = stages.live(step, {"journal": str(journal)} if number == story.struck else None)
            assert ended.code in (0, 1), ended
            if number == story.struck:
                calls = len(journal.read_text().splitlines())
        return stages.result(), calls


def _die(story: Story, home: Path, hatchery: Hatchery, plan: dict[str, Any], wanted: Any, deaths: Deaths) -> bool:
    """One death and what comes after it; False when the command lived to its end."""
    with stage(home, hatchery) as stages:
        over, expected = False, wanted
        for number, step in enumerate(story.steps):
            if number == story.struck:
                if not stages.live(step, plan).killed:
                    return False
                over = finished(home, story.struck) is not None
            ended = stages.live(step)
            if ended.code not in (0, 1):
                deaths.wrong.append(f"{plan}: exit {ended.code}: {ended.err[-300:]}")
        deaths.kills += 1
        found = stages.result()
        if over:
            found, expected = _without_the_run(found), _without_the_run(wanted)
        if found != expected:
            deaths.wrong.append(f"{plan}: {difference(found, expected)}")
        again = stages.repeated()
        if over:  # the run was complete: the next start was another run, which sends everything
            deaths.over += 1
            return True
        deaths.repeated += again
        deaths.worst_kill = max(deaths.worst_kill, again)
    return True


def _without_the_run(result: dict[str, Any]) -> dict[str, Any]:
    """What two runs leave as one does: a run that was over when it was killed is followed by another one."""
    vendors = {name: {k: v for k, v in state.items() if k != "files"} for name, state in result["vendors"].items()}
    return {**result, "vendors": vendors, "report": None}


def difference(found: Any, wanted: Any, place: str = "") -> str:
    """The first places where two results differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        names = sorted(found.keys() | wanted.keys())
        return "; ".join(
            difference(found.get(name), wanted.get(name), f"{place}/{name}")
            for name in names
            if found.get(name) != wanted.get(name)
        )[:600]
    if isinstance(found, list) and isinstance(wanted, list):
        more, less = (Counter(map(repr, one)) for one in (found, wanted))
        return f"{place}: more {list(more - less)[:3]}, less {list(less - more)[:3]}"
    return f"{place}: {str(found)[:120]} instead of {str(wanted)[:120]}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--step", type=int, default=1)
    parser.add_argument("--rows", type=int, default=60)
    options = parser.parse_args()
    bad = 0
    with tempfile.TemporaryDirectory() as folder, Hatchery() as hatchery:
        for number, story in enumerate(stories(options.rows)):
            deaths = play(story, Path(folder) / str(number), hatchery, options.step)
            print(f"{story.name} | {deaths.calls} calls | {deaths.kills} kills | {deaths.repeated} repeated | "
                  f"worst {deaths.worst_kill} | {deaths.over} over | {len(deaths.wrong)} wrong | {deaths.seconds:.0f} s", flush=True)  # fmt: skip
            for text in deaths.wrong[:10]:
                print(f"  {text}")
            bad += len(deaths.wrong) + (deaths.worst_kill > LANES * BATCH)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
