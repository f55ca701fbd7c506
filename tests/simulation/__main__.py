"""`python -m tests.simulation [--schedules N] [--seed N] [--table]`, or `--replay LINE` for one that failed."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import astuple, fields

from tests.simulation.campaign import Row, campaign, failed, replay, told
from tests.simulation.mutations import DEFECTS, hunt


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="what came of the schedules in which each fault struck")
    parser.add_argument(
        "--replay", metavar="LINE", help="one schedule: its number, or the line that a failure printed"
    )
    parser.add_argument("--defects", action="store_true", help="the first schedule that finds each deliberate defect")
    options = parser.parse_args()
    if options.defects:
        return _defects(options.schedules)
    if options.replay is not None:
        return _replay(options.replay)
    began = time.process_time()
    done = campaign(options.schedules, options.seed)
    seconds = time.process_time() - began
    if options.table:
        print(" | ".join(f.name for f in fields(Row)))
        for _, row in sorted(done.rows.items()):
            print(" | ".join(f"{cell:.0f}" if isinstance(cell, float) else str(cell) for cell in astuple(row)))
    print("\n".join(told(done)))
    print(f"{seconds:.1f} s of CPU: {done.schedules / seconds * 60:,.0f} schedules a minute")
    return 1 if failed(done) else 0


def _replay(line: str) -> int:
    result = replay(line)
    for finding in result.findings:
        print(f"{finding.kind}: {finding.text}")
    print(f"{result.lives} starts, {result.requests} requests, {len(result.findings)} findings")
    return 1 if result.findings else 0


def _defects(schedules: int) -> int:
    missed = 0
    for name in DEFECTS:
        found = hunt(name, range(schedules))
        missed += found is None
        print(f"    {name!r}: {found[0]},  # {found[1].kind}" if found else f"    {name!r}: not found", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
