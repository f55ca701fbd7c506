"""What is sent in a simulation: rows of several kinds, the pipelines that carry them, and what must become of each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from engine.config.load import parse
from engine.config.pipeline import Batching, Delivery, Pipeline, RateLimit, Retry, SourceSpec
from engine.model import Malformed, Position, Rows
from engine.registry import Registry
from engine.runtime.deadletters import letter_id
from tests.simulation.disk import HOME, Place

KINDS = ("ok", "malformed", "old", "skip", "big", "badmail", "gone", "mismatch", "refused")
MAX_BYTES = 4096  # of a request, where the shape sets a limit
LETTER, FILTERED, FAILED, DROPPED, SENT = "letter", "filtered", "failed", "dropped", "sent"
GONE, TAKEN = "gone{}@shop.test", "taken@shop.test"


class Row(NamedTuple):
    key: int
    kind: str = "ok"
    things: int = 1


SOURCE = """
version: 1
name: shop
sources:
  customers: {type: file, path: customers.jsonl, key: id}
sinks:
"""
CRM = '  crm: {type: iterable, api_key: "${KEY}"}\n'
PROFILES = """
  profiles:
    from: customers
    to: crm.update_user
    when: "{{ not record.skip }}"
    fields:
      email: "{{ record.email }}"
      dataFields: {n: "{{ record.n }}", age: "{{ record.age | int }}", t: "{{ record.t }}", pad: "{{ record.pad }}",
                   email: "{{ record.other }}"}
"""
VISITS = """
  visits:
    from: customers
    to: crm.track_event
    when: "{{ not record.skip }}"
    each: "{{ record.things }}"
    fields:
      email: "{{ record.email }}"
      eventName: "{{ record.event }}"
      dataFields: {n: "{{ record.n }}", at: "{{ item }}", t: "{{ record.t }}", pad: "{{ record.pad }}"}
"""
ORDERS = """
  orders:
    from: customers
    to: crm.track_purchase
    when: "{{ record.buys and not record.skip }}"
    fields:
      user: {email: "{{ record.email }}"}
      items: [{id: "1", name: Thing, price: 1.5, quantity: 1}]
      total: 1.5
      dataFields: {n: "{{ record.n }}"}
"""
HITS = """
  hits:
    from: customers
    to: flags.event
    when: "{{ not record.skip }}"
    each: "{{ record.things }}"
    fields: {visitor_id: "{{ record.email }}", category: USER_ENGAGEMENT, action: seen, label: "{{ record.n }}-{{ item }}",
             value: "{{ record.age | int }}"}
  views:
    from: customers
    to: flags.screen
    when: "{{ not record.skip }}"
    fields: {visitor_id: "{{ record.email }}", location: "screen-{{ record.n }}"}
"""
LINES = """
  lines:
    from: customers
    to: out
    when: "{{ not record.skip }}"
    fields: {n: "{{ record.n }}", age: "{{ record.age | int }}"}
"""
MODELS = """
  models:
    from: customers
    to: lumi.users
    when: "{{ not record.skip }}"
    fields: {id: "{{ record.id }}", n: "{{ record.n }}", age: "{{ record.age | int }}"}
"""
FLAGS = "  flags: {type: flagship, env_id: env1}\n"
OUT = "  out: {type: file, path: out.jsonl}\n"
NO_IDS = '  crm: {type: iterable, api_key: "${KEY}", event_id: none}\n'
LUMI = '  lumi: {{type: lumidatum, token: "${{KEY}}", model_id: 1, {}}}\n'

SHAPES = {
    "users": SOURCE + CRM + "mappings:" + PROFILES,
    "events": SOURCE + CRM + "mappings:" + VISITS,
    "events without ids": SOURCE + NO_IDS + "mappings:" + VISITS,
    "purchases": SOURCE + CRM + "mappings:" + ORDERS,
    "all three": SOURCE + CRM + "mappings:" + PROFILES + VISITS + ORDERS,
    "flagship": SOURCE + FLAGS + "mappings:" + HITS,
    "file": SOURCE + OUT + "mappings:" + LINES,
    "packed file": SOURCE + OUT.replace("out.jsonl", "out.jsonl.gz") + "mappings:" + LINES,
    "users and file": SOURCE + CRM + OUT + "mappings:" + PROFILES + LINES,
    "upload": SOURCE + LUMI.format("via: file") + "mappings:" + MODELS,
    "some inline, rest uploaded": SOURCE + LUMI.format("via: auto, inline_up_to: 4") + "mappings:" + MODELS,
    "inline": SOURCE + LUMI.format("via: inline") + "mappings:" + MODELS,
    "records that fail together": SOURCE + CRM + "errors: {scope: record}\nmappings:" + PROFILES + VISITS,
}  # fmt: skip
UNREPEATABLE = ("events without ids",)
FATES: dict[str, dict[str, str]] = {  # mapping → kind of row → fate, where it is not sent
    "profiles": {"old": FAILED, "skip": FILTERED, "big": LETTER, "badmail": LETTER, "gone": DROPPED,
                 "mismatch": LETTER, "refused": LETTER},
    "visits": {"skip": FILTERED, "big": LETTER, "badmail": LETTER, "gone": DROPPED, "mismatch": LETTER,
               "refused": LETTER},
    "orders": {"skip": FILTERED, "badmail": LETTER, "gone": DROPPED},
    "hits": {"old": FAILED, "skip": FILTERED, "badmail": LETTER},
    "views": {"skip": FILTERED, "badmail": LETTER},
    "lines": {"old": FAILED, "skip": FILTERED},
    "models": {"old": FAILED, "skip": FILTERED},
}  # fmt: skip
SEVERAL = ("visits", "hits")  # mappings with `each`


@cache
def base(shape: str) -> Pipeline:
    """A shape's pipeline as the file says it, with its place in memory."""
    loaded = parse(SHAPES[shape], "shop.yaml", Registry.builtin(), environ={"KEY": "simulated-key-0123456789"},
                   path=Place(HOME) / "shop.yaml")  # fmt: skip
    assert loaded.pipeline is not None, "\n".join(f.render() for f in loaded.findings)
    found = loaded.pipeline
    return replace(
        found, path=Place(HOME) / "shop.yaml", state=Place(HOME) / ".engine",
        dead_letters=replace(found.dead_letters, path=Place(HOME) / ".engine" / "dead" / "shop.jsonl"),
    )  # fmt: skip


@cache
def variant(shape: str, lanes: int, batch: int, order: str, paced: bool) -> Pipeline:
    """A shape's pipeline with other numbers."""
    found = base(shape)
    retry = Retry(initial=0.05, max=1.0, give_up_after=20.0)
    sinks = {
        name: spec if spec.type == "file" else replace(
            spec, batch=Batching(batch, MAX_BYTES if spec.type == "iterable" else None), retry=retry, timeout=5.0,
            rate_limit=None if paced else RateLimit(0),
        )
        for name, spec in found.sinks.items()
    }  # fmt: skip
    return replace(found, sinks=sinks, delivery=Delivery(lanes, order))


@cache
def mappings_of(shape: str) -> tuple[str, ...]:
    return tuple(base(shape).mappings)


@dataclass
class Data:
    """The source's files. Rows are numbered over all of them in the order of reading; a mapping is asked about each."""

    shape: str
    files: dict[str, list[int]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    positions: dict[str, list[Position]] = field(default_factory=dict)

    def add(self, file: str, rows: Iterator[Row] | list[Row]) -> None:
        """Rows are appended to a file."""
        places = self.positions.setdefault(file, [Position()])
        numbers = self.files.setdefault(file, [])
        for row in rows:
            n = len(self.rows)
            self.rows.append(row)
            self.texts.append(_text(n, row, self.shape))
            numbers.append(n)
            last = places[-1]
            text = self.texts[n]
            places.append(Position(last.row + 1, last.line + 1, last.offset + len(text), crc32(text, last.check)))

    def fate(self, mapping: str, n: int) -> str:
        """What must become of a row: `sent`, `letter`, `failed` (a letter of the mapping), `filtered`, `dropped`."""
        row = self.rows[n]
        if row.kind == "malformed":
            return LETTER
        fate = FATES[mapping].get(row.kind, SENT)
        if mapping in SEVERAL and row.things == 0:
            return FILTERED
        if mapping == "orders" and not _buys(n):
            return FILTERED
        if self.shape == "records that fail together" and row.kind == "old":
            return FAILED
        return fate

    def elements(self, mapping: str, n: int) -> range:
        """The numbers of the payloads that a row makes."""
        return range(self.rows[n].things) if mapping in SEVERAL else range(1)

    def key(self, n: int) -> str:
        return email(n, self.rows[n])

    def letters(self, mapping: str, n: int) -> list[str]:
        """The ids of the dead letters that a row may have in a mapping."""
        file, at = self.place(n)
        offset = self.positions[file][at].offset
        if self.rows[n].kind == "malformed":
            return [letter_id("shop", "customers", "", file, offset, -1)]
        fate = self.fate(mapping, n)
        if fate == FAILED:
            return [letter_id("shop", "customers", mapping, file, offset, -1)]
        numbers: Any = self.elements(mapping, n) if mapping in SEVERAL else (0,)
        return [letter_id("shop", "customers", mapping, file, offset, element) for element in numbers]

    def place(self, n: int) -> tuple[str, int]:
        for file, numbers in self.files.items():
            if n in numbers:
                return file, numbers.index(n)
        raise KeyError(n)


def email(n: int, row: Row) -> str:
    if row.kind == "badmail":
        return f"bad-{n}"
    return GONE.format(row.key) if row.kind == "gone" else f"k{row.key}@shop.test"


def _buys(n: int) -> bool:
    return n % 2 == 0


def _text(n: int, row: Row, shape: str) -> bytes:
    if row.kind == "malformed":
        return b'{"id": broken\n'
    said = {
        "id": f"r{n}", "n": n, "email": email(n, row), "age": "old" if row.kind == "old" else 20 + n % 9,
        "t": {"is": "no number"} if row.kind == "mismatch" else 1,
        "pad": "x" * MAX_BYTES if row.kind == "big" else "",
        "other": TAKEN if row.kind == "refused" else None, "event": "Banned" if row.kind == "refused" else "Seen",
        "things": list(range(row.things)), "buys": _buys(n), "skip": row.kind == "skip",
    }  # fmt: skip
    if row.kind == "badmail":
        said["email"] = "" if n % 2 or shape == "flagship" else email(n, row)
    return json.dumps(said).encode() + b"\n"


class MemorySource:
    """The files of `Data` as a source; `sizes` says how many rows the next micro-batch has."""

    def __init__(self, data: Data, sizes: Any) -> None:
        self._data, self._sizes = data, sizes

    def partitions(self) -> list[str]:
        return list(self._data.files)

    def columns(self, partition: str) -> None:
        return None

    def checksum(self, partition: str, offset: int) -> int | None:
        found = [p.check for p in self._data.positions.get(partition, ()) if p.offset == offset]
        return found[0] if found else None

    def read(self, partition: str, start: Position | None) -> Iterator[Rows]:
        places, numbers = self._data.positions[partition], self._data.files[partition]
        at = start.row if start else 0
        while at < len(numbers):
            size = min(self._sizes(), len(numbers) - at)
            yield self._rows(partition, places, numbers[at : at + size], at)
            at += size

    def _rows(self, file: str, places: list[Position], numbers: list[int], at: int) -> Rows:
        records, good, malformed = [], [], []
        for index, n in enumerate(numbers):
            if self._data.rows[n].kind == "malformed":
                malformed.append(Malformed(index, "bad-json", "no JSON", self._data.texts[n].decode()))
            else:
                records.append(msgspec.json.decode(self._data.texts[n]))
                good.append(index)

        def locate(row: int) -> tuple[int, int]:
            return places[at + row].line, places[at + row].offset

        return Rows(
            file, places[at], places[at + len(numbers)], None, records, locate, malformed, good if malformed else None
        )


def source_of(pipeline: Pipeline, data: Data, sizes: Any, mode: str) -> Pipeline:
    """The pipeline, reading from memory."""
    spec = SourceSpec("customers", "memory", {"data": data, "sizes": sizes}, "id", mode)
    return replace(pipeline, sources={"customers": spec})


REGISTRY = Registry.builtin().with_plugin("sources", "memory", MemorySource)
