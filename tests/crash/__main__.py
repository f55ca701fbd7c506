"""`python -m tests.crash [--kills N] [--seed N]`: the long form of the crash tests, with a table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.crash.campaign import campaigns
from tests.crash.data import BATCH, LANES
from tests.crash.judging import MUST_BE_ZERO, Outcome


def breaches(outcome: Outcome) -> int:
    """What should not have been."""
    facts = vars(outcome)
    doubled = max(0, outcome.doubled_plain - outcome.repeated)  # without ids what is sent again is there twice
    return sum(facts[name] for name in MUST_BE_ZERO) + doubled + (outcome.worst_kill > LANES * BATCH)


def shown(outcome: Outcome) -> list[str]:
    return [f"{value:.1f}" if isinstance(value, float) else str(value) for value in vars(outcome).values()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=1500)
    options = parser.parse_args()
    total = Outcome()
    print(" | ".join(["faults", *vars(total)]))
    with tempfile.TemporaryDirectory() as folder:
        for name, outcome in campaigns(Path(folder), options.kills, options.seed, options.rows):
            print(" | ".join([name, *shown(outcome)]), flush=True)
            total.add(outcome)
    print(" | ".join(["together", *shown(total)]))
    bad = breaches(total)
    print("all as promised" if not bad else f"{bad} breaches (seed {options.seed})")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
