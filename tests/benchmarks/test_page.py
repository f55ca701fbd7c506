"""Targets are judged by what was found, and only the marked block of the page is replaced."""

import pytest

from benchmarks import page
from benchmarks.findings import Findings
from benchmarks.jobs import JOBS
from benchmarks.measure import Cost
from benchmarks.targets import TARGETS, judged
from benchmarks.turns import Outcome


def found(**cpu):
    costs = {name: Cost(seconds, seconds, 40.0) for name, seconds in cpu.items()}
    return Findings(jobs={"j1": Outcome(JOBS["j1"], 1000, 3, costs, {"miller": "no mlr | here"})})


def verdicts(findings):
    return {what: (figure, verdict) for _, what, figure, _, verdict, _ in judged(findings)}


def test_a_target_is_met_up_to_its_bound():
    assert verdicts(found(ours=1.4, floor=1.0))["J1: CPU over the floor's"] == ("1.40 x", "met")
    assert verdicts(found(ours=1.5, floor=1.0))["J1: CPU over the floor's"] == ("1.50 x", "**not met**")
    assert verdicts(found(ours=1.0, miller=5.0))["J1: Miller's over ours"] == ("5.00 x", "met")
    assert verdicts(found(ours=1.0, miller=4.9))["J1: Miller's over ours"] == ("4.90 x", "**not met**")


def test_what_was_not_measured_is_not_judged():
    assert list(judged(Findings())) == []
    assert list(verdicts(found(ours=1.0))) == []


def test_memory_must_stay_flat():
    growth = [("j1", 10_000, Cost(1, 1, 40)), ("j1", 10**6, Cost(1, 1, 50)), ("j3", 10_000, Cost(1, 1, 60))]
    said = verdicts(Findings(growth=growth))
    assert said["peak memory, any size and latency"] == ("60.00 MB", "met")
    assert said["… between 10,000 and millions of rows"] == ("25.00 %", "**not met**")


def test_the_price_of_safety_is_a_share_of_the_rest():
    profile = {"map": 3.0, "ledger and books": 0.5, "encoding of a payload": 9.0, "schema check of a payload": 1.75}
    said = verdicts(Findings(profiles={"j1": profile}))
    assert said["payloads checked (profile)"][0] == "50.00 % more"
    assert said["ledger, books, checkpoints (profile)"][0] == "16.67 % more"


def test_every_number_from_m1_to_m10_has_a_target_and_a_command_that_exists():
    assert {one.number for one in TARGETS} == {f"M{n}" for n in range(1, 11)}
    assert {one.command.split()[0] for one in TARGETS} <= {*JOBS, "start", "growth", "profile"}


def test_only_the_block_is_replaced(tmp_path):
    file = tmp_path / "page.md"
    file.write_text(f"before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    page.write(file, found(ours=1.0, floor=1.0))
    text = file.read_text("utf-8")
    assert text.startswith(f"before\n{page.BEGIN}\nMeasured on ")
    assert text.endswith(f"\n{page.END}\nafter\n")
    assert "old" not in text
    assert "| ours | 1.00 | 1000.00 | 1.00 | 40 | 1.00 |" in text
    assert "| miller | left out: no mlr / here | | | | |" in text.replace("|  |", "| |").replace("|  |", "| |")


def test_a_page_without_marks_is_left_alone(tmp_path):
    file = tmp_path / "page.md"
    file.write_text("nothing\n")
    with pytest.raises(SystemExit, match="has no <!-- measured"):
        page.write(file, Findings())
    assert file.read_text() == "nothing\n"


def test_what_was_found_is_kept(tmp_path):
    before = found(ours=1.0, floor=2.0)
    before.growth, before.starts = [("j1", 10, Cost(1, 2, 3))], {"x": Cost(1, 1, 1)}
    before.keep(tmp_path / "kept.json")
    assert Findings.kept(tmp_path / "kept.json") == before
    assert Findings.kept(tmp_path / "none.json") == Findings()
