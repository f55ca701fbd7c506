"""From a checked tree to a `Pipeline`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from engine.config.nodes import Node
from engine.config.pipeline import (
    Batching,
    DeadLetters,
    Delivery,
    Errors,
    LookupSpec,
    MappingSpec,
    Pipeline,
    RateLimit,
    Retry,
    SinkSpec,
    SourceSpec,
)
from engine.config.references import Schema
from engine.config.semantics import target_of
from engine.config.settings import Conversion
from engine.config.shapes import Shapes, base_schema, common

PARAMETERS = ("model_id",)
"""What a mapping may say of its payloads to some actions, beside their fields."""

_SHARED = {kind: frozenset(common_words) for kind, common_words in (
    ("sources", ("type", "connection", "key", "mode")),
    ("lookups", ("type", "connection", "with", "concurrency", "rate_limit", "timeout", "retry", "cache", "on_error",
                 "insecure")),
    ("sinks", ("type", "connection", "batch", "rate_limit", "concurrency", "order", "timeout", "retry", "insecure")),
)}  # fmt: skip


MANY = 1 << 31  # payloads: the vendor's own limit is lower


class Builder:
    """Builds the pipeline of a tree without errors; the conversion collects what units cannot be read."""

    def __init__(self, root: Node, path: Path, shapes: Shapes) -> None:
        self.root, self.path, self.shapes = root, path, shapes
        self.conversion = Conversion(path.parent)

    def pipeline(self) -> Pipeline:
        """The whole pipeline."""
        name = str(self._word("name", ""))
        folder = self.path.parent
        state = self._word("state", {}).get("path")
        letters = self._word("dead_letters", {})
        return Pipeline(
            name=name,
            path=self.path,
            sources={name: self.source(name) for name in self._names("sources")},
            sinks={name: self.sink(name) for name in self._names("sinks")},
            mappings={name: self.mapping(name) for name in self._names("mappings")},
            dead_letters=_dead_letters(letters, folder / ".engine" / "dead" / f"{name}.jsonl"),
            state=Path(state) if state else folder / ".engine",
            lookups={name: self.lookup(name) for name in self._names("lookups")},
            vars=self._word("vars", {}),
            delivery=Delivery(**self._word("delivery", {})),
            errors=Errors(**self._word("errors", {})),
            tests=tuple(self._word("tests", ())),
            description=str(self._word("description", "")),
        )

    def _names(self, kind: str) -> list[str]:
        node = self.root.get(kind)
        return list(node.entries) if node else []

    def _word(self, name: str, default: Any) -> Any:
        node = self.root.get(name)
        if node is None:
            return default
        value = self.conversion.value(node, base_schema()["properties"][name], (name,))
        return default if value is None else value

    def _part(self, kind: str, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What all parts of the kind take, and the part's own settings."""
        node = self.root.get(kind, name)
        schema: Schema = self.shapes.of_part(self.root, kind, name)
        values = self.conversion.value(node, schema, (kind, name)) if node else {}
        shared = {word: value for word, value in values.items() if word in _SHARED[kind]}
        own = {word: value for word, value in values.items() if word not in shared}
        if "insecure" in shared:  # judged beside the addresses
            own["insecure"] = shared.pop("insecure")
        return shared, own

    def source(self, name: str) -> SourceSpec:
        """One source; its node must have the right shape, as with lookups and sinks."""
        shared, settings = self._part("sources", name)
        return SourceSpec(name, shared["type"], settings, shared.get("key"), shared.get("mode", "full"))

    def lookup(self, name: str) -> LookupSpec:
        """One lookup."""
        shared, settings = self._part("lookups", name)
        rate, cache = shared.get("rate_limit"), shared.get("cache", {})
        return LookupSpec(
            name=name,
            type=shared["type"],
            settings=settings,
            parameters=shared.get("with", {}),
            account=shared.get("connection", name),
            concurrency=shared.get("concurrency"),
            rate_limit=RateLimit(**rate) if rate else None,
            timeout=shared.get("timeout"),
            retry=Retry(**shared.get("retry", {})),
            on_error=shared.get("on_error", "reject") or "null",
            **{f"cache_{word}": value for word, value in cache.items()},
        )

    def sink(self, name: str) -> SinkSpec:
        """One sink."""
        shared, settings = self._part("sinks", name)
        rate = shared.get("rate_limit")
        return SinkSpec(
            name=name,
            type=shared["type"],
            settings=settings,
            account=shared.get("connection", name),
            batch=_batching(shared.get("batch", {})),
            rate_limit=RateLimit(**rate) if rate else None,
            concurrency=shared.get("concurrency"),
            order=shared.get("order"),
            timeout=shared.get("timeout"),
            retry=Retry(**shared.get("retry", {})),
        )

    def mapping(self, name: str) -> MappingSpec:
        """One mapping; where its target is unknown, sink and action are empty."""
        node = self.root.get("mappings", name)
        assert node is not None
        target, _ = target_of(self.root, node, ("mappings", name), self.shapes)
        sink, _, action = target or ("", "", "")
        words = {
            word: self.conversion.value(child, {"x-expression": True}, ("mappings", name, word))
            for word in ("fields", "when", "each", "key", "let")
            if (child := node.get(word)) is not None
        }
        words["parameters"] = {
            word: self.conversion.value(child, {"x-expression": True}, ("mappings", name, word))
            for word in PARAMETERS
            if (child := node.get(word)) is not None
        }
        source = node.get("from")
        return MappingSpec(name, source.value if source else "", sink, action, words.pop("fields", None), **words)


def _batching(said: Any) -> Batching:
    """`true`: as many payloads as the vendor takes, whatever is usual."""
    if isinstance(said, bool):
        return Batching(max_records=MANY) if said else Batching()
    return Batching(**said)


def _dead_letters(settings: Mapping[str, Any], default: Path) -> DeadLetters:
    lists = {word: tuple(settings[word]) for word in ("include", "redact") if word in settings}
    return DeadLetters(Path(settings["path"]) if "path" in settings else default, **lists)


def shared_settings() -> dict[str, tuple[set[str], set[str]]]:
    """For the test that marries them: by kind, the words the schema shares and those that specs take apart."""
    return {kind: (set(common(kind)["properties"]), set(words)) for kind, words in _SHARED.items()}


def spec_fields(spec: type) -> set[str]:
    return {field.name for field in fields(spec)}
