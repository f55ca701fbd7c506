"""The one schema of a pipeline file with every installed part: for editors, which know nothing else of the engine.

It is kinder than `check`: values may be `${X}`, and payloads may hold expressions anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from engine.config.references import BadSchema, Schema
from engine.config.shapes import KINDS, Catalog, Shapes, pipeline_schema

_VARIABLE = r"\$\{.*\}"
_NOTES = ("title", "description", "examples", "default")


def composed_schema(catalog: Catalog) -> Schema:
    """One schema of a pipeline file with every installed part, dispatching on `type`: for editors."""
    schema: Schema = json.loads(json.dumps(pipeline_schema()))
    shapes = Shapes(catalog)
    schema["$defs"] = {name: _lenient(value) for name, value in schema["$defs"].items()}
    for kind, singular in KINDS.items():
        names = [name for name in catalog.names(kind) if shapes.is_usable(kind, name)]
        for name in names:
            schema["$defs"][f"{kind}.{name}"] = _for_editors(shapes.part(kind, name))
        schema["$defs"][singular] = _dispatch(schema["$defs"][singular], kind, names)
    vendors = shapes.vendors()
    for vendor in vendors:
        schema["$defs"][f"connections.{vendor}"] = _for_editors(shapes.connection(vendor))
    schema["$defs"]["connection"] = _dispatch(schema["$defs"]["connection"], "connections", vendors)
    schema["$defs"]["mapping"]["allOf"] = list(_by_action(shapes))
    return schema


def _by_action(shapes: Shapes) -> Iterable[Schema]:
    """What `fields` hold, by the action that `to` names; where several sinks have such an action, any of them."""
    payloads: dict[str, list[Schema]] = {}
    for name in shapes.catalog.names("sinks"):
        for action, payload in _payloads(shapes, name).items():
            payloads.setdefault(action, []).append(_payload(payload))
    for action, found in payloads.items():
        if any("properties" in payload for payload in found):
            fields = found[0] if len(found) == 1 else {"anyOf": found}
            yield {
                "if": {"properties": {"to": {"type": "string", "pattern": rf"\.{action}$"}}, "required": ["to"]},
                "then": {"properties": {"fields": fields}},
            }


def _payloads(shapes: Shapes, sink: str) -> dict[str, Schema]:
    """The payload schemas of a sink; none where a stranger's schema cannot be used."""
    try:
        return shapes.payloads("sinks", sink) if shapes.is_usable("sinks", sink) else {}
    except BadSchema:
        return {}


def _payload(schema: Schema) -> Schema:
    """The names of a payload's fields and what they mean. Of types nothing is said: an expression may stand there."""
    found: Schema = {word: schema[word] for word in _NOTES if word in schema}
    properties = {name: _payload(value) for name, value in schema.get("properties", {}).items()}
    if isinstance(schema.get("items"), Mapping):
        member = _payload(schema["items"])
        found["items"] = member
        properties |= {"$each": _EACH["$each"], "$as": _EACH["$as"], "$value": member}
    if properties:
        found["properties"] = properties
        if schema.get("additionalProperties") is False and "items" not in schema:
            found["additionalProperties"] = False
    return found


_EACH: Schema = {
    "$each": {"description": "An expression that gives a list: each of its members becomes one member here."},
    "$as": {"description": "What `$value` calls the member.", "type": "string", "default": "item"},
}


def _dispatch(shared: Schema, kind: str, names: Iterable[str]) -> Schema:
    branches = [
        {
            "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
            "then": {"$ref": f"#/$defs/{kind}.{name}"},
        }
        for name in names
    ]
    types = {"type": {**shared["properties"]["type"], "enum": list(names)}} if names else {}
    properties = {**shared["properties"], **types}
    return {**shared, "properties": properties, **({"allOf": branches} if branches else {})}


def _for_editors(part: Schema) -> Schema:
    """A part whose required settings may come from its connection, and whose values may be `${X}`."""
    needed = [name for name in part["required"] if name != "type"]
    schema = {**part, "required": ["type"]}
    schema["properties"] = {name: _lenient(value) for name, value in part["properties"].items()}
    if needed:
        schema["if"] = {"not": {"required": ["connection"]}}
        schema["then"] = {"required": needed}
    return schema


def _lenient(schema: Any) -> Any:
    """The schema of a value that may also be `${X}`, or `{secret_file: …}` where it is secret."""
    if not isinstance(schema, Mapping):
        return schema
    if schema.get("x-secret"):
        notes = {word: schema[word] for word in (*_NOTES, "x-secret") if word in schema}
        value = {word: rule for word, rule in schema.items() if word not in notes}
        return {**notes, "anyOf": [_lenient(value), _SECRET_FILE]}
    found = dict(schema)
    if isinstance(found.get("properties"), dict):
        found["properties"] = {name: _lenient(value) for name, value in found["properties"].items()}
    if isinstance(found.get("items"), dict):
        found["items"] = _lenient(found["items"])
    if "enum" in found:
        found["anyOf"] = [{"enum": found.pop("enum")}, {"type": "string", "pattern": _VARIABLE}]
    elif "pattern" in found:
        found["pattern"] = f"(?:{found['pattern']})|{_VARIABLE}"
    elif found.get("type") in ("integer", "number", "boolean"):
        found |= {"type": [found["type"], "string"], "pattern": _VARIABLE}
    return found


_SECRET_FILE = {
    "type": "object",
    "description": "A file that holds the secret.",
    "properties": {"secret_file": {"type": "string", "minLength": 1}},
    "required": ["secret_file"],
    "additionalProperties": False,
}
