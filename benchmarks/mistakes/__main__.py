"""`python -m benchmarks.mistakes [--write docs/comparison.md]`: the table of mistakes, made anew."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.mistakes.measure import outcomes
from benchmarks.mistakes.table import table, written
from benchmarks.mistakes.tools import tools


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the marks of this page")
    options = parser.parse_args()
    missing = [tool.name for tool in tools() if not tool.installed]
    if missing:
        raise SystemExit(f"not installed: {', '.join(missing)}; `make bench-setup` does it")
    text = table([(tool, list(outcomes(tool))) for tool in tools()])
    if options.write is None:
        print(text)
    else:
        options.write.write_text(written(options.write.read_text("utf-8"), text), "utf-8")


if __name__ == "__main__":
    main()
