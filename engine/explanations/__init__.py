"""What every code means and what to do, and the words of expressions: data for `explain`, `plugins` and pages."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

CHAPTERS = {
    "files": "The pipeline file",
    "expressions": "Expressions and mappings",
    "rows": "Rows that a source cannot read",
    "records": "Records that a mapping cannot use",
    "vendors": "Payloads that a sink refuses",
    "notes": "Warnings of a run",
    "halts": "What halts a run",
}
FRAME = {
    "version": "version: 1",
    "name": "name: example",
    "sources": "sources: {customers: {type: file, path: customers.csv, key: id}}",
    "sinks": 'sinks: {crm: {type: iterable, api_key: "${ITERABLE_API_KEY}"}, out: {type: stdout}}',
    "mappings": 'mappings: {all: {from: customers, to: out, fields: "{{ record }}"}}',
}
"""What stands around the examples, which show only what matters. Columns: id, email, name, age, country, since."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One code: what it means, what to do and, where words alone do not show it, a wrong and a right example."""

    code: str
    chapter: str
    means: str
    do: str
    wrong: str = ""
    right: str = ""


@cache
def explanations() -> dict[str, list[Explanation]]:
    """By code, in the order of the chapters; a code that two chapters use has an entry in each."""
    found: dict[str, list[Explanation]] = {}
    for chapter in CHAPTERS:
        for code, said in _read(chapter).items():
            found.setdefault(code, []).append(Explanation(code, chapter, **said))
    return found


@dataclass(frozen=True, slots=True)
class Word:
    """A word of expressions: what it does, an example, and its value (`filtered`, `refused` and `omitted`: none)."""

    kind: str
    name: str
    means: str
    example: str
    gives: Any


@cache
def words() -> dict[str, dict[str, Word]]:
    """The words of expressions by kind (`filters`, `tests`, `functions`, `methods`) and name."""
    return {
        kind: {name: Word(kind, name, *said) for name, said in found.items()}
        for kind, found in _read("language").items()
    }


def _read(chapter: str) -> dict[str, Any]:
    import yaml  # late: only who asks for an explanation needs it

    text = files(__package__).joinpath(f"{chapter}.yaml").read_text("utf-8")
    said: dict[str, Any] = yaml.load(text, Loader=yaml.CSafeLoader)
    return said
