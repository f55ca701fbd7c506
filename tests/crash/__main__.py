"""`python -m tests.crash [--kills N] [--seed N]`: the long form of the crash tests, with a table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.crash.campaign import BATCH, LANES, Outcome, campaigns

MUST_BE_ZERO = ("lost", "unexcused", "doubled", "misfiled", "bad_sums")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1500)
    options = parser.parse_args()
    bad = 0
    names = list(vars(Outcome()))
    print(" | ".join(["faults", *names]))
    with tempfile.TemporaryDirectory() as folder:
        for name, outcome in campaigns(Path(folder), options.kills, options.seed, options.rows):
            facts = vars(outcome)
            print(
                " | ".join([name, *(f"{facts[n]:.1f}" if n == "seconds" else str(facts[n]) for n in names)]),
                flush=True,
            )
            bad += sum(facts[n] for n in MUST_BE_ZERO) + (outcome.worst_kill > LANES * BATCH)
    print("all as promised" if not bad else f"{bad} breaches (seed {options.seed})")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
