"""What a person sees: progress and reports. Text for people goes to stderr; no secret passes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import msgspec

from engine.config.messages import printable, printable_json, printable_lines
from engine.runtime.disk import told as told
from engine.runtime.events import Progress

PLAIN_EVERY = 10.0  # seconds between two plain progress lines


def wants_color(stream: TextIO) -> bool:
    """A terminal, unless NO_COLOR says no."""
    return stream.isatty() and not os.environ.get("NO_COLOR")


class PlainProgress:
    """A line now and then, for logs."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._told = say, 0.0

    def progress(self, progress: Progress) -> None:
        if progress.seconds - self._told >= PLAIN_EVERY:
            self._told = progress.seconds
            self._say(progress_line(progress))

    def say(self, text: str) -> None:
        self._say(text)

    def close(self) -> None: ...


class LiveProgress:
    """A line per mapping that is drawn anew, on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # late: rich is dear to import
        from rich.live import Live

        self._console = Console(file=stream, no_color=not wants_color(stream))
        self._live = Live(console=self._console, transient=True, auto_refresh=False)
        self._live.start()

    def progress(self, progress: Progress) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, padding=(0, 2, 0, 0))
        for title in ("", "records", "delivered", "rejected", "per second"):
            table.add_column(title, justify="left" if not title else "right", style="dim" if not title else "")
        for name, count in progress.counts.mappings.items():
            rate = count.delivered / progress.seconds if progress.seconds else 0.0
            bad = count.failed + count.rejected + count.unknown
            table.add_row(
                Text(printable(f"{name} → {count.to}")),
                *(f"{n:,}" for n in (count.records, count.delivered, bad)),
                f"{rate:,.0f}",
            )
        for text in progress.waits:
            table.add_row(Text(printable(text)))
        self._live.update(table, refresh=True)

    def say(self, text: str) -> None:
        self._console.print(printable_lines(text), markup=False, highlight=False)

    def close(self) -> None:
        self._live.stop()


def progress_line(progress: Progress) -> str:
    parts = []
    for name, count in progress.counts.mappings.items():
        bad = count.failed + count.rejected + count.unknown
        parts.append(f"{name}: {count.records:,} records, {count.delivered:,} delivered, {bad:,} rejected")
    rate = sum(s.read for s in progress.counts.sources.values()) / progress.seconds if progress.seconds else 0.0
    return f"{progress.seconds:.0f} s, {rate:,.0f} rows/s; " + "; ".join([*parts, *progress.waits])


# --- the report ---------------------------------------------------------------------------------------

ROWS = ("filtered", "failed", "payloads", "delivered", "dropped", "rejected", "unknown")


def report_text(
    report: dict[str, Any], examples: Sequence[str] = (), *, sandbox: bool = False, file: Path | None = None,
    limit: int | None = None,
) -> str:  # fmt: skip
    """The run report for people.

    `examples` are the first dead letters, in short; `file` is the pipeline's; `limit` is in rows a source.
    """
    lines = [_headline(report, sandbox)]
    for name, source in report["sources"].items():
        bad = f", {source['malformed']:,} malformed" if source["malformed"] else ""
        lines.append(f"  read       {name}: {several(source['read'], 'row')}{bad}")
    for name, count in report["mappings"].items():
        said = (
            ", ".join(f"{count[key]:,} {key}" for key in ROWS if count[key] and key != "payloads")
            or "nothing to send"
        )
        lines.append(f"  mapped     {name} → {count['to']}: {several(count['records'], 'record')}: {said}")
    for name, sink in report["sinks"].items():
        if sink["requests"]:
            lines.append(f"  sent       {name}: {_traffic(sink)}")
    lines += [f"  warning    {text}{f' ({times:,} times)' if times > 1 else ''}"
              for text, times in report.get("warnings", {}).items()]  # fmt: skip
    if count := report["dead_letters"]["count"]:
        where = report["dead_letters"]["path"]
        place = f"in {near(where)}" if where else "there would be"
        lines.append(f"  refused    {several(count, 'dead letter')} {place}")
        lines += [f"             {example}" for example in examples]
        lines += ["             …"] if count > len(examples) > 0 else []
        lines += [f"             why: engine dead show {near(file)}"] if file is not None and where else []
    if report.get("abandoned"):
        lines.append(f"  abandoned  {report['abandoned']:,} payloads were in flight; the next start sends them again")
    if "error" in report:
        lines.append(f"  {report['status']:<10} {_why(report['error'])}")
    if limit is not None and not report.get("dry_run"):
        lines.append(f"  --limit {limit}: where a source has more rows, the next start goes on from there.")
    if report["status"] in ("halted", "interrupted"):
        lines.append("  The position is kept: run the same command again to go on.")
    return "\n".join(map(printable, lines))


def _why(error: dict[str, Any]) -> str:
    where = error.get("where", "")
    return error["reason"] if where in error["reason"] else f"{error['reason']} ({where})"


def several(number: int, word: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def near(path: str | Path) -> str:
    """A path as a person in the working directory would write it."""
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _headline(report: dict[str, Any], sandbox: bool) -> str:
    delivered = sum(count["delivered"] for count in report["mappings"].values())
    word = "delivered to the pretend vendors" if sandbox else "delivered"
    word = "would be delivered (dry run: nothing was sent)" if report.get("dry_run") else word
    resumed = ", resumed" if report["resumed"] else ""
    return f"{report['pipeline']}: {report['status']}: {delivered:,} {word} in {report['seconds']:.1f} s{resumed}"


def _traffic(sink: dict[str, Any]) -> str:
    parts = [several(sink["requests"], "request"), several(sink["bytes"], "byte")]
    if sink["retries"]:
        again, unclear = several(sink["retries"], "time"), sink["ambiguous_retries"]
        parts.append(f"sent again {again} ({unclear:,} of what may have arrived)")
    if sink["throttled_seconds"] >= 0.1:
        parts.append(f"{sink['throttled_seconds']:.1f} s waited for the vendor's pace")
    return ", ".join(parts)


# --- the streams --------------------------------------------------------------------------------------


def open_missing() -> None:
    """Gives every standard stream that was closed from outside a place that takes all and gives nothing.

    To be called before any file is opened: that would take the place of the closed stream, and be written to.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - for good


def lose(stream: TextIO) -> None:
    """What the stream still holds, and what comes, goes nowhere: the interpreter's own flush must not fail."""
    with suppress(Exception):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def stderr(text: str) -> None:
    """Prints to stderr, for people; a stderr that is gone is no reason to die."""
    try:
        print(printable_lines(text), file=sys.stderr, flush=True)  # noqa: T201 - the one place that does
    except (OSError, ValueError):
        lose(sys.stderr)


def stdout(text: str) -> None:
    """Prints to stdout, for people. Raises `OSError` where it takes no more, which the entry point knows."""
    sys.stdout.write(printable_lines(text))


def json_text(value: Any, *, indent: int = 0) -> str:
    """JSON for programs that does a terminal no harm either."""
    encoded = msgspec.json.encode(value)
    return printable_json((msgspec.json.format(encoded, indent=indent) if indent else encoded).decode())
