"""`python -m tests.reliability [--write docs/reliability.md]`: the whole campaign, as a table.

`--keep FILE` keeps what was measured, so that a campaign that was cut off goes on with what is missing;
`--only F1,F2` measures these.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from tests.reliability.matrix import MATRIX, MEASURES, Measure
from tests.reliability.row import LONG, Row, Size

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEAD = [
    "| | fault | trials | lost | sent again, had to be | sent again, had not | misfiled | seconds | |",
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
]


def line(row: Row) -> str:
    figures = " | ".join(f"{n:,}" for n in (row.trials, row.lost, row.allowed, row.unexcused, row.misfiled))
    note = row.note if not row.wrong else f"**{len(row.wrong)} wrong.** {row.note}"
    return f"| {row.number} | {row.fault} | {figures} | {row.seconds:,.0f} | {note} |"


def table(rows: list[Row], size: Size, command: str) -> str:
    order = {fault.number: at for at, fault in enumerate(MATRIX)}
    rows = sorted(rows, key=lambda row: order.get(row.number, len(order)))
    when = datetime.now(UTC).date().isoformat()
    system = f"Python {sys.version.split()[0]} on {sys.platform}"
    said = f"Measured on {when} with `{command}`, seed {size.seed}, {system}."
    return "\n".join([BEGIN, "", said, "", *HEAD, *map(line, rows), "", END])


def written(path: Path, text: str) -> None:
    """Puts the table between its marks; what people wrote around it stays."""
    page = path.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(before + text + after, "utf-8")


def measured(measure: Measure, size: Size, kept: dict[str, list[Row]]) -> list[Row]:
    name = f"{measure.__module__.rpartition('.')[2]}.{measure.__name__} seed {size.seed}"
    if name not in kept:
        kept[name] = []
        with tempfile.TemporaryDirectory(prefix="reliability-") as folder:
            for row in measure(Path(folder) / "work", size):
                kept[name].append(row)
                print(line(row), flush=True)
                for text in row.wrong[:20]:
                    print(f"    {text}", flush=True)
    return kept[name]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reliability", description=__doc__)
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("--keep", type=Path, metavar="FILE")
    parser.add_argument("--only", default="", metavar="F1,F2")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=LONG.kills)
    options = parser.parse_args()
    size = replace(LONG, seed=options.seed, kills=options.kills)
    kept: dict[str, list[Row]] = {}
    if options.keep and options.keep.exists():
        kept = {name: [Row(**row) for row in rows] for name, rows in json.loads(options.keep.read_text()).items()}
    rows: list[Row] = []
    only = set(filter(None, options.only.split(",")))
    for measure, numbers in MEASURES.items():
        if not only or only & set(numbers):
            rows += measured(measure, size, kept)
            if options.keep:
                options.keep.write_text(json.dumps({name: [asdict(r) for r in some] for name, some in kept.items()}))
    bad = sum(row.breaches for row in rows)
    if options.write:
        written(options.write, table(rows, size, "make reliability"))
    print("all as promised" if not bad else f"{bad} breaches (seed {options.seed})")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
