"""The short form of `make fuzz`: some inputs for each target, the same ones every time; and that it finds what it should."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.fuzz.guard import Hangs, guarded
from tests.fuzz.targets import ROOT, TARGETS, some

COUNT = 400  # a second or two for each target


def fuzz(*arguments: str, code: str = "") -> subprocess.CompletedProcess[str]:
    command = ["-c", code] if code else ["-m", "tests.fuzz", *arguments]
    return subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_our_errors_goes_out(name):
    done = fuzz(name, "--count", str(COUNT), "--seed", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{name}: {COUNT} inputs, 0 broke it" in done.stdout


def test_the_same_seed_gives_the_same_inputs():
    target = TARGETS["csv"]
    assert list(some(target, 50, 3)) == list(some(target, 50, 3)) != list(some(target, 50, 4))


def test_a_hang_is_ended(monkeypatch):
    monkeypatch.setattr("tests.fuzz.guard.SECONDS", 0.05)

    def forever(data: bytes) -> None:
        while data:
            pass

    with pytest.raises(Hangs):
        guarded(forever)(b"x")


@pytest.mark.parametrize(
    ("defect", "said"),
    [("raise KeyError(data)", "KeyError"), ("bytearray(2 << 30)", "MemoryError")],
)
def test_what_breaks_a_target_is_kept_and_told(tmp_path, defect, said):
    if said == "MemoryError" and not sys.platform.startswith("linux"):
        pytest.skip("only Linux bounds a process's memory")
    code = f"""
import sys
from pathlib import Path
import tests.fuzz.__main__ as fuzz
from tests.fuzz.targets import TARGETS, Target
def run(data):
    {defect}
TARGETS["broken"] = Target(run, lambda: [b"sample"])
fuzz.FOUND = Path({str(tmp_path)!r})
sys.argv = ["fuzz", "broken", "--count", "3"]
sys.exit(fuzz.main())
"""
    done = fuzz(code=code)
    assert done.returncode == 1
    assert said in done.stderr
    assert "broken: 3 inputs, 3 broke it" in done.stdout
    assert list(tmp_path.iterdir())
