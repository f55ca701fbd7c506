"""What the engine costs, beside its peers, in one run: `python -m benchmarks [JOB ...]`.

    python -m benchmarks j1 --only ours,floor --rounds 3     one job, two contenders
    python -m benchmarks profile                             where each microsecond of a record goes
    python -m benchmarks j1 j2 --all                         two jobs, full sizes
    python -m benchmarks --all --write docs/performance.md   everything, into the page's marked block

Peers come from `make bench-setup`; one that is missing is left out and said so. Outputs are compared by content
before any time is taken. CPU seconds and ratios within one run are to be trusted, wall seconds on a busy machine not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks import data, growth, iterable, page, profile, start
from benchmarks.findings import Findings
from benchmarks.jobs import FAST, JOBS
from benchmarks.turns import of_job

OTHERS = ("start", "growth", "profile", "iterable")
PROFILED = (50_000, 500_000, 2_000)


def main() -> None:
    options = parsed()
    size = 2 if options.short else 1 if options.all else 0
    found = Findings.kept() if options.write else Findings()
    print(page.machine())
    for name in options.jobs or [*JOBS, *OTHERS]:
        for line in carried_out(name, size, options, found):
            print(line, flush=True)
        if options.write:
            found.keep()
    if size < 2 and list(page.of_targets(found))[1:]:
        print("targets")
        print("\n".join(page.plain(page.of_targets(found))))
    if options.write:
        page.write(options.write, found)


def carried_out(name: str, size: int, options: argparse.Namespace, found: Findings) -> Iterator[str]:
    """Runs one job into `found`; yields what there is to say of it."""
    if name in JOBS:
        job, only = JOBS[name], options.only.split(",") if options.only else ()
        rounds = options.rounds or (1 if size == 2 else 3)
        outcome = found.jobs[name] = of_job(job, options.rows or job.rows[size], rounds, only)
        yield page.title(outcome)
        yield from page.plain(page.of_job(outcome))
    elif name == "start":
        found.starts = dict(start.costs(options.rounds or (1 if size == 2 else 5)))
        yield from page.plain(page.of_starts(found.starts))
    elif name == "growth":
        found.growth = []
        for one in growth.costs(size, options.rows):
            found.growth.append(one)
            yield list(page.plain(page.of_growth([one])))[-1]
    elif name == "profile":
        rows = options.rows or PROFILED[size]
        found.profiles = {job: profile.in_a_process(job, data.people(rows), rows) for job in ("j1", "j3")}
        found.profiles["j2"] = profile.in_a_process("j2", data.orders(rows), rows)
        few = rows // 10
        found.profiles["j4"] = profile.in_a_process("j4", data.people(few), few)
        if not FAST.missing():
            found.profiles["j4, fast"] = profile.in_a_process("j4", data.people(few), few, "curl")
        yield from page.plain(page.of_profiles(found.profiles))
    else:
        found.notes = []
        for line in iterable.bench(short=size != 1):
            found.notes.append(line)
            yield line


def parsed() -> argparse.Namespace:
    known = [*JOBS, *OTHERS]
    parser = argparse.ArgumentParser("benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("jobs", nargs="*", metavar="JOB", help=f"any of {', '.join(known)}; all by default")
    parser.add_argument("--only", metavar="NAME,NAME", help="these contenders only; `ours` is the engine")
    parser.add_argument("--rounds", type=int, help="how often each runs; the median counts")
    parser.add_argument("--rows", type=int, help="another number of rows; growth: at most so many")
    parser.add_argument("--all", action="store_true", help="full sizes")
    parser.add_argument(
        "--short", action="store_true", help="small sizes, one round: does it run, not how fast it is"
    )
    parser.add_argument(
        "--write",
        type=Path,
        metavar="FILE",
        help="replace the marked block of this page; other jobs keep their figures",
    )
    options = parser.parse_args()
    if unknown := [name for name in options.jobs if name not in known]:
        parser.error(f"no job {', '.join(unknown)}; there are {', '.join(known)}")
    return options


if __name__ == "__main__":
    main()
