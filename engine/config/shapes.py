"""The JSON Schemas of pipeline files: the base, the parts' own, and the one composed for editors."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any, Protocol

from engine.config.nodes import Node, Path
from engine.config.references import BadSchema, Schema, inline, step_into

KINDS = {"sources": "source", "lookups": "lookup", "sinks": "sink"}


class Catalog(Protocol):
    """What exists, by kind: `engine.registry.Registry` is one."""

    def names(self, kind: str) -> list[str]: ...

    def schema(self, kind: str, name: str) -> dict[str, Any]: ...


@cache
def pipeline_schema() -> Schema:
    """`schemas/pipeline.json` as it is in the package."""
    schema: Schema = json.loads(files("engine.schemas").joinpath("pipeline.json").read_text("utf-8"))
    return schema


@cache
def base_schema() -> Schema:
    """The schema of a file without its parts, free of references."""
    schema: Schema = inline(pipeline_schema(), pipeline_schema())
    del schema["$defs"]
    for kind in (*KINDS, "connections"):
        schema["properties"][kind]["additionalProperties"] = {"type": "object"}
    return schema


@cache
def common(kind: str) -> Schema:
    """The schema of what all parts of a kind (`sources`, `lookups`, `sinks`) take; open."""
    name = KINDS[kind]
    schema: Schema = inline(pipeline_schema()["$defs"][name], pipeline_schema())
    return schema


class Shapes:
    """The schemas of one registry, composed when first asked for."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._parts: dict[tuple[str, str], Schema] = {}
        self._accounts: dict[str, Schema] = {}
        self._untyped: Schema = {"required": ["type"], "properties": {"type": {"type": "string"}}}
        self.validators: dict[int, Any] = {}
        """Compiled validators of the schemas that are kept here."""

    def part(self, kind: str, name: str) -> Schema:
        """The closed schema of a part: what all of its kind take, and its own settings."""
        if (kind, name) not in self._parts:
            self._parts[kind, name] = self._compose(kind, name)
        return self._parts[kind, name]

    def is_usable(self, kind: str, name: str) -> bool:
        """Can the schema that a part brings be used at all?"""
        try:
            self.part(kind, name)
        except BadSchema:
            return False
        return True

    def _compose(self, kind: str, name: str) -> Schema:
        own, shared = self._own(kind, name), common(kind)
        settings = {word: value for word, value in own.items() if word not in ("$defs", "$schema", "$id")}
        schema: Schema = inline(settings, own)
        schema["type"] = "object"
        schema["properties"] = {**schema.get("properties", {}), **shared["properties"]}
        schema["required"] = [*shared["required"], *schema.get("required", [])]
        schema["additionalProperties"] = False
        return schema

    def _own(self, kind: str, name: str) -> Schema:
        """The schema that a part brings; raises `BadSchema`, whatever a stranger's plugin does."""
        try:
            own = self.catalog.schema(kind, name)
        except Exception as error:
            raise BadSchema(f"it cannot be loaded ({type(error).__name__})") from error
        if not isinstance(own, dict) or not all(
            isinstance(own.get(word, {}), dict) for word in ("properties", "$defs")
        ):
            raise BadSchema("it is no JSON Schema of an object")
        return own

    def payloads(self, kind: str, name: str) -> dict[str, Schema]:
        """For a sink, the payload schema of each action; for a lookup, that of `with`."""
        own = self._own(kind, name)
        return {action: inline(schema, own) for action, schema in own.get("$defs", {}).items()}

    def actions(self, name: str) -> list[str]:
        """The actions of a sink, in their schema's order."""
        return list(self._own("sinks", name).get("$defs", {}))

    def connection(self, name: str) -> Schema:
        """The closed schema of a vendor's account: the settings of every part of that vendor, none required."""
        if name not in self._accounts:
            self._accounts[name] = self._account(name)
        return self._accounts[name]

    def _account(self, name: str) -> Schema:
        parts = self.parts_of(name)
        if not parts:
            return {}
        properties: Schema = {}
        for kind, part in parts:
            own = {word for word in _NO_ACCOUNT if word in common(kind)["properties"]}
            taken = self.part(kind, part)["properties"].items()
            properties |= {word: rule for word, rule in taken if word not in own}
        return {"type": "object", "properties": properties, "required": ["type"], "additionalProperties": False}

    def parts_of(self, vendor: str) -> list[tuple[str, str]]:
        """Kind and name of every part of a vendor: `flagship`, `flagship.decide`, `lumidatum_report`."""
        names = ((kind, name) for kind in KINDS for name in self.catalog.names(kind) if is_of(name, vendor))
        return [(kind, name) for kind, name in names if name not in _ACCOUNTLESS and self.is_usable(kind, name)]

    def vendors(self) -> list[str]:
        """Whose accounts a connection can be."""
        names = {name.partition(".")[0] for kind in KINDS for name in self.catalog.names(kind)}
        whole = {name for name in names if not any(is_of(name, other) for other in names - {name})}
        return sorted(name for name in whole if self.parts_of(name))

    def at(self, root: Node, path: Path) -> Schema:
        """The schema of the value at a path of a file; an empty one where nothing is said."""
        schema: Schema = base_schema()
        if path and (path[0] in KINDS or path[0] == "connections") and len(path) >= 2:
            schema = self.of_part(root, str(path[0]), str(path[1]))
            path = path[2:]
        for step in path:
            schema = step_into(schema, step)
        return schema

    def of_part(self, root: Node, kind: str, name: str) -> Schema:
        """The schema of a part (or connection) as its `type` says; what all share where that does not exist."""
        node = root.get(kind, name, "type")
        word = node.value if node else None
        try:
            if kind == "connections":
                return self.connection(word) if isinstance(word, str) else self._untyped
            if isinstance(word, str) and word in self.catalog.names(kind):
                return self.part(kind, word)
        except BadSchema:
            pass
        return common(kind) if kind in KINDS else self._untyped

    def is_template(self, root: Node, path: Path) -> bool:
        """Is the value at this path read as an expression?"""
        if not path:
            return False
        if path[0] == "mappings":
            return len(path) > 2 and path[2] in ("fields", "when", "each", "key", "let", "model_id")
        if path[0] in KINDS and len(path) > 2:
            schema = step_into(self.of_part(root, str(path[0]), str(path[1])), path[2])
            return bool(schema.get("x-expression"))
        return False


_ACCOUNTLESS = ("file", "stdout", "discard")
_NO_ACCOUNT = ("connection", "with", "key", "mode")  # where parts share them; a vendor's own `mode` is an account's


def is_of(part: str, vendor: str) -> bool:
    """Does a part belong to a vendor?"""
    return part == vendor or part.startswith((vendor + ".", vendor + "_"))
