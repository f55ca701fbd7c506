"""`python -m engine`, and the installed command."""

from __future__ import annotations

import signal
import sys
from typing import Any, NoReturn


def run() -> None:
    """Imports take a moment, in which a person may change their mind, or a machine."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # who ignores it goes on ignoring it
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        from engine.cli import main
    except KeyboardInterrupt:
        sys.exit(130)
    main()


def _interrupt(*_: Any) -> NoReturn:
    """SIGTERM as Ctrl-C, until a run takes it over: both end with 130."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    run()
