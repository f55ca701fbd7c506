"""Contenders in turn: who gives something else or breaks is left out and said so; ours ends everything."""

import sys

import pytest

from benchmarks.contenders import Contender, Job
from benchmarks.measure import Failed, run
from benchmarks.turns import of_job

COPY = "import shutil, sys; shutil.copy(sys.argv[1], sys.argv[2])"


def contender(name, script, **more):
    return Contender(name, lambda task: ([sys.executable, "-c", script, str(task.source), task.target], {}), **more)


def outcome(tmp_path, *contenders, rounds=1, only=()):
    (tmp_path / "data").write_text('{"a": 1}\n')
    job = Job("job", "a copy", lambda rows: tmp_path / "data", (1, 1, 1), contenders)
    return of_job(job, 1, rounds, only)


def test_those_that_agree_are_measured(tmp_path):
    found = outcome(tmp_path, contender("one", COPY, ours=True), contender("two", COPY), rounds=2)
    assert list(found.costs) == ["one", "two"]
    assert all(cost.cpu > 0 and cost.wall > 0 and cost.peak > 1 for cost in found.costs.values())
    assert found.left_out == {}


def test_a_peer_that_gives_something_else_is_left_out(tmp_path):
    other = contender("other", "import sys; open(sys.argv[2], 'w').write('{\"a\": 2}\\n')")
    found = outcome(tmp_path, contender("ours", COPY, ours=True), other)
    assert list(found.costs) == ["ours"]
    assert found.left_out["other"].startswith("gives something else: payload 1 of 1 and 1")


def test_a_peer_that_breaks_is_left_out_with_its_last_word(tmp_path):
    found = outcome(tmp_path, contender("ours", COPY), contender("broken", "raise SystemExit('no such thing')"))
    assert found.left_out == {"broken": "ended with 1: no such thing"}


def test_a_peer_that_is_not_there_is_left_out(tmp_path):
    found = outcome(tmp_path, contender("ours", COPY), contender("far", COPY, missing=lambda: "not installed"))
    assert found.left_out == {"far": "not installed"}


@pytest.mark.parametrize("script", ["raise SystemExit(3)", "import sys; open(sys.argv[2], 'w').write('2')"])
def test_ours_must_be_right(tmp_path, script):
    with pytest.raises(SystemExit):
        outcome(tmp_path, contender("peer", COPY), contender("ours", script, ours=True))


def test_only_those_that_are_asked_for(tmp_path):
    found = outcome(tmp_path, contender("one", COPY), contender("two", COPY), only=["two"])
    assert list(found.costs) == ["two"]


def test_slow_ones_run_once(tmp_path):
    script = COPY + f"; open({str(tmp_path / 'runs')!r}, 'a').write(sys.argv[0])"
    slow = contender("slow", script, slow=True)
    outcome(tmp_path, contender("ours", COPY), slow, rounds=3)
    assert (tmp_path / "runs").read_text() == "-c-c"  # once to be compared, once to be timed


def test_the_memory_of_whoever_measures_is_not_charged(tmp_path):
    ballast = bytearray(300 << 20)
    ballast[:: 1 << 12] = b"x" * (len(ballast) >> 12)
    cost = run([sys.executable, "-c", "pass"], tmp_path)
    assert cost.peak < 100 < len(ballast) >> 20


def test_an_exit_code_that_is_expected(tmp_path):
    command = [sys.executable, "-c", "print('well'); raise SystemExit(1)"]
    run(command, tmp_path, ends=(0, 1))
    with pytest.raises(Failed) as raised:
        run(command, tmp_path)
    assert raised.value.last == "ended with 1: well"
