"""`python -m benchmarks [--short]`: every figure with its peers, in one run."""

from __future__ import annotations

import argparse
import os
import platform
from datetime import UTC, datetime

from benchmarks import check, iterable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="small sizes, one round: does it run, not how fast it is"
    )
    options = parser.parse_args()
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}")
    for measure in (check.bench, iterable.bench):
        for line in measure(short=options.short):
            print(line, flush=True)


if __name__ == "__main__":
    main()
