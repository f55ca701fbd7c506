"""Whole runs with Flagship in them: a pretend world, a clock that stands, small files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from engine.model import Secret
from tests.runtime.runs import World

FLAGS = """
version: 1
name: shop
connections: {{ab: {{type: flagship, env_id: env, api_key: k{account}}}}}
sources: {{customers: {{type: file, path: customers.csv, key: id}}}}
lookups:
  flags:
    type: flagship.decide
    connection: ab
    with: {{visitor_id: "{{{{ record.id }}}}", context: {{country: "{{{{ record.country }}}}", orders: "{{{{ record.orders | int }}}}"}}}}
    {lookup}
sinks:
  out: {{type: file, path: out.jsonl}}
  fs: {{type: flagship, connection: ab}}
mappings:
{mappings}
"""
ROWS = """
  rows:
    from: customers
    to: out
    fields: {id: "{{ record.id }}", flags: "{{ flags.values }}", assignments: "{{ flags.assignments }}", panic: "{{ flags.panic }}"}
"""
SEEN = """
  seen:
    from: customers
    to: fs.event
    fields: {visitor_id: "{{ record.id }}", category: ACTION_TRACKING, action: seen}
"""


def flags(mappings: str = ROWS, account: str = ", mode: bucketing", lookup: str = "cache: {size: 10000}") -> str:
    """A pipeline that decides for customers."""
    return FLAGS.format(mappings=mappings, account=account, lookup=lookup)


def customers(count: int, first: int = 0) -> str:
    rows = [f"c{n},{'FR' if n % 2 else 'US'},{n % 9}" for n in range(first, first + count)]
    return "id,country,orders\n" + "\n".join(rows) + "\n"


class Shop(World):
    """A world of one pipeline; `flagship` is the pretend vendor."""

    def __init__(self, folder: Path, text: str, faults: list[Any] | None = None) -> None:
        super().__init__(folder, text, faults)
        self.flagship = self.world.vendors["flagship"]

    def out(self, name: str = "out.jsonl") -> list[Any]:
        return [json.loads(line) for line in (self.folder / name).read_text("utf-8").splitlines()]

    def sent(self, part: str) -> list[Any]:
        """Bodies of the requests whose address holds this."""
        return [msgspec.json.decode(one.body) if one.body else None for one in self.requests if part in one.url]

    def headers(self, part: str) -> list[dict[str, str]]:
        found = [one.headers for one in self.requests if part in one.url]
        return [{k.lower(): v.reveal() if isinstance(v, Secret) else v for k, v in one.items()} for one in found]
