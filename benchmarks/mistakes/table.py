"""The table as Markdown, and its place in a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from benchmarks.mistakes.kinds import KINDS
from benchmarks.mistakes.measure import Outcome
from benchmarks.mistakes.tools import Tool

BEGIN, END = "<!-- made by `python -m benchmarks.mistakes --write` -->", "<!-- end of what is made -->"
Measured = Sequence[tuple[Tool, Sequence[Outcome]]]


def table(measured: Measured) -> str:
    """What each tool did with each mistake, then every message in its own words."""
    return "\n".join([*_head(measured), "", *_overview(measured), "", *_details(measured)])


def written(page: str, text: str) -> str:
    """The page with the table between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"the page lacks the marks {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def _head(measured: Measured) -> Iterator[str]:
    versions = ", ".join(f"{tool.name} {tool.version()}" for tool, _ in measured)
    yield f"Measured {datetime.now(UTC):%Y-%m-%d} with {versions}."
    yield ""
    yield from (f"- {tool.name}: {tool.how}." for tool, _ in measured)


def _overview(measured: Measured) -> Iterator[str]:
    yield "| mistake | " + " | ".join(tool.name for tool, _ in measured) + " |"
    yield "| --- |" + " --- |" * len(measured)
    for at, (kind, title) in enumerate(KINDS.items()):
        yield f"| {title} | " + " | ".join(_cell(kind, found[at]) for _, found in measured) + " |"
    totals = (f"{sum(one.said.found for one in found)} of {len(found)}" for _, found in measured)
    yield "| **found before anything is sent** | " + " | ".join(totals) + " |"


def _cell(kind: str, one: Outcome) -> str:
    if not one.said.found:
        return "not found"
    if kind == "five":
        return f"names {one.named} of 5"
    names = [word for word in ("file", "line", "column") if getattr(one, word)]
    names += ["the word"] * bool(one.named) + ["what would do"] * one.mend
    return "found: " + (", ".join(names) or "no place")


def _details(measured: Measured) -> Iterator[str]:
    yield "| mistake | tool | command that found it | exit | its words |"
    yield "| --- | --- | --- | --- | --- |"
    for at, title in enumerate(KINDS.values()):
        for tool, found in measured:
            one = found[at]
            if one.said.found:
                words = one.message.replace("|", "\\|").replace("`", "'")
                yield f"| {title} | {tool.name} | `{one.said.command}` | {one.said.exit} | `{words}` |"
            else:
                yield f"| {title} | {tool.name} | - | {one.said.exit} | - |"
