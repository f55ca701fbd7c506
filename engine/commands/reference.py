"""The page of all parts, settings and words, made of the schemas and of the code: `engine plugins --page`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from engine.config.references import inline
from engine.config.shapes import base_schema, common, pipeline_schema
from engine.console import several
from engine.explanations import Word, words
from engine.mapping.filters import FILTERS
from engine.registry import KINDS, Registry

TITLES = {"sources": "Sources", "lookups": "Lookups", "sinks": "Sinks"}
SHARED = {"sources": "every source", "lookups": "every lookup", "sinks": "every sink"}
UNITS = {"duration": "duration", "size": "size", "ratio": "ratio"}
INTRODUCTION = (
    "Every part, setting, action and word, as the schemas and the code say. `engine plugins NAME` shows one of them",
    "on a terminal, with those of installed plugins. Codes of messages have [their own page](codes.md).",
    "",
    "A setting within another is written with a dot (`batch.max_records`), a member of a list with `[]`, any name of",
    "your own as `*`. A setting in **bold** is required. Durations are `500ms`, `30s`, `5m`; sizes `4MB`, `1MiB`;",
    "ratios `1%`.",
)
LANGUAGE = (
    "What is not named here does not exist. In the examples the record is",
    '`{"name": "Ada", "id": "7", "tags": ["vip", "kids"], "none": null}`. [Mappings](mappings.md) tells how they',
    "work together.",
)
COLUMNS = ("| word | meaning | example | gives |", "| --- | --- | --- | --- |")
DEEPEST = 4  # levels of settings within settings
SHOWN = 60  # characters of a default or an example

Schema = dict[str, Any]


def markdown(registry: Registry) -> str:
    """The page of all that a registry has."""
    return "\n".join(_page(registry)) + "\n"


def _page(registry: Registry) -> Iterator[str]:
    yield "# Reference"
    yield ""
    yield "<!-- Made by `engine plugins --page`; a test compares. -->"
    yield ""
    yield from INTRODUCTION
    yield from _file()
    for kind in KINDS:
        yield from ("", f"## {TITLES[kind]}", "", f"### What {SHARED[kind]} takes", "")
        yield from _table(common(kind))
        for name in registry.names(kind):
            yield from _part(registry, kind, name)
    yield from _language()


# --- the file and its parts ---------------------------------------------------------------------------------


def _file() -> Iterator[str]:
    yield from ("", "## The pipeline file", "")
    schema = base_schema()
    whole = ("environments", "connections", "sources", "lookups", "sinks", "mappings", "tests")
    flat = {
        name: {word: value for word, value in shape.items() if word not in ("additionalProperties", "items")}
        if name in whole else shape
        for name, shape in schema["properties"].items()
    }  # fmt: skip
    yield from _table({**schema, "properties": flat})
    defs = pipeline_schema()["$defs"]
    for word, title in (("mapping", "A mapping"), ("test", "A test")):
        yield from ("", f"### {title}", "")
        yield from _table(inline(defs[word], pipeline_schema()))


def _part(registry: Registry, kind: str, name: str) -> Iterator[str]:
    schema = registry.schema(kind, name)
    about = schema.get("description") or schema.get("title", "")
    yield from ("", f"### {kind[:-1].capitalize()} `{name}`", "", _sentence(about), "")
    yield from _table(inline({**schema, "$defs": {}}, schema))
    if kind == "lookups":
        yield from ("", f"`with` of `{name}`:", "")
        yield from _table(inline(schema["$defs"]["with"], schema))
    if kind == "sinks":
        actions: Mapping[str, Any] = getattr(registry.load(kind, name), "actions", dict)()
        for action, shape in schema["$defs"].items():
            if action in actions:
                yield from _action(name, actions[action], inline(shape, schema))


def _action(sink: str, action: Any, shape: Schema) -> Iterator[str]:
    yield from ("", f"#### `{sink}.{action.name}`", "", " ".join(inspect.cleandoc(action.doc).split()), "")
    rate = f", {action.rate:g} requests a second" if action.rate else ""
    size = f", {action.max_bytes:,} bytes" if action.max_bytes else ""
    usual = f"; {action.usual_records:,} unless `batch` says more" if action.usual_records else ""
    yield f"At most {several(action.max_records, 'payload')} a request{usual}{size}{rate}."
    yield ""
    yield from _table(shape)
    if needs := _needs(shape):
        yield from ("", f"Needs {needs}.")


def _needs(shape: Schema) -> str:
    """`email` or `userId`: what `required` cannot say."""
    ways = [way["required"] for way in shape.get("anyOf", []) if set(way) == {"required"}]
    return " or ".join(" and ".join(f"`{name}`" for name in way) for way in ways)


# --- settings --------------------------------------------------------------------------------------------------


def _table(schema: Schema) -> Iterator[str]:
    rows = list(_rows(schema, ""))
    if not rows:
        yield "No settings."
        return
    yield "| setting | type | default | meaning | example |"
    yield "| --- | --- | --- | --- | --- |"
    yield from rows


def _rows(schema: Schema, before: str, depth: int = 0) -> Iterator[str]:
    required = schema.get("required", ())
    for name, shape in schema.get("properties", {}).items():
        yield _row(f"{before}{name}", shape, name in required)
        if depth < DEEPEST:
            yield from _below(f"{before}{name}", shape, depth + 1)


def _below(name: str, shape: Schema, depth: int) -> Iterator[str]:
    yield from _rows(shape, f"{name}.", depth)
    if isinstance(items := shape.get("items"), dict):
        yield from _rows(items, f"{name}[].", depth)
    if isinstance(any_name := shape.get("additionalProperties"), dict) and any_name.get("properties"):
        yield from _rows(any_name, f"{name}.*.", depth)


def _row(name: str, shape: Schema, required: bool) -> str:
    shown = f"**`{name}`**" if required else f"`{name}`"
    default = _code(shape["default"]) if "default" in shape else ""
    examples = ", ".join(_code(example) for example in shape.get("examples", ())[:2])
    meaning = _sentence(shape.get("description", ""))
    return f"| {shown} | {_type(shape)} | {default} | {meaning} | {examples} |"


def _type(shape: Schema) -> str:
    if shape.get("x-secret"):
        return "secret"
    if "x-unit" in shape:
        return UNITS[shape["x-unit"]]
    if "enum" in shape:
        return ", ".join(_code(value) for value in shape["enum"])
    if "const" in shape:
        return _code(shape["const"])
    kinds = shape.get("type", "any")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return " or ".join(_list_of(shape) if kind == "array" else "map" if kind == "object" else kind for kind in kinds)


def _list_of(shape: Schema) -> str:
    inner = shape.get("items")
    return f"list of {_type(inner)}" if isinstance(inner, dict) and inner.get("type") else "list"


def _code(value: Any) -> str:
    text = value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
    text = text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
    return f"`{text}`".replace("|", r"\|").replace("\n", " ").replace("\t", r"\t") if "`" not in text else text


def _sentence(text: str) -> str:
    return " ".join(text.replace("|", r"\|").split())


# --- expressions ------------------------------------------------------------------------------------------------


def _language() -> Iterator[str]:
    yield from ("", "## Expressions", "")
    yield from LANGUAGE
    for kind, found in words().items():
        yield from ("", f"### {kind.capitalize()}", "", *COLUMNS)
        for word in found.values():
            yield f"| `{called(word)}` | {_sentence(word.means)} | {_code(word.example)} | {_given(word)} |"


def called(word: Word) -> str:
    """How it is written, arguments included."""
    if word.kind == "filters":
        rest = list(inspect.signature(FILTERS[word.name]).parameters.values())[1:]
        return f"{word.name}({', '.join(map(_parameter, rest))})" if rest else word.name
    return f"{word.name}()" if word.kind == "methods" else word.name


def _parameter(parameter: inspect.Parameter) -> str:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return f"{parameter.name}…"
    if parameter.default is parameter.empty:
        return parameter.name
    shown = isinstance(parameter.default, (str, int, bool))  # what stands for "nothing given" is not
    return f"{parameter.name}={parameter.default!r}" if shown else f"{parameter.name}=…"


def _given(word: Word) -> str:
    if word.gives in ("filtered", "refused", "omitted") and word.kind == "functions":
        return f"the {'field' if word.gives == 'omitted' else 'record'} is {word.gives}"
    return f"`{msgspec.json.encode(word.gives).decode()}`".replace("|", r"\|")


def explained(word: Word) -> Mapping[str, Any]:
    """A word for `engine plugins NAME`."""
    return {
        "kind": word.kind, "type": called(word), "title": word.means, "settings": {},
        "example": word.example, "gives": word.gives,
    }  # fmt: skip
