"""What was found, as tables: for a terminal, and as the marked block of a page."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.findings import Findings
from benchmarks.measure import Cost
from benchmarks.targets import judged
from benchmarks.turns import Outcome

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
Row = Sequence[str]


def machine() -> str:
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), "
        f"Python {platform.python_version()}, {platform.system()}"
    )


def of_job(outcome: Outcome) -> Iterator[Row]:
    yield ["", "CPU s", "µs a row", "wall s", "peak MB", "CPU, ours = 1"]
    ours = outcome.costs.get("ours")
    for name, cost in outcome.costs.items():
        times = f"{cost.cpu / ours.cpu:.2f}" if ours else ""
        yield [name, *figures(cost, outcome.rows), times]
    for name, why in outcome.left_out.items():
        yield [name, f"left out: {why}".replace("|", "/"), "", "", "", ""]


def of_growth(growth: Sequence[tuple[str, int, Cost]]) -> Iterator[Row]:
    yield ["", "rows", "CPU s", "µs a row", "wall s", "peak MB"]
    for job, rows, cost in growth:
        yield [job, f"{rows:,}", *figures(cost, rows)]


def of_starts(starts: dict[str, Cost]) -> Iterator[Row]:
    yield ["", "CPU s", "wall s"]
    for name, cost in starts.items():
        yield [name, f"{cost.cpu:.3f}", f"{cost.wall:.3f}"]


def of_profiles(profiles: dict[str, dict[str, float]]) -> Iterator[Row]:
    yield ["CPU, µs a record", *profiles]
    for stage in dict.fromkeys(stage for profile in profiles.values() for stage in profile):
        yield [stage, *(f"{p[stage]:.2f}" if stage in p else "" for p in profiles.values())]


def of_targets(found: Findings) -> Iterator[Row]:
    yield ["", "", "figure", "bound", "", "command"]
    yield from judged(found)


def figures(cost: Cost, rows: int) -> list[str]:
    return [f"{cost.cpu:.2f}", f"{cost.cpu / rows * 1e6:.2f}", f"{cost.wall:.2f}", f"{cost.peak:.0f}"]


def title(outcome: Outcome) -> str:
    return (
        f"{outcome.job.name}: {outcome.job.title}; {outcome.rows:,} rows, median of {outcome.rounds}, {outcome.when}"
    )


def plain(rows: Iterator[Row]) -> Iterator[str]:
    """A table for a terminal."""
    for name, *cells in rows:
        yield f"  {name:45} " + " ".join(f"{cell:>12}" for cell in cells)


def markdown(rows: Iterator[Row]) -> Iterator[str]:
    head, *rest = rows
    yield f"| {' | '.join(head)} |"
    yield "| --- |" + " --- |" * (len(head) - 1)
    for row in rest:
        yield f"| {' | '.join(row)} |"
    yield ""


def block(found: Findings) -> Iterator[str]:
    """All tables in Markdown."""
    yield f"Measured on {machine()}."
    yield ""
    sections = [
        ("### Targets", of_targets(found), True),
        *((f"**{title(outcome)}**", of_job(outcome), True) for outcome in found.jobs.values()),
        ("### Growth", of_growth(found.growth), bool(found.growth)),
        ("### Start-up", of_starts(found.starts), bool(found.starts)),
        ("### Where each microsecond goes", of_profiles(found.profiles), bool(found.profiles)),
    ]
    for head, rows, there in sections:
        if there:
            yield head
            yield ""
            yield from markdown(rows)
    yield from (f"- {note.strip()}" for note in found.notes)


def write(file: Path, found: Findings) -> None:
    """Replaces what stands between the marks; the text around it stays."""
    text = file.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{file} has no {BEGIN} … {END}")
    inside = "\n".join(block(found)).rstrip()
    file.write_text(f"{before}{BEGIN}\n{inside}\n{END}{after}", "utf-8")
