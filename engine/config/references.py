"""JSON Schemas as plain values: their references replaced, and the way to a member's schema."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
_MAX_REFERENCES = 16


class BadSchema(ValueError):
    """A part's own schema cannot be used; the text says why."""


def inline(schema: Any, root: Schema, depth: int = 0) -> Any:
    """The schema with its references to `#/…` replaced by what they name; raises `BadSchema` for others."""
    if isinstance(schema, list):
        return [inline(member, root, depth) for member in schema]
    if not isinstance(schema, dict):
        return schema
    if "$dynamicRef" in schema:
        raise BadSchema("$dynamicRef is not supported")
    target = schema.get("$ref")
    if isinstance(target, str):
        if depth > _MAX_REFERENCES:
            raise BadSchema("its references have no end")
        rest = {word: value for word, value in schema.items() if word != "$ref"}
        return inline({**resolve(target, root), **rest}, root, depth + 1)
    return {word: inline(value, root, depth) for word, value in schema.items()}


def resolve(target: str, root: Schema) -> Schema:
    """What `#/…` names within a schema; raises `BadSchema` for any other reference."""
    found: Any = root
    if target != "#" and not target.startswith("#/"):
        raise BadSchema("only references within the schema are supported")
    for step in target.split("/")[1:]:
        found = found.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise BadSchema(f"{target} names nothing")
    return found


def step_into(schema: Any, step: str | int) -> Schema:
    """The schema of a member; an empty one where nothing is said."""
    if not isinstance(schema, dict):
        return {}
    if isinstance(step, int):
        found = schema.get("items")
    else:
        found = schema.get("properties", {}).get(step, schema.get("additionalProperties"))
    return found if isinstance(found, dict) else {}
