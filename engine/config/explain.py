"""Why a value does not fit its schema: each of jsonschema's errors as one helpful problem.

Accepting is jsonschema-rs's work (microseconds); only a refusal is looked at again, by jsonschema.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from typing import Any

from engine.config.messages import did_you_mean, did_you_mean_key, listed
from engine.config.nodes import Path
from engine.config.scalars import kind_of
from engine.config.units import FORMS
from engine.model import Problem

_WORDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "array": "a list", "object": "a map", "null": "nothing",
}  # fmt: skip
_YES_NO = {"yes", "no", "on", "off", "y", "n"}

MAX_PROBLEMS = 200
"""More of them from one part, or of one kind, are not looked for."""


def explain(schema: dict[str, Any], data: Any, base: Path = (), known: dict[int, Any] | None = None) -> list[Problem]:
    """Every problem of a value, with paths from the document's root; `base` is the value's own path.

    `known` keeps compiled validators by the identity of schemas that outlive it.
    """
    if _fits(schema, data, {} if known is None else known):
        return []
    from referencing import Registry

    errors = _validator()(schema, registry=Registry()).iter_errors(data)
    problems = (problem for error in errors for problem in _problems(error, base))
    try:
        return list(dict.fromkeys(islice(problems, MAX_PROBLEMS)))
    except Exception as error:  # whatever a stranger's schema makes a validator do
        reason = f"the schema cannot be used ({type(error).__name__})"
        return [Problem("bad-schema", reason, base, hint="mend the plugin")]


def _fits(schema: dict[str, Any], data: Any, known: dict[int, Any]) -> bool:
    import jsonschema_rs

    try:
        if id(schema) not in known:
            known[id(schema)] = jsonschema_rs.Draft202012Validator(schema)
        return bool(known[id(schema)].is_valid(data))
    except Exception:  # a value or pattern beyond it: the slow way decides
        return False


@cache
def _validator() -> Any:
    """jsonschema's own, but for `$`: within JSON Schema that is the end, and not also before a last line break."""
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    return extend(Draft202012Validator, {"pattern": _pattern})  # type: ignore[no-untyped-call]


def _pattern(validator: Any, pattern: str, value: Any, schema: Any) -> Iterator[Any]:
    from jsonschema import ValidationError

    if not validator.is_type(value, "string"):
        return
    found = re.search(pattern, value)
    if found is None or (pattern.endswith("$") and value.endswith("\n") and found.end() < len(value)):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


def _problems(error: Any, base: Path) -> Iterator[Problem]:
    path = (*base, *error.absolute_path)
    handler = _HANDLERS.get(error.validator, _bad_value)
    yield from handler(error, path)


def _unknown_keys(error: Any, path: Path) -> Iterator[Problem]:
    everything = list(error.schema.get("properties", {}))
    patterns = tuple(pattern.lstrip("^") for pattern in error.schema.get("patternProperties", {}))
    for key in error.instance:
        if key in everything or (patterns and str(key).startswith(patterns)):
            continue
        hint = did_you_mean_key(key, everything, error.instance)
        yield Problem(
            "unknown-key", f'{_owner(path)} has no key "{str(key)[:80]}"', (*path, key), on_key=True, hint=hint
        )


def _missing(error: Any, path: Path) -> Iterator[Problem]:
    properties = error.schema.get("properties", {})
    for name in error.validator_value:
        if name not in error.instance:
            yield Problem(
                "missing-setting",
                f'{_owner(path)} needs "{name}"',
                path,
                on_key=True,
                hint=_example(name, properties),
            )


def _example(name: str, properties: dict[str, Any]) -> str:
    examples = properties.get(name, {}).get("examples", [])
    if examples and isinstance(examples[0], str | int | float):
        value = f'"{examples[0]}"' if str(examples[0]).startswith(("$", "{", "@", "*")) else examples[0]
        return f"add `{name}: {value}`"
    return f"add `{name}:`"


def _wrong_type(error: Any, path: Path) -> Iterator[Problem]:
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    words = " or ".join(dict.fromkeys(_WORDS.get(str(word), str(word)) for word in wanted))
    found = "empty" if error.instance is None else kind_of(error.instance)
    unit = FORMS.get(error.schema.get("x-unit", ""), "")
    message = f"{_name(path)} must be {words}, and is {found}"
    yield Problem("wrong-type", message, path, hint=unit or _type_hint(error, wanted))


def _type_hint(error: Any, wanted: list[str]) -> str:
    value = error.instance
    if "boolean" in wanted and isinstance(value, str) and value.lower() in _YES_NO:
        return "write true or false"
    if "string" in wanted and isinstance(value, bool | int | float):
        return "quote it to make it text"
    if isinstance(value, str) and ("integer" in wanted or "number" in wanted):
        return "write the number without quotes" if value.strip().lstrip("-").replace(".", "", 1).isdigit() else ""
    if "array" in wanted and not isinstance(value, dict):
        return "write it as a list: [ … ]"
    return ""


def _bad_enum(error: Any, path: Path) -> Iterator[Problem]:
    allowed = [str(value) for value in error.validator_value if value is not None]
    shown = f' "{error.instance[:60]}"' if isinstance(error.instance, str) else f", and is {kind_of(error.instance)}"
    verb = "cannot be" if isinstance(error.instance, str) else f"must be one of {listed(allowed)}"
    hint = did_you_mean(error.instance, allowed) if isinstance(error.instance, str) else ""
    yield Problem("bad-enum", f"{_name(path)} {verb}{shown}", path, hint=hint)


def _bad_const(error: Any, path: Path) -> Iterator[Problem]:
    wanted = error.validator_value
    code = "bad-version" if path == ("version",) else "bad-value"
    yield Problem(code, f"{_name(path)} must be {wanted}", path, hint=f"write `{path[-1]}: {wanted}`" if path else "")


def _bad_value(error: Any, path: Path) -> Iterator[Problem]:
    rule = _RULES.get(error.validator)
    unit = FORMS.get(error.schema.get("x-unit", ""), "")
    if error.validator in ("minProperties", "minItems") and error.validator_value == 1:
        yield Problem("missing-setting", f"{_name(path)} is empty", path, on_key=True, hint="name at least one")
    elif rule is None:
        yield Problem("bad-value", f"{_name(path)} has a form that does not fit", path, hint=unit or _form(error))
    else:
        hint = unit or (f"for example {error.schema['examples'][0]}" if error.schema.get("examples") else "")
        limit = error.schema.get("x-least", error.validator_value)
        yield Problem("bad-value", f"{_name(path)} {rule.format(limit)}", path, hint=hint)


def _alternatives(error: Any, path: Path) -> Iterator[Problem]:
    """None of several forms fits: what each lacks if that is all, else the problems of the nearest."""
    context = list(error.context)
    if context and all(inner.validator == "required" and not inner.path for inner in context):
        names = dict.fromkeys(name for inner in context for name in inner.validator_value)
        message = f"{_owner(path)} needs {' or '.join(names)}"
        yield Problem("missing-setting", message, path, on_key=True, hint=f"add `{next(iter(names))}:`")
        return
    base = path[: len(path) - len(error.absolute_path)]
    nearer = [inner for inner in context if inner.validator != "type" or inner.path]
    if not nearer:
        yield Problem("wrong-type", f"{_name(path)} cannot be {kind_of(error.instance)}", path)
        return
    inside = [inner for inner in nearer if inner.path or inner.validator not in ("type", "enum", "const")]
    branch = (inside or nearer)[0].schema_path[0]
    for inner in nearer:
        if inner.schema_path[0] == branch:
            yield from _problems(inner, base)


def _form(error: Any) -> str:
    """What would do, as the schema says it."""
    if "x-form" in error.schema:
        return f"use {error.schema['x-form']}"
    examples = error.schema.get("examples")
    return f"for example {examples[0]}" if examples else str(error.schema.get("description", ""))


_RULES = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "minLength": "must not be empty",
    "maxLength": "must not be longer than {} characters",
    "minItems": "must have at least {} members",
    "maxItems": "must have at most {} members",
}
_HANDLERS: dict[str, Callable[[Any, Path], Iterator[Problem]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing,
    "type": _wrong_type,
    "enum": _bad_enum,
    "const": _bad_const,
    "anyOf": _alternatives,
    "oneOf": _alternatives,
}


def _owner(path: Path) -> str:
    return f"{path[-1]}" if path and isinstance(path[-1], str) else _name(path)


def _name(path: Path) -> str:
    """What a value is called: its key, with an index where it is in a list."""
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        return f"{_name(path[:-1])}[{path[-1]}]"
    return str(path[-1])
