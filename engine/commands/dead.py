"""`engine dead`: what was refused and why."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from engine.commands.files import pipeline_of
from engine.errors import InvalidPipeline
from engine.runtime.deadletters import read_letters


def list_letters(file: Path, every: bool, as_json: bool) -> int:
    """Groups by mapping, code and reason; the newest run's only, unless `every`."""
    letters = list(_letters(file, every))
    groups = Counter((x["mapping"] or x["source"], x["stage"], x["code"]) for x in letters)
    examples: dict[Any, dict[str, Any]] = {}
    for letter in letters:
        examples.setdefault((letter["mapping"] or letter["source"], letter["stage"], letter["code"]), letter)
    for group, count in groups.most_common():
        name, stage, code = group
        origin, reason = examples[group]["origin"], examples[group]["reason"]
        if as_json:
            _json({"name": name, "stage": stage, "code": code, "count": count, "example": examples[group]})
        else:
            click.echo(f"{count:>7,}  {name}  {stage}  {code}  e.g. {place(origin)}: {printable(reason)}")
    if not as_json:
        click.echo(f"{len(letters):>7,}  in all" if letters else "no dead letters")
    return 0


def show_letters(file: Path, letter_id: str | None, as_json: bool) -> int:
    found = [x for x in _letters(file, True) if letter_id is None or x["id"].startswith(letter_id)]
    if letter_id is not None and not found:
        raise InvalidPipeline(f"no dead letter has the id {letter_id}; `engine dead show {file}` lists them")
    for letter in found:
        if as_json:
            _json(letter)
        elif letter_id is not None:
            click.echo(msgspec.json.format(msgspec.json.encode(letter), indent=2).decode())
        else:
            where = f"{letter['mapping'] or letter['source']}  {letter['code']}"
            click.echo(f"{letter['id']}  {place(letter['origin'])}  {where}  {printable(letter['reason'])}")
    return 0


def _letters(file: Path, every: bool) -> Iterator[dict[str, Any]]:
    """Those of a pipeline file, or of a file of dead letters itself."""
    path = file if file.suffix == ".jsonl" else pipeline_of(file).dead_letters.path
    letters = list(read_letters(path)) if path.exists() else []
    newest = letters[-1]["run_id"] if letters else None
    yield from (letter for letter in letters if every or letter["run_id"] == newest)


def place(origin: dict[str, Any]) -> str:
    return f"{origin['file']}:{origin['line']}"


def printable(text: str) -> str:
    """One line that cannot play tricks on a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _json(value: Any) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
