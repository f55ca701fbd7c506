"""`python -m benchmarks [--short]`: every figure with its peers, in one run."""

from __future__ import annotations

import argparse
import os
import platform
from datetime import UTC, datetime

from benchmarks import iterable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--short", action="store_true", help="small sizes, one round: does it run, not how fast it is"
    )
    options = parser.parse_args()
    print(
        f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores, {platform.system()}"
    )
    for line in iterable.bench(short=options.short):
        print(line, flush=True)


if __name__ == "__main__":
    main()
