"""From a checked file to what runs: plugins made, mappings compiled, limits decided. Findings are collected."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

from engine.config.pipeline import LookupSpec, MappingSpec, Pipeline, RateLimit, SinkSpec, SourceSpec
from engine.errors import InvalidPipeline
from engine.mapping.compiler import Context, Mapper, Valuer, compile_mapping, compile_value
from engine.model import Problem, Rows
from engine.plugin import Action, Conversation, Source, Vendor, Writer
from engine.registry import Registry
from engine.runtime.addresses import address_problems
from engine.runtime.counts import SinkCounts
from engine.runtime.keys import Shapes, common_shapes, header_problems, key_problems, shapes_of
from engine.runtime.lanes import Lanes
from engine.runtime.lookups import LookupPlan, parameter_problems
from engine.runtime.payloads import Check
from engine.runtime.rate import Bucket
from engine.runtime.readers import ReaderSource
from engine.runtime.sinks import SinkAction, VendorSink, WriterSink
from engine.runtime.spool import Spool
from engine.runtime.unfit import bad_setting

DEFAULT_CONCURRENCY = 4
DEFAULT_TIMEOUT = 30.0  # seconds for a whole exchange
DEFAULT_MAX_BYTES = 4_000_000
DEFAULT_LINGER = 5.0  # seconds that a batch may wait to be full
WRITER_BATCH = 1000


@dataclass(slots=True)
class MappingPlan:
    """A mapping with its sink; compiled once per set of columns."""

    spec: MappingSpec
    sink: VendorSink | WriterSink
    action: SinkAction
    context: Context
    _mappers: dict[tuple[str, ...] | None, Mapper] = field(default_factory=dict)
    _valuers: dict[tuple[str, ...] | None, Valuer] = field(default_factory=dict)

    @property
    def extras(self) -> dict[str, Any]:
        """What is computed beside payloads: parameters of the action, or the path that a writer is to write to."""
        template = getattr(self.sink.writer, "template", None) if isinstance(self.sink, WriterSink) else None
        return dict(self.spec.parameters) if template is None else {"path": template}

    @property
    def _beside(self) -> Context:
        """What expressions of `extras` see: a sink's path is no place to ask lookups."""
        return replace(self.context, lookups=frozenset()) if isinstance(self.sink, WriterSink) else self.context

    def parameters(self, rows: Rows, records: list[int], values: Mapping[str, Sequence[Any]]) -> list[Any]:
        """What the action takes beside its payloads: a map, or a `Failure`, for each of these records."""
        valuer = self._valuers.get(rows.columns)
        if valuer is None:
            path = ("mappings", self.spec.name)
            valuer, problems = compile_value(self.extras, path, context=self._beside, columns=rows.columns)
            if valuer is None:
                raise InvalidPipeline(f"mapping {self.spec.name}: {'; '.join(p.message for p in problems)}")
            self._valuers[rows.columns] = valuer
        return valuer(rows, records, values)

    @property
    def needs_lookups(self) -> frozenset[str]:
        """The lookups it names, as far as it is compiled."""
        return frozenset().union(*(mapper.needs_lookups for mapper in self._mappers.values()))

    def mapper(self, columns: tuple[str, ...] | None) -> Mapper:
        """The compiled mapping for rows of this shape; raises `InvalidPipeline` where they lack a column."""
        found = self._mappers.get(columns)
        if found is None:
            found, problems = compile_mapping(self.spec, context=self.context, columns=columns)
            if found is None or any(not p.warning for p in problems):
                words = "; ".join(f"{p.message}{f'; {p.hint}' if p.hint else ''}" for p in problems)
                raise InvalidPipeline(f"mapping {self.spec.name}: {words}")
            self._mappers[columns] = found
        return found


@dataclass(slots=True)
class SourcePlan:
    spec: SourceSpec
    source: Source

    def key(self, rows: Rows, record: int) -> Any:
        """The record's identity, if the source names a key and the record has it."""
        name = self.spec.key
        if name is None:
            return None
        cells = rows.records[record]
        if rows.columns is None:
            return cells.get(name)
        return cells[rows.columns.index(name)] if name in rows.columns else None

    def keys(self, rows: Rows, records: Sequence[int]) -> list[Any]:
        """`key` of each of these records."""
        if self.spec.key is not None and rows.columns is not None and self.spec.key in rows.columns:
            column, cells = rows.columns.index(self.spec.key), rows.records
            return [cells[record][column] for record in records]
        if self.spec.key is not None and rows.columns is None:
            name, objects = self.spec.key, rows.records
            return [objects[record].get(name) for record in records]
        return [self.key(rows, record) for record in records]

    def identity(self, rows: Rows, record: int) -> str:
        """The record's key as text; without one, its file and line."""
        key = self.key(rows, record)
        if key is not None:
            return f"k\0{key}"
        return f"l\0{rows.file}\0{rows.locate(rows.row(record))[0]}"


@dataclass(slots=True)
class Plan:
    pipeline: Pipeline
    sources: dict[str, SourcePlan]
    sinks: dict[str, VendorSink | WriterSink]
    mappings: dict[str, MappingPlan]
    lookups: dict[str, LookupPlan]

    def lookups_of(self, source: str) -> list[LookupPlan]:
        """Those that the source's mappings use, and those that these use, in file order."""
        used: set[str] = set().union(*(m.needs_lookups for m in self.of_source(source)))
        for plan in reversed(list(self.lookups.values())):
            if plan.name in used:
                used |= {name for name in self.lookups if name in repr(plan.spec.parameters)}
        return [plan for name, plan in self.lookups.items() if name in used]

    def of_source(self, name: str) -> list[MappingPlan]:
        return [m for m in self.mappings.values() if m.spec.source == name]


def stable_id(pipeline: str, source: str, mapping: str, identity: str, element: int) -> str:
    """The id that events and purchases are given: 32 hex digits that survive edits of the mapping."""
    text = "\0".join((pipeline, source, mapping, identity, str(element)))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def build(
    pipeline: Pipeline, registry: Registry, run: Mapping[str, Any], broken: Collection[tuple[str, str]] = (),
) -> tuple[Plan | None, list[Problem]]:  # fmt: skip
    """The plan, or None and what is wrong. `run` is what expressions see as `run`.

    `broken` are parts (kind, name) of a draft that cannot be made; the expressions of all mappings are judged.
    """
    problems: list[Problem] = list(address_problems(pipeline))
    sources = {
        n: q for n, s in pipeline.sources.items()
        if ("sources", n) not in broken and (q := _source(s, pipeline, registry, problems))
    }  # fmt: skip
    for plan in sources.values():
        problems += header_problems(plan.spec, plan.source) or key_problems(plan.spec, shapes_of(plan.source))
    buckets: dict[tuple[str, str], Bucket] = {}
    sinks = {n: p for n, s in pipeline.sinks.items() if (p := _sink(s, pipeline, registry, buckets, problems))}
    lookups = {
        n: k for n, s in pipeline.lookups.items()
        if ("lookups", n) not in broken and (k := _lookup(s, pipeline, registry, buckets, run, problems))
    }  # fmt: skip
    mappings = {}
    for name, spec in pipeline.mappings.items():
        context = _context(spec, pipeline, registry, run)
        if spec.sink in sinks and spec.source in sources:
            sink = sinks[spec.sink]
            mappings[name] = MappingPlan(spec, sink, sink.actions[spec.action], context)
            problems += _check_mapping(mappings[name], sources[spec.source], lookups)
        else:
            problems += _check_expressions(spec, context, sources.get(spec.source), lookups)
    only = common_shapes([plan.source for plan in sources.values()], len(pipeline.sources))
    problems += _check_unasked(lookups, problems, only)
    for name, asked in ((n, s.parameters) for n, s in pipeline.lookups.items() if ("lookups", n) in broken):
        problems += parameter_problems(name, asked, _asking(pipeline, registry, run), only)
    if any(not problem.warning for problem in problems):
        return None, problems
    return Plan(pipeline, sources, sinks, mappings, lookups), problems


def _context(spec: MappingSpec, pipeline: Pipeline, registry: Registry, run: Mapping[str, Any]) -> Context:
    return Context(
        pipeline=pipeline.name, source=spec.source, source_key=_key_of(pipeline.sources.get(spec.source)),
        lookups=frozenset(pipeline.lookups), vars=pipeline.vars, run=run, filters=registry.filters,
    )  # fmt: skip


def _asking(pipeline: Pipeline, registry: Registry, run: Mapping[str, Any]) -> Context:
    """What the parameters of lookups can see."""
    return Context(
        pipeline=pipeline.name, source="", lookups=frozenset(pipeline.lookups), vars=pipeline.vars, run=run,
        filters=registry.filters,
    )  # fmt: skip


def _key_of(source: SourceSpec | None) -> str | None:
    return None if source is None else source.key


def _check_expressions(
    spec: MappingSpec, context: Context, source: SourcePlan | None, lookups: Mapping[str, LookupPlan]
) -> list[Problem]:
    """Problems of the expressions of a mapping that has no sink, or no source, to be planned with."""
    seen: dict[tuple[Any, ...], Problem] = {}
    for columns in [None] if source is None else shapes_of(source.source):
        mapper, problems = compile_mapping(spec, context=context, columns=columns)
        for name in set() if mapper is None else mapper.needs_lookups & set(lookups):
            problems += lookups[name].compile(columns)[1]
        seen.update({(p.path, p.at, p.code): p for p in problems})
    return list(seen.values())


def _check_unasked(lookups: Mapping[str, LookupPlan], problems: list[Problem], shapes: Shapes) -> list[Problem]:
    """Problems of lookups that no mapping without mistakes asks for; `shapes` are those of every record."""
    judged = {problem.path[:2] for problem in problems}
    asked = {name for name, plan in lookups.items() if plan.compiled or ("lookups", name) in judged}
    unasked = [plan for name, plan in lookups.items() if name not in asked]
    return [problem for plan in unasked for columns in shapes for problem in plan.compile(columns)[1]]


def _check_mapping(plan: MappingPlan, source: SourcePlan, lookups: Mapping[str, LookupPlan]) -> list[Problem]:
    """Problems of the mapping's expressions, for every shape of rows that its source is known to have."""
    seen: dict[tuple[Any, ...], Problem] = {}
    for columns in shapes_of(source.source):
        mapper, problems = compile_mapping(plan.spec, context=plan.context, columns=columns)
        if mapper is not None:
            plan._mappers[columns] = mapper
        problems += _check_parameters(plan, columns)
        for name in plan.needs_lookups & set(lookups):
            problems += lookups[name].compile(columns)[1]
        seen.update({(p.path, p.at, p.code): p for p in problems})
    return list(seen.values())


def _check_parameters(plan: MappingPlan, columns: tuple[str, ...] | None) -> list[Problem]:
    """May the action have what the mapping gives it beside payloads, and has it what it needs? Is the path right?"""
    path = ("mappings", plan.spec.name)
    try:
        if isinstance(plan.sink, VendorSink):
            plan.sink.vendor.expects(plan.action.name, plan.spec.parameters.keys())
    except InvalidPipeline as error:
        return [Problem("missing-setting", str(error), path, on_key=True)]
    if isinstance(plan.sink, WriterSink) and "path" in plan.extras:
        place = ("sinks", plan.sink.name, "path")
        return compile_value(plan.extras["path"], place, context=plan._beside, columns=columns)[1]
    if not plan.spec.parameters:
        return []
    taken = inspect.signature(plan.action.method).parameters
    found = [
        Problem("unknown-key", f"{plan.sink.name}.{plan.action.name} takes no {word}", (*path, word), on_key=True)
        for word in plan.spec.parameters
        if word not in taken
    ]
    tree = dict(plan.spec.parameters)
    return found or compile_value(tree, path, context=plan.context, columns=columns)[1]


# --- plugins -----------------------------------------------------------------------------------------


def make(plugin: Callable[..., Any], settings: Mapping[str, Any], folder: Path, **offered: Any) -> Any:
    """An instance of a plugin. `base`, the pipeline's folder, and what is `offered` go to constructors that ask."""
    known = inspect.signature(plugin).parameters
    offered["base"] = str(folder)
    extra = {name: value for name, value in offered.items() if name in known and name not in settings}
    own = {name: value for name, value in settings.items() if name != "insecure" or name in known}
    return plugin(**own, **extra)


def _source(spec: SourceSpec, pipeline: Pipeline, registry: Registry, problems: list[Problem]) -> SourcePlan | None:
    try:
        plugin = registry.load("sources", spec.type)
        if isinstance(plugin, type) and issubclass(plugin, Vendor):
            return SourcePlan(spec, _reader(spec, plugin, pipeline, registry))
        return SourcePlan(spec, make(plugin, spec.settings, pipeline.path.parent, mode=spec.mode))
    except InvalidPipeline as error:
        problems.append(bad_setting(error, "sources", spec))
        return None


def _reader(spec: SourceSpec, plugin: type[Vendor], pipeline: Pipeline, registry: Registry) -> ReaderSource:
    """Settings that the vendor's constructor does not take are the reader's."""
    known = inspect.signature(plugin).parameters
    vendor: Vendor = plugin(**{name: value for name, value in spec.settings.items() if name in known})
    own = {name: value for name, value in spec.settings.items() if name not in known}
    folder = pipeline.state / "fetched" / pipeline.name / spec.name
    return ReaderSource(
        spec.name, vendor, plugin.readers()[spec.type], own, folder, pipeline.path.parent,
        registry.load("sources", "file"),
    )  # fmt: skip


def _sink(
    spec: SinkSpec, pipeline: Pipeline, registry: Registry, buckets: dict[tuple[str, str], Bucket],
    problems: list[Problem],
) -> VendorSink | WriterSink | None:  # fmt: skip
    try:
        plugin = make(registry.load("sinks", spec.type), spec.settings, pipeline.path.parent)
    except InvalidPipeline as error:
        problems.append(bad_setting(error, "sinks", spec))
        return None
    schema = registry.schema("sinks", spec.type)
    if isinstance(plugin, Vendor):
        return _vendor_sink(spec, pipeline, plugin, schema, buckets)
    return _writer_sink(spec, plugin, schema)


def _lookup(
    spec: LookupSpec, pipeline: Pipeline, registry: Registry, buckets: dict[tuple[str, str], Bucket],
    run: Mapping[str, Any], problems: list[Problem],
) -> LookupPlan | None:  # fmt: skip
    try:
        vendor: Vendor = make(registry.load("lookups", spec.type), spec.settings, pipeline.path.parent)
    except InvalidPipeline as error:
        problems.append(bad_setting(error, "lookups", spec))
        return None
    lookup = vendor.lookups()[spec.type.rpartition(".")[2]]
    limit = spec.rate_limit
    rate = lookup.rate if limit is None else (limit.requests / limit.per if limit.requests else None)
    bucket = buckets.setdefault((spec.account, f"lookup {lookup.name}"), Bucket(rate, (limit and limit.burst) or 1))
    context = _asking(pipeline, registry, run)
    schema = registry.schema("lookups", spec.type)
    return LookupPlan(
        spec.name, spec, vendor, lookup, Check(payload_schema(schema, "with")), bucket, context, SinkCounts(),
        spec.retry, spec.timeout or lookup.timeout or DEFAULT_TIMEOUT,
    )  # fmt: skip


def _vendor_sink(
    spec: SinkSpec, pipeline: Pipeline, vendor: Vendor, schema: dict[str, Any], buckets: dict[tuple[str, str], Bucket]
) -> VendorSink:
    order = spec.order or pipeline.delivery.order or vendor.order
    concurrency = spec.concurrency or pipeline.delivery.concurrency or DEFAULT_CONCURRENCY
    used = {m.action for m in pipeline.mappings.values() if m.sink == spec.name}
    actions = {
        name: _vendor_action(spec, vendor, action, schema, buckets)
        for name, action in vendor.actions().items()
        if name in used
    }
    return VendorSink(
        spec.name, vendor, actions, Lanes(concurrency, order), SinkCounts(), spec.retry,
        spec.timeout or DEFAULT_TIMEOUT, DEFAULT_LINGER if spec.batch.max_wait is None else spec.batch.max_wait,
        None if vendor.inline is None else _spool(spec, pipeline, vendor.inline),
    )  # fmt: skip


def _spool(spec: SinkSpec, pipeline: Pipeline, inline: int) -> Spool:
    return Spool(spec.name, pipeline.state / "spool" / pipeline.name / spec.name, inline, pipeline.name)


def _vendor_action(
    spec: SinkSpec, vendor: Vendor, action: Action, schema: dict[str, Any], buckets: dict[tuple[str, str], Bucket]
) -> SinkAction:
    bucket = buckets.setdefault((spec.account, action.name), _bucket(spec.rate_limit, action))
    return SinkAction(
        name=action.name,
        check=Check(payload_schema(schema, action.name)),
        max_records=min(spec.batch.max_records or action.usual_records or action.max_records, action.max_records),
        max_bytes=min(
            spec.batch.max_bytes or action.usual_bytes or DEFAULT_MAX_BYTES, action.max_bytes or DEFAULT_MAX_BYTES
        ),
        bucket=bucket,
        method=action.method.__get__(vendor),
        key=action.key,
        group=action.group,
        mend=getattr(vendor, action.mend) if action.mend else None,
        prepare=getattr(vendor, action.prepare) if action.prepare else None,
        repeatable=action.repeatable,
        stable_id=action.stable_id if getattr(vendor, "stable_ids", True) else None,
    )


def _bucket(limit: RateLimit | None, action: Action) -> Bucket:
    if limit is None:
        return Bucket(action.rate)
    return Bucket(limit.requests / limit.per if limit.requests else None, limit.burst or 1)


def _writer_sink(spec: SinkSpec, writer: Writer, schema: dict[str, Any]) -> WriterSink:
    actions = {
        name: SinkAction(name, Check(payload_schema(schema, name)), WRITER_BATCH, 1 << 62, Bucket(None), _no_talk)
        for name in schema["$defs"]
    }
    return WriterSink(spec.name, writer, actions, SinkCounts())


def _no_talk(*_: Any) -> Conversation:
    """A writer holds no conversations."""
    yield from ()
    return None


def payload_schema(schema: dict[str, Any], action: str) -> dict[str, Any]:
    """The schema of an action's payload, with the definitions that it may refer to."""
    payload: dict[str, Any] = schema["$defs"][action]
    return {**payload, "$defs": schema["$defs"]} if "$ref" in repr(payload) else payload
