"""`python -m tests.fuzz [TARGET…] [--seconds N | --count N] [--seed N] [--replay FILE]`: looks for what breaks a reader.

With atheris installed (`make fuzz` does that where there is a build of it) new inputs follow what the code does with
the old ones; without it they are mutations of samples, the same for the same seed. What breaks is written to `.fuzz/`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import traceback
import zlib
from contextlib import nullcontext
from pathlib import Path

from tests.fuzz.guard import Hangs, bound_memory, guarded

try:
    import atheris
except ImportError:
    atheris = None

with atheris.instrument_imports(include=["engine"]) if atheris else nullcontext():
    from tests.fuzz.targets import TARGETS, mutations, some

FOUND = Path(".fuzz")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--count", type=int, help="inputs for each target, instead of a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--replay", type=Path, help="an input that was found, for one target")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    if unknown := set(names) - set(TARGETS):
        parser.error(f"there is no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    if options.replay:
        guarded(TARGETS[names[0]].run)(options.replay.read_bytes())
        return 0
    if len(names) > 1:  # each in a process of its own, with its own bound on memory
        return max([_apart(name, options) for name in names])
    if options.count is None and _guided(names[0], options.seconds, options.seed):
        return 0
    return _mutated(names[0], options)


def _apart(name: str, options: argparse.Namespace) -> int:
    how = ["--seconds", str(options.seconds)] if options.count is None else ["--count", str(options.count)]
    return subprocess.run([sys.executable, "-m", "tests.fuzz", name, "--seed", str(options.seed), *how]).returncode


def _mutated(name: str, options: argparse.Namespace) -> int:
    target = TARGETS[name]
    began, number, wrong = time.monotonic(), 0, 0
    count = options.count
    inputs = (
        mutations(target.samples(), target.words, options.seed)
        if count is None
        else some(target, count, options.seed)
    )
    bound_memory()
    run = guarded(target.run)
    for data in inputs:
        if count is None and time.monotonic() - began > options.seconds:
            break
        number += 1
        try:
            run(data)
        except (Exception, Hangs):
            wrong += 1
            _keep(name, data)
            if wrong == 5:
                break
    print(f"{name}: {number} inputs, {wrong} broke it, {time.monotonic() - began:.0f} s", flush=True)
    return 1 if wrong else 0


def _keep(name: str, data: bytes) -> None:
    FOUND.mkdir(exist_ok=True)
    path = FOUND / f"{name}-{zlib.crc32(data):08x}"
    path.write_bytes(data)
    traceback.print_exc()
    print(f"again with: python -m tests.fuzz {name} --replay {path}", flush=True)


def _guided(name: str, seconds: int, seed: int) -> bool:
    """Lets atheris look, in this process; it ends the process itself. False where it is not installed."""
    if atheris is None:
        return False
    target, corpus = TARGETS[name], FOUND / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(target.samples()):
        (corpus / f"sample-{number}").write_bytes(sample)
    arguments = [f"-max_total_time={seconds}", f"-seed={seed}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=6000"]
    arguments += [f"-artifact_prefix={FOUND}/{name}-", "-print_final_stats=1", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *arguments, str(corpus)], guarded(target.run))
    atheris.Fuzz()
    return True


if __name__ == "__main__":
    sys.exit(main())
