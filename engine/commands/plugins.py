"""`engine plugins` and `engine schema`: what exists, and its shapes."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from engine.commands.reference import explained, markdown
from engine.config.editors import composed_schema
from engine.console import json_text, several, stdout
from engine.errors import InvalidPipeline
from engine.explanations import words
from engine.registry import FILTERS, KINDS, Registry


def show(name: str | None, as_json: bool, page: bool = False) -> int:
    """Lists what exists, says of one thing all there is to say, or gives the page of all built-in things."""
    if page:
        stdout(markdown(Registry.builtin()))
        return 0
    registry = Registry.installed()
    if name is None:
        found = {kind: registry.names(kind) for kind in (*KINDS, *([FILTERS] if registry.filters else []))}
        _out(found, as_json, "\n".join(f"{kind:<8} {', '.join(names) or '-'}" for kind, names in found.items()))
        return 0
    parts: list[Mapping[str, Any]] = [
        describe(registry, kind, name) for kind in KINDS if name in registry.names(kind)
    ]
    parts = parts or [explained(found[name]) for found in words().values() if name in found]
    if name in registry.filters:
        parts.append(_filter(name, registry.filters[name]))
    if not parts:
        raise InvalidPipeline(_no_such(registry, name))
    for part in parts:
        _out(part, as_json, _text(part))
    return 0


def describe(registry: Registry, kind: str, name: str) -> dict[str, Any]:
    """A part's settings and, for a sink, its actions with their limits."""
    schema = registry.schema(kind, name)
    found: dict[str, Any] = {"kind": kind, "type": name, "title": schema.get("title", ""), "settings": {}}
    for setting, shape in schema.get("properties", {}).items():
        facts = {key: shape[key] for key in ("description", "default", "enum") if key in shape}
        found["settings"][setting] = {"required": setting in schema.get("required", ()), **facts}
    plugin = registry.load(kind, name)
    if kind == "sinks":
        found["actions"] = _actions(plugin, schema)
    return found


def _filter(name: str, function: Any) -> dict[str, Any]:
    """A third party's filter: how it is called, and what its author says of it."""
    rest = list(inspect.signature(function).parameters.values())[1:]
    called = f"{name}({', '.join(map(str, rest))})" if rest else name
    return {"kind": FILTERS, "type": called, "title": (inspect.getdoc(function) or "").split("\n")[0], "settings": {}}


def _actions(plugin: Any, schema: dict[str, Any]) -> dict[str, Any]:
    if not hasattr(plugin, "actions"):
        return {name: {"does": shape.get("description", "")} for name, shape in schema["$defs"].items()}
    return {
        name: {"does": action.doc.split("\n")[0], "max_records": action.max_records, "max_bytes": action.max_bytes,
               "requests_per_second": action.rate, "fields": sorted(schema["$defs"][name].get("properties", {}))}
        for name, action in plugin.actions().items()
    }  # fmt: skip


def _text(part: Mapping[str, Any]) -> str:
    lines = [f"{part['kind'][:-1]} {part['type']}: {part['title']}"]
    for name, facts in part["settings"].items():
        default = f" (default {facts['default']!r})" if "default" in facts else ""
        lines.append(f"  {name}{' (required)' if facts['required'] else ''}: {facts.get('description', '')}{default}")
    if "example" in part:
        lines.append(f"  {part['example']} gives {json_text(part['gives'])}")
    for name, facts in part.get("actions", {}).items():
        lines.append(f"  action {name}: {facts.get('does', '')}")
        if facts.get("max_records"):
            rate = f", {facts['requests_per_second']:g} requests/s" if facts["requests_per_second"] else ""
            size = f", {facts['max_bytes']:,} bytes" if facts["max_bytes"] else ""
            lines.append(f"    at most {several(facts['max_records'], 'record')} a request{size}{rate}")
        if facts.get("fields"):
            lines.append(f"    fields: {', '.join(facts['fields'])}")
    return "\n".join(lines)


def print_schema(name: str | None) -> int:
    registry = Registry.installed()
    if name is None:
        schema = composed_schema(registry)
    else:
        kind = next((kind for kind in KINDS if name in registry.names(kind)), None)
        if kind is None:
            raise InvalidPipeline(_no_such(registry, name))
        schema = registry.schema(kind, name)
    stdout(json_text(schema, indent=2) + "\n")
    return 0


def _no_such(registry: Registry, name: str) -> str:
    names = sorted({known for kind in KINDS for known in registry.names(kind)})
    near = difflib.get_close_matches(name, [*names, *(word for found in words().values() for word in found)], 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
    return f"there is no plugin {name!r}; {hint}"


def _out(value: Any, as_json: bool, text: str) -> None:
    if as_json:
        stdout(json_text(value) + "\n")
    else:
        stdout(text + "\n")
