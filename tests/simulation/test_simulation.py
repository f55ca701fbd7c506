"""The short form of the simulation, and proof that it can find things. The long form is `make simulate`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import summary
from tests.simulation.campaign import FAULTS, campaign, replay, shortened, told
from tests.simulation.mutations import DEFECTS, hunt
from tests.simulation.points import Death
from tests.simulation.schedule import Life, Schedule
from tests.simulation.shop import Row
from tests.simulation.simulate import simulate, virtual_world

LATELY = {  # the first schedule that finds each defect, from `python -m tests.simulation --defects`
    "commit before letters": 3,
    "letters are not synced": 3,
    "errors of the letters disk are ignored": 109,
    "a torn letter is left": 155,
    "advance past open rows": 1,
    "forget flags on resume": 3,
    "forget elements on resume": 16,
    "count rows again on resume": 1,
    "commit the head without the tracks": 1,
    "commit every other time": 1,
    "send on before what was answered is committed": 77,
    "settled when sent": 1,
    "drop a failed identifier": 13,
    "ignore the count of failures": 643,
    "resend on success": 1,
    "what would double is sent again": 1,
    "a new id at every try": 45,
    "a rejection is taken for a delivery": 6,
    "what is sent again goes to the end": 170,
    "one payload of two halves is lost": 80,
    "a lane does not wait for its answer": 1,
    "keys change lanes": 3,
    "actions overtake each other": 71,
    "retry after is ignored": 55,
    "spooled files are not synced": 195,
    "spooled files are not cut on resume": 392,
    "part files are not cut on resume": 25,
    "part files are not synced": 122,
}
FAR = 5_000  # schedules within which each defect must be found, should the way of drawing them have changed


def test_no_schedule_breaks_a_promise():
    done = campaign(700, seed=1)
    assert not done.failures, "\n".join(told(done))
    assert done.lives > 1_100 and done.requests > 3_000
    assert set(done.silent) <= SELDOM


SELDOM = {"crash before truncate", "crash after truncate", "crash after unlink", "crash before unlink",
        "crash after rename", "crash before rename", "rename: I/O error"}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_a_deliberate_defect_is_found(name):
    assert hunt(name, [LATELY.get(name, 0), *range(FAR)]) is not None


def test_the_schedules_that_find_defects_find_nothing_in_the_engine_as_it_is():
    done = campaign(0, 0, seeds=sorted(set(LATELY.values())))
    assert not done.failures, "\n".join(told(done))


def test_a_file_that_is_copied_back_is_on_disk_before_it_has_its_name():
    """Killed after the file had its final name, then cut off from power while it is taken up again."""
    killed, cut = Life(Death("after rename", 1)), Life(Death("before fsync", 1, power=True))
    cut_later = Life(Death("after truncate", 1, power=True)), Life(Death("before commit", 1, power=True))
    with virtual_world():
        for number in range(40):
            for second in (cut, *cut_later):
                rows = (Row(1), Row(2))
                result = simulate(Schedule(chance=number, shape="file", rows=rows, block=1, lives=(killed, second)))
                assert not result.findings, result.findings


@pytest.mark.parametrize("seed", [5, 17, 101])
def test_a_schedule_repeats_exactly_and_from_its_line(seed):
    schedule = Schedule.drawn(seed)
    first = replay(schedule.line())
    assert first == replay(schedule.line()) == replay(str(seed))
    assert "\n" not in schedule.line() and Schedule.read(schedule.line()) == schedule


def test_a_failure_is_shortened_and_its_line_shows_it_again():
    with virtual_world(), DEFECTS["letters are not synced"]():
        long = Schedule.drawn(3)
        assert simulate(long).findings[0].kind == "early"
        short = shortened(long, "early")
        assert simulate(Schedule.read(short.line())).findings[0].kind == "early"
    assert len(short.rows) == 1 < len(long.rows) and short.lives == (Life(),) * len(short.lives)


def test_the_command_prints_a_line_that_replays():
    line = Schedule.drawn(9).line()
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--replay", line], cwd=Path(__file__).parents[2],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "0 findings" in done.stdout


def test_the_summary_has_a_row_for_every_fault():
    rows = summary(90, seed=4)
    assert {row.fault for row in rows} == {"none", *FAULTS}
    assert sum(row.trials for row in rows) >= 90
    assert not any(row.lost or row.unexcused or row.misfiled for row in rows)
    assert json.dumps([vars(row) for row in rows]) == json.dumps([vars(row) for row in summary(90, seed=4)])
