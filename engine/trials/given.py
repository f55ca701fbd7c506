"""What stands in for the world in a trial: sources that give records, lookups that give values, sinks that keep."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from engine.config.pipeline import DeadLetters, LookupSpec, Pipeline, SourceSpec
from engine.errors import InvalidPipeline
from engine.model import Payloads, Position, Rows
from engine.plugin import Lookup, Question, Vendor
from engine.registry import Registry

BATCH = 200  # records in a micro-batch, as sources give them


@dataclass(frozen=True)
class Case:
    """What a trial is given. `records` are by source; a list in `lookups` is one value per record, in order."""

    records: Mapping[str, Sequence[Mapping[str, Any]]]
    lookups: Mapping[str, Any] = field(default_factory=dict)
    vars: Mapping[str, Any] = field(default_factory=dict)
    vendor: Sequence[Mapping[str, Any]] = ()  # answers, as `engine.trials.vendors` reads them


class GivenSource:
    """Records from the file that names them. A record's `line` is its number, from 1."""

    def __init__(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        self._name, self._records = name, list(records)

    def partitions(self) -> list[str]:
        return [f"given.{self._name}"]

    def columns(self, partition: str) -> None:
        return None

    def checksum(self, partition: str, offset: int) -> int:
        return 0

    def read(self, partition: str, start: Position | None) -> Iterator[Rows]:
        for first in range(start.row if start else 0, len(self._records), BATCH):
            some = [dict(record) for record in self._records[first : first + BATCH]]
            yield Rows(partition, _at(first), _at(first + len(some)), None, some, partial(_place, first))


def _place(first: int, row: int) -> tuple[int, int]:
    return first + row + 1, first + row


def _at(row: int) -> Position:
    return Position(row, row + 1, row)


class Keeping:
    """A file sink that keeps nothing: what it would write is seen on the way in."""

    transactional = False

    def __init__(self, **settings: Any) -> None: ...

    def open(self, state: Any) -> None: ...

    def write(self, payloads: Payloads) -> None: ...

    def sync(self) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


def arranged(pipeline: Pipeline, registry: Registry, case: Case, folder: Path) -> tuple[Pipeline, Registry]:
    """The pipeline as a trial runs it, and a registry that has what it needs. `folder` is for its state."""
    registry = registry.with_plugin("sources", "given", GivenSource)
    for kind in {spec.type for spec in pipeline.sinks.values()}:
        plugin = registry.load("sinks", kind)
        if not (isinstance(plugin, type) and issubclass(plugin, Vendor)):
            registry = registry.with_plugin("sinks", kind, _keeping(registry.schema("sinks", kind)))
    lookups = dict(pipeline.lookups)
    for name, values in case.lookups.items():
        spec = pipeline.lookups[name]
        registry = registry.with_plugin("lookups", f"given.{name}", _answering(name, values, spec, registry))
        lookups[name] = _by_hand(spec)
    sources = {
        name: SourceSpec(name, "given", {"name": name, "records": case.records.get(name, ())}, spec.key)
        for name, spec in pipeline.sources.items()
    }
    sinks = {
        name: spec if _is_vendor(registry, spec.type) else replace(spec, settings={})
        for name, spec in pipeline.sinks.items()
    }
    changed = replace(
        pipeline, sources=sources, sinks=sinks, lookups=lookups, vars={**pipeline.vars, **case.vars}, state=folder,
        dead_letters=DeadLetters(folder / "dead.jsonl"),
    )  # fmt: skip
    return changed, registry


def _is_vendor(registry: Registry, kind: str) -> bool:
    plugin = registry.load("sinks", kind)
    return isinstance(plugin, type) and issubclass(plugin, Vendor)


def _keeping(own: dict[str, Any]) -> type[Keeping]:
    return type("Kept", (Keeping,), {"schema": own})


def _by_hand(spec: LookupSpec) -> LookupSpec:
    """The lookup with its own parameters, which must still be computed, and the number of the record beside them."""
    parameters = {"asked": dict(spec.parameters), "line": "{{ meta.line }}"}
    return replace(spec, type=f"given.{spec.name}", settings={}, parameters=parameters)


def _answering(name: str, values: Any, spec: LookupSpec, registry: Registry) -> type[Vendor]:
    """A lookup that gives these values; its parameters are checked as ever."""
    own = registry.schema("lookups", spec.type).get("$defs", {})
    asked = {"type": "object", "properties": {"asked": {"$ref": "#/$defs/asked"}}}
    shape = {"$defs": {**own, "asked": own.get("with", {}), "with": asked}}

    class Given(Vendor):
        schema = shape
        base_url = ""

        @classmethod
        def lookups(cls) -> dict[str, Lookup]:
            return {name: Lookup(name, cls.ask, "", at_once="value")}

        def value(self, asked: Any, line: int) -> Any:
            """The value for a record."""
            if not isinstance(values, list):
                return values
            if line > len(values):
                raise InvalidPipeline(f"lookups.{name} lists {len(values)} values, and there is a record {line}")
            return values[line - 1]

        def ask(self, asked: Any, line: int) -> Question:
            """The same, for records that had to wait."""
            yield from ()
            return self.value(asked, line)

    return Given


def decoded(body: bytes) -> Any:
    """JSON as it goes over the wire, integers of any length exact; text where it is no JSON."""
    try:
        return json.loads(body) if body else None
    except (ValueError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")
