"""The schemas: what editors get, what parts bring, and that schema, constructor and specs say the same."""

import inspect
import json
import socket
from dataclasses import fields
from importlib.resources import files

import jsonschema
import pytest
from referencing import Registry as References

from engine.config.build import PARAMETERS, shared_settings
from engine.config.editors import composed_schema
from engine.config.load import parse
from engine.config.pipeline import Batching, DeadLetters, Delivery, Errors, MappingSpec, RateLimit, Retry
from engine.config.references import resolve
from engine.config.shapes import pipeline_schema
from engine.config.units import read_unit
from engine.registry import Registry
from tests.config.demo import ENVIRON, REGISTRY, SKELETON
from tests.config.test_load import PRODUCT
from tests.diagnostics.test_wrong import cases


def leaves(schema, path=()):
    """Every property of a schema, with its path."""
    if isinstance(schema, dict):
        for name, value in schema.get("properties", {}).items():
            yield (*path, name), value
        for word, value in schema.items():
            yield from leaves(value, (*path, word))
    elif isinstance(schema, list):
        for value in schema:
            yield from leaves(value, path)


def schemas():
    root = files("engine.schemas")
    names = ["pipeline.json", "report.json", "dead_letter.json"]
    names += [f"sources/{name}.json" for name in ("file",)] + [
        f"sinks/{n}.json" for n in ("file", "stdout", "discard")
    ]
    return [pytest.param(json.loads(root.joinpath(name).read_text("utf-8")), id=name) for name in names]


@pytest.mark.parametrize("schema", schemas())
def test_a_schema_is_one(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["title"]
    assert schema["description"]


@pytest.mark.parametrize("schema", [p for p in schemas() if p.id not in ("report.json", "dead_letter.json")])
def test_every_property_is_described_and_its_examples_fit(schema):
    for path, leaf in leaves(schema):
        if "$ref" not in leaf and "environment" not in path:
            assert leaf.get("description"), path
        validator = jsonschema.Draft202012Validator({**leaf, "$defs": schema.get("$defs", {})}, registry=References())
        for example in [*leaf.get("examples", []), *([leaf["default"]] if "default" in leaf else [])]:
            assert validator.is_valid(example), (path, example)


@pytest.mark.parametrize("kind", ["sources", "sinks", "lookups"])
def test_specs_take_apart_what_schemas_share(kind):
    shared, taken = shared_settings()[kind]
    assert shared == taken


@pytest.mark.parametrize(
    ("place", "spec"),
    [
        (("sink", "properties", "batch"), Batching), (("sink", "properties", "rate_limit"), RateLimit),
        (("sink", "properties", "retry"), Retry), (("delivery",), Delivery), (("errors",), Errors),
        (("dead_letters",), DeadLetters),
    ],
)  # fmt: skip
def test_values_have_the_fields_of_their_schema(place, spec):
    schema = pipeline_schema()["$defs"]
    for step in place:
        schema = schema[step]
    defaults = {field.name: field.default for field in fields(spec)}
    assert set(schema["properties"]) == set(defaults)
    for name, leaf in schema["properties"].items():
        if "default" in leaf:
            unit = leaf.get("$ref", "").removeprefix("#/$defs/")
            value = read_unit(unit, leaf["default"]) if unit else leaf["default"]
            assert value == (list(defaults[name]) if isinstance(value, list) else defaults[name])


def test_a_mapping_has_the_fields_of_its_schema():
    words = set(pipeline_schema()["$defs"]["mapping"]["properties"]) - {"description", "from", "to"}
    own = {field.name for field in fields(MappingSpec)} - {"name", "source", "sink", "action", "parameters"}
    assert words == own | set(PARAMETERS)


PARTS = [("sources", "file"), ("sinks", "file"), ("sinks", "stdout"), ("sinks", "discard")]


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_schema_and_constructor_are_married(kind, name):
    registry = Registry.builtin()
    schema, plugin = registry.schema(kind, name), registry.load(kind, name)
    parameters = inspect.signature(plugin).parameters
    assert set(schema["properties"]) == set(parameters) - {"base", "mode"}
    assert set(schema.get("required", ())) == {n for n, p in parameters.items() if p.default is p.empty}
    for setting, leaf in schema["properties"].items():
        if "default" in leaf:
            default = read_unit(leaf["x-unit"], leaf["default"]) if "x-unit" in leaf else leaf["default"]
            expected = parameters[setting].default
            assert default == (list(expected) if isinstance(expected, tuple) else expected), setting


# --- for editors ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def composed():
    schema = composed_schema(REGISTRY)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, registry=References())


def content(text):
    loaded = parse(text, "x.yaml", REGISTRY, environ={})
    return json.loads(json.dumps(loaded.document.data)) if loaded.document else None


def raw(text):
    import yaml

    return yaml.safe_load(text)


def test_the_composed_schema_takes_good_files(composed):
    assert list(composed.iter_errors(raw(PRODUCT))) == []
    assert list(composed.iter_errors(raw("\n".join(SKELETON.values())))) == []


@pytest.mark.parametrize(
    "text",
    [
        "sinks: {v: {type: demo, token: {secret_file: x}}}",
        "sinks: {v: {type: demo, connection: a}}\nconnections: {a: {type: demo, token: x}}",
        'sinks: {v: {type: stdout, concurrency: "${N}", batch: {max_records: "${N}"}}}',
        "sinks: {v: {type: stdout}}\nx-anything: [1]",
    ],
)
def test_the_composed_schema_takes_what_is_filled_in_later(composed, text):
    rest = [line for word, line in SKELETON.items() if word != "sinks"]
    assert list(composed.iter_errors(raw("\n".join([text, *rest])))) == []


@pytest.mark.parametrize(
    "text",
    [
        "sinks: {v: {type: demo}}",
        "sinks: {v: {type: demo, token: x, tokn: y}}",
        "sinks: {v: {type: nothing}}",
        "sinks: {v: {type: stdout, concurrency: many}}",
        "sinks: {v: {type: stdout, batch: {max: 1}}}",
        "sinks: {v: {type: stdout}}\nother: 1",
        "sinks: {v: {type: stdout}}\nconnections: {a: {type: demo, tokn: x}}",
    ],
)
def test_the_composed_schema_refuses_mistakes(composed, text):
    rest = [line for word, line in SKELETON.items() if word != "sinks"]
    assert list(composed.iter_errors(raw("\n".join([text, *rest]))))


def test_the_composed_schema_of_the_built_in_parts_is_whole():
    schema = composed_schema(Registry.builtin())
    assert {"sinks.iterable", "sinks.stdout", "sources.file"} <= set(schema["$defs"])
    text = json.dumps(schema)
    for target in {part.split('"')[0] for part in text.split('"$ref": "')[1:]}:
        assert resolve(target, schema)


def test_editors_and_we_agree_on_wrong_shapes(composed):
    """What the composed schema refuses is wrong for us too."""
    for case in cases():
        loaded = parse(case.values[0], "x.yaml", REGISTRY, environ=ENVIRON)
        if loaded.document is not None and not composed.is_valid(loaded.document.root.data()):
            assert loaded.pipeline is None


# --- schemas of strangers ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$ref": "http://127.0.0.1:1/x.json"}}},
        {"properties": {"a": {"$dynamicRef": "http://127.0.0.1:1/x.json"}}},
        {"properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"properties": {"a": {"$ref": "#/$defs/nothing"}}},
        {"properties": {"a": {"$ref": "#/properties/a"}}},
        {"properties": {}, "$defs": {"write": {"$ref": "https://127.0.0.1:1/x.json"}}},
        {"properties": {"a": {"type": 5}}},
        {"properties": {"a": {"type": "nonsense"}}},
        {"properties": []},
        {"$defs": []},
        [],
        None,
    ],
)
def test_nothing_is_fetched_for_a_schema(schema, monkeypatch):
    def refuse(*_args, **_more):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    plugin = type("Plugin", (), {"schema": schema})
    registry = REGISTRY.with_plugin("sinks", "strange", plugin)
    text = "\n".join(line for word, line in SKELETON.items() if word != "sinks")
    loaded = parse(text + "\nsinks: {out: {type: strange, a: 1}}", "x.yaml", registry, environ=ENVIRON)
    assert "bad-schema" in [finding.code for finding in loaded.findings]
    assert loaded.pipeline is None
    composed_schema(registry)
