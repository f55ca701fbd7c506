"""`python -m engine`, and the installed command."""

from __future__ import annotations

import sys


def run() -> None:
    """Imports take a moment, in which a person may change their mind."""
    try:
        from engine.cli import main
    except KeyboardInterrupt:
        sys.exit(130)
    main()


if __name__ == "__main__":
    run()
