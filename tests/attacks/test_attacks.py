"""Each attack ends as its entry says, by itself, soon, small, and without a traceback or the secret."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.runtime.deadletters import read_letters
from tests.attacks.table import ATTACKS, MEGABYTES, SECONDS, SECRET, Attack

ROOT = Path(__file__).parent.parent.parent
SCALE = 1 << 20 if sys.platform == "darwin" else 1 << 10  # of ru_maxrss


# A process inherits the peak of the one that it was forked from, and this one may be large: a small one starts it.
# The kernel ends what takes longer: SIGXCPU, which no handler of ours catches.
LAUNCHER = f"""
import os, resource, sys
if not (child := os.fork()):
    resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS + 1}))
    os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
_, status, usage = os.wait4(child, 0)
open(sys.argv[1], "w").write(f"{{os.waitstatus_to_exitcode(status)}} {{usage.ru_maxrss}}")
"""


def start(attack: Attack, folder: Path) -> tuple[int, str, float]:
    """The exit code, all that was printed, and the peak of memory in MB."""
    (folder / "attack.yaml").write_bytes(attack.file())
    (folder / attack.name).write_bytes(attack.data())
    return command(folder, attack.command, attack.environ)


def command(folder: Path, arguments: tuple[str, ...], environ: dict[str, str]) -> tuple[int, str, float]:
    printed = folder / "printed.txt"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder), **environ}
    usage = folder / "usage.txt"
    with printed.open("wb") as output:
        subprocess.run(
            [sys.executable, "-S", "-c", LAUNCHER, usage, "-m", "engine", *arguments],
            cwd=folder, stdout=output, stderr=output, env=environ, check=True,
        )  # fmt: skip
    code, peak = map(int, usage.read_text().split())
    return code, printed.read_text("utf-8"), peak / SCALE


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.id)
def test_the_attack_ends_as_it_should(attack, tmp_path):
    code, printed, peak = start(attack, tmp_path)
    assert code == attack.exit, printed
    assert not [word for word in attack.says if word not in printed], printed
    assert "Traceback" not in printed
    assert SECRET not in printed
    assert "\x1b" not in printed
    assert len(printed) < 20_000
    assert peak < MEGABYTES
    if attack.letters is not None:
        dead = tmp_path / ".engine/dead/attack.jsonl"
        assert [letter["code"] for letter in (read_letters(dead) if dead.exists() else [])] == list(attack.letters)
    if attack.written is not None:
        out = tmp_path / "out.jsonl"
        assert len(out.read_bytes().splitlines() if out.exists() else []) == attack.written
    assert not (tmp_path.parent / "x.jsonl").exists()
