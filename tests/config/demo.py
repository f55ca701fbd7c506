"""A vendor that is only shapes, and pipeline files made whole for tests."""

import re
from pathlib import Path
from typing import ClassVar

from engine.config.load import Loaded, parse
from engine.plugin import Vendor, get, lookup
from engine.registry import Registry

SETTINGS = {
    "token": {"type": "string", "minLength": 1, "x-secret": True, "title": "Token"},
    "region": {"enum": ["north", "south"], "default": "north"},
    "level": {"type": "integer", "minimum": 1, "maximum": 9},
    "share": {"type": ["string", "number"], "x-unit": "ratio"},
    "strictly": {"type": "boolean"},
    "cache": {"type": "string", "x-path": True},
    "greeting": {"type": "string", "x-expression": True},
    "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
}
PERSON = {
    "type": "object",
    "required": ["id"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "age": {"type": "integer"},
        "score": {"type": "number"},
        "plan": {"enum": ["free", "paid"]},
        "code": {"type": "string", "pattern": "^[a-z]+$"},
        "extra": {"type": "object"},
        "address": {"$ref": "#/$defs/address"},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
    },
}
DEFS = {
    "person": PERSON,
    "address": {"type": "object", "additionalProperties": False, "properties": {"city": {"type": "string"}}},
    "line": {
        "type": "object",
        "required": ["sku"],
        "additionalProperties": False,
        "properties": {"sku": {"type": "string"}, "price": {"type": "number"}},
    },
}


class DemoSink:
    def __init__(self, **settings):
        self.settings = settings

    schema: ClassVar = {
        "type": "object",
        "required": ["token"],
        "properties": SETTINGS,
        "additionalProperties": False,
        "$defs": DEFS,
    }


class DemoAsk(Vendor):
    def __init__(self, **settings):
        self.settings, self.base_url = settings, "https://demo.test"

    @lookup()
    def ask(self, who):
        """Asks."""
        return (yield get(f"/{who}"))["value"]

    schema: ClassVar = {
        "type": "object",
        "properties": {name: SETTINGS[name] for name in ("token", "region")},
        "$defs": {
            "with": {
                "type": "object",
                "required": ["who"],
                "additionalProperties": False,
                "properties": {"who": {"type": "string"}},
            }
        },
    }


REGISTRY = Registry.builtin().with_plugin("sinks", "demo", DemoSink).with_plugin("lookups", "demo.ask", DemoAsk)
SKELETON = {
    "version": "version: 1",
    "name": "name: demo",
    "sources": "sources: {people: {type: file, path: people.csv}}",
    "sinks": 'sinks: {out: {type: stdout}, vendor: {type: demo, token: "${TOKEN}"}}',
    "mappings": 'mappings: {echo: {from: people, to: out, fields: "{{ record }}"}}',
}
ENVIRON = {"TOKEN": "t0ken", "EMPTY": "", "FOUR": "4", "WORD": "word", "BRACES": "{{ record.id }}"}


def whole(text: str) -> str:
    """The text with what a pipeline file must have appended, so that its own lines keep their numbers."""
    missing = [line for word, line in SKELETON.items() if not re.search(rf'(?m)^["\']?{word}["\']?:', text)]
    return text.rstrip("\n") + "\n" + "\n".join(missing) + "\n" if text else "\n".join(missing) + "\n"


def read(text: str, **more) -> Loaded:
    """Parses a text that was made whole."""
    more = {"environ": ENVIRON, "path": Path("/home/pipelines/demo.yaml"), **more}
    return parse(whole(text), "demo.yaml", REGISTRY, **more)


def good(text: str = "", **more):
    """The pipeline of a text without errors."""
    loaded = read(text, **more)
    assert not [finding.headline() for finding in loaded.findings if finding.is_error]
    return loaded.pipeline
