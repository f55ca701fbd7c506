"""F1 to F4: kills at seeded moments and at every durable call, disks that fill up and disks that fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.crash.__main__ import breaches
from tests.crash.campaign import KINDS, Campaign
from tests.crash.data import BATCH, LANES
from tests.crash.disk import TROUBLES, fail
from tests.crash.durable import play
from tests.crash.hatchery import Hatchery
from tests.crash.small import ROOMS, fill, small_disk
from tests.crash.stories import stories
from tests.reliability.row import Row, Size, timed


def killed(folder: Path, size: Size) -> Iterator[Row]:
    """F1: the command killed at moments of its life, over faults on a third of its requests."""
    for number, kind in enumerate(KINDS):
        row = Row("F1", f"kill -9; {kind.name}")
        share = size.kills // len(KINDS) + (number < size.kills % len(KINDS))
        campaign = Campaign(folder / str(number), size.seed + number, 1500 if size.large else 600, kind)
        with timed(row):
            found = campaign.run(share)
        row.trials, row.lost, row.unexcused = found.kills, found.lost, found.unexcused
        row.allowed = found.repeated - found.unexcused
        row.misfiled = found.misfiled + found.stale + found.bad_sums
        row.note = f"worst kill {found.worst_kill} payloads; {found.runs} runs, {found.faults:,} faults struck"
        if kind.ids:
            row.note += f"; {found.doubled} doubled"
        else:
            row.note += f"; {found.doubled_plain} doubled, {found.unknown} in the dead letters as unknown"
        row.check(not breaches(found), f"{breaches(found)} breaches in all: {found}")
        row.check(found.faults or not kind.faults, "the faults never struck")
        yield row


def struck(folder: Path, size: Size) -> Iterator[Row]:
    """F2: dead at every durable call in turn: before it, after it, with half of its bytes written."""
    with Hatchery() as hatchery:
        for number, story in enumerate(stories()):
            row = Row("F2", f"kill -9 at every durable call; {story.name}")
            with timed(row):
                found = play(story, folder / str(number), hatchery, size.step)
            row.trials, row.allowed = found.kills, found.repeated
            row.wrong += found.wrong
            row.note = (
                f"{found.calls} calls before and after, writes also torn; worst kill {found.worst_kill} payloads"
            )
            row.check(found.worst_kill <= LANES * BATCH, f"a kill repeated {found.worst_kill} payloads")
            yield row


def failing(folder: Path, size: Size) -> Iterator[Row]:
    """F3 and F4: each call on each kind of file fails, first because the disk is full, then because it fails."""
    with Hatchery() as hatchery:
        for error, number, what in (("ENOSPC", "F3", "disk full"), ("EIO", "F4", "disk fails once")):
            for call in dict.fromkeys(trouble.call for trouble in TROUBLES):
                row = Row(number, f"{what}; {call}")
                with timed(row):
                    for at, trouble in enumerate(one for one in TROUBLES if one.call == call):
                        found = fail(trouble, error, folder / f"{error}-{call}-{at}", hatchery, times=size.times)
                        row.trials += found.trials
                        row.allowed += found.repeated
                        row.wrong += found.wrong
                row.note = "exit 3, path" + (" and free bytes" if number == "F3" else "") + " named"
                if call == "fsync":
                    row.note += "; no handle synced again"
                yield row


def full(folder: Path, size: Size) -> Iterator[Row]:
    """F3: a real file system of 2 MB with so many kilobytes of room."""
    row = Row("F3", "disk full; a real one (tmpfs of 2 MB)")
    halted = 0
    with timed(row), Hatchery() as hatchery:
        for room in ROOMS if size.times > 1 else ROOMS[1::4]:
            place = folder / str(room)
            with small_disk(place) as mounted:
                if not mounted:
                    return
                code, repeated, wrong = fill(place, hatchery, room)
            halted += code == 3
            row.trials += 1
            row.allowed += repeated
            row.wrong += [f"{room} KB: {text}" for text in wrong]
    row.check(halted, "the disk was never full")
    row.note = f"{halted} halted with exit 3, and went on when there was room"
    yield row
