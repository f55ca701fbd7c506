"""What was measured, as lines for a terminal and as the marked block of a page."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.turns import Outcome

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


def machine() -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {platform.system()}"
    )


def lines(outcome: Outcome) -> Iterator[str]:
    """A job for the terminal."""
    yield f"{outcome.job.name}: {outcome.job.title}; {outcome.rows:,} rows, median of {outcome.rounds}"
    ours = outcome.costs.get("ours")
    for name, cost in outcome.costs.items():
        times = f"{cost.cpu / ours.cpu:6.2f} x ours" if ours else ""
        yield (
            f"  {name:22} {cost.cpu:8.2f} CPU s {cost.cpu / outcome.rows * 1e6:9.2f} µs a row {cost.wall:8.2f} s wall "
            f"{cost.peak:7.0f} MB {times}"
        )
    for name, why in outcome.left_out.items():
        yield f"  {name:22} left out: {why}"


def table(outcome: Outcome) -> Iterator[str]:
    """A job as a table of Markdown."""
    yield f"**{outcome.job.name}**: {outcome.job.title}; {outcome.rows:,} rows, median of {outcome.rounds}"
    yield ""
    yield "| | CPU s | µs a row | wall s | peak MB | CPU, ours = 1 |"
    yield "| --- | --: | --: | --: | --: | --: |"
    ours = outcome.costs.get("ours")
    for name, cost in outcome.costs.items():
        times = f"{cost.cpu / ours.cpu:.2f}" if ours else ""
        each = cost.cpu / outcome.rows * 1e6
        yield f"| {name} | {cost.cpu:.2f} | {each:.2f} | {cost.wall:.2f} | {cost.peak:.0f} | {times} |"
    for name, why in outcome.left_out.items():
        yield f"| {name} | left out: {why.replace('|', '/')} | | | | |"
    yield ""


def write(file: Path, outcomes: Sequence[Outcome], notes: Sequence[str]) -> None:
    """Replaces what stands between the marks; the text around it stays."""
    text = file.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{file} has no {BEGIN} … {END}")
    block = [f"Measured on {machine()}.", ""]
    for outcome in outcomes:
        block += table(outcome)
    block += [f"- {note.strip()}" for note in notes]
    file.write_text(f"{before}{BEGIN}\n" + "\n".join(block).rstrip() + f"\n{END}{after}", "utf-8")
