"""What the engine costs, beside its peers, in one run: `python -m benchmarks [JOB ...]`.

    python -m benchmarks j1 --only ours,floor --rounds 3     one job, two contenders
    python -m benchmarks j1 j2 --all                         full sizes
    python -m benchmarks --write docs/performance.md         everything; the tables go into the page's marked block

Peers come from `make bench-setup`; one that is missing is left out and said so. Outputs are compared by content
before any time is taken. CPU seconds and ratios within one run are to be trusted, wall seconds on a busy machine are not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks import check, iterable, page
from benchmarks.jobs import JOBS
from benchmarks.turns import Outcome, of_job

OTHERS = {"check": check.bench, "iterable": iterable.bench}


def main() -> None:
    options = parsed()
    print(page.machine())
    outcomes: list[Outcome] = []
    notes: list[str] = []
    only = options.only.split(",") if options.only else ()
    for name in options.jobs or [*JOBS, *OTHERS]:
        if name in OTHERS:
            for line in OTHERS[name](short=options.short):
                print(line, flush=True)
                notes.append(line)
            continue
        job = JOBS[name]
        rows = options.rows or job.rows[2 if options.short else 1 if options.all else 0]
        outcomes.append(of_job(job, rows, options.rounds or (1 if options.short else 3), only))
        print("\n".join(page.lines(outcomes[-1])), flush=True)
    if options.write:
        page.write(options.write, outcomes, notes)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "jobs", nargs="*", metavar="JOB", help=f"any of {', '.join([*JOBS, *OTHERS])}; all by default"
    )
    parser.add_argument("--only", metavar="NAME,NAME", help="these contenders only")
    parser.add_argument("--rounds", type=int, help="how often each runs; the median counts (3)")
    parser.add_argument("--rows", type=int, help="another number of rows")
    parser.add_argument("--all", action="store_true", help="full sizes")
    parser.add_argument(
        "--short", action="store_true", help="small sizes, one round: does it run, not how fast it is"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="replace the marked block of this page")
    options = parser.parse_args()
    if unknown := [name for name in options.jobs if name not in (*JOBS, *OTHERS)]:
        parser.error(f"no job {', '.join(unknown)}; there are {', '.join([*JOBS, *OTHERS])}")
    return options


if __name__ == "__main__":
    main()
