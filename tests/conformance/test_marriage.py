"""`schemas/` is the truth about shapes, Python about behaviour: here they are held against each other."""

from __future__ import annotations

import inspect
import re
from importlib.util import find_spec
from typing import Any

import jsonschema
import jsonschema_rs
import pytest

from engine.plugin import Secret, Vendor
from engine.registry import BUILTIN, Registry

REGISTRY = Registry.builtin()


def exists(kind: str, name: str) -> bool:
    """Rooms are built one after the other: a name whose module is not there yet is not married yet."""
    return find_spec(BUILTIN[kind][name].partition(":")[0]) is not None


PARTS = [(kind, name) for kind in BUILTIN for name in BUILTIN[kind] if exists(kind, name)]
VENDORS = [name for kind, name in PARTS if kind == "sinks" and issubclass(REGISTRY.load(kind, name), Vendor)]


GIVEN = {"base"}  # the pipeline's folder: no setting, the engine knows it
SHARED = {"sources": {"mode"}}  # what all parts of a kind take


def constructor(kind: str, name: str) -> dict[str, inspect.Parameter]:
    """What its settings are given to: the constructor's parameters and, for a vendor's source, the reader's."""
    part = REGISTRY.load(kind, name)
    parameters = dict(inspect.signature(part).parameters)
    if kind == "sources" and isinstance(part, type) and issubclass(part, Vendor):
        reader = inspect.signature(part.readers()[name].method).parameters
        parameters |= {setting: parameter for setting, parameter in reader.items() if setting != "self"}
    return {name: parameter for name, parameter in parameters.items() if name not in GIVEN | SHARED.get(kind, set())}


UNITS = {"": 1, "ms": 0.001, "s": 1, "m": 60, "h": 3600}
UNITS |= {f"{p}B": 1000**n for n, p in enumerate(("", "k", "M", "G"))}
UNITS |= {f"{p}iB": 1024**n for n, p in enumerate(("K", "M", "G"), 1)}


def as_value(default: Any) -> Any:
    """A default as Python holds it: `4MiB` and `30s` are numbers there, a list may be a tuple."""
    if isinstance(default, str) and (match := re.fullmatch(r"(\d+)([a-zA-Z]*)", default)) and match[2] in UNITS:
        return int(match[1]) * UNITS[match[2]]
    return tuple(default) if isinstance(default, list) else default


def objects(schema: Any) -> list[dict[str, Any]]:
    """Every schema within a schema that describes an object by its properties."""
    if isinstance(schema, list):
        return [found for member in schema for found in objects(member)]
    if not isinstance(schema, dict):
        return []
    own = [schema] if isinstance(schema.get("properties"), dict) else []
    return own + [found for member in schema.values() for found in objects(member)]


def named(schema: dict[str, Any]) -> list[tuple[str, Any]]:
    return [pair for found in objects(schema) for pair in found["properties"].items()]


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_the_schema_is_a_schema(kind: str, name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(REGISTRY.schema(kind, name))


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_settings_are_the_constructors_parameters(kind: str, name: str) -> None:
    assert set(REGISTRY.schema(kind, name)["properties"]) == set(constructor(kind, name))


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_required_settings_are_parameters_without_a_default(kind: str, name: str) -> None:
    required = {n for n, parameter in constructor(kind, name).items() if parameter.default is parameter.empty}
    assert set(REGISTRY.schema(kind, name).get("required", [])) == required


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_a_default_of_the_schema_is_the_parameters(kind: str, name: str) -> None:
    parameters = constructor(kind, name)
    for setting, shape in REGISTRY.schema(kind, name)["properties"].items():
        if "default" in shape:
            assert as_value(shape["default"]) == as_value(parameters[setting].default), setting


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_everything_is_told_to_an_editor(kind: str, name: str) -> None:
    schema = REGISTRY.schema(kind, name)
    silent = [n for n, shape in named(schema) if not shape.get("title") or not shape.get("description")]
    assert silent == []


@pytest.mark.parametrize(("kind", "name"), PARTS)
def test_no_pattern_takes_a_final_newline(kind: str, name: str) -> None:
    """In Python `$` also fits before a final newline; the two validators must agree."""
    for setting, shape in named(REGISTRY.schema(kind, name)):
        for sample in ("abc\n", "a@x.test\n", "http://x/api\n", "1\n", "\n") if "pattern" in shape else ():
            assert not jsonschema.Draft202012Validator(shape).is_valid(sample), setting
            assert not jsonschema_rs.validator_for(shape).is_valid(sample), setting


@pytest.mark.parametrize("name", VENDORS)
def test_payload_schemas_are_the_actions(name: str) -> None:
    assert list(REGISTRY.schema("sinks", name)["$defs"]) == list(REGISTRY.load("sinks", name).actions())


LOOKUPS = [name for kind, name in PARTS if kind == "lookups"]


@pytest.mark.parametrize("name", LOOKUPS)
def test_a_lookups_parameters_are_its_methods(name: str) -> None:
    kind, schema = REGISTRY.load("lookups", name), REGISTRY.schema("lookups", name)["$defs"]["with"]
    lookup = kind.lookups()[name.rpartition(".")[2]]
    for method in (lookup.method, *([getattr(kind, lookup.at_once)] if lookup.at_once else [])):
        parameters = dict(list(inspect.signature(method).parameters.items())[1:])
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        assert schema["additionalProperties"] is takes_any
        if not takes_any:
            assert set(schema["properties"]) == set(parameters)
            assert set(schema.get("required", [])) == {n for n, p in parameters.items() if p.default is p.empty}
    assert lookup.doc
    assert lookup.prepare is None or callable(getattr(kind, lookup.prepare))
    assert (lookup.rate is None or lookup.rate > 0) and lookup.concurrency >= 1


@pytest.mark.parametrize("name", LOOKUPS)
def test_a_lookups_secrets_are_never_shown(name: str) -> None:
    schema = REGISTRY.schema("lookups", name)
    secrets = {n for n, shape in schema["properties"].items() if shape.get("x-secret")}
    settings = {n: Secret("s3cret-value") if n in secrets else "x" for n in {*schema["required"], *secrets}}
    vendor = REGISTRY.load("lookups", name)(**settings)
    assert secrets
    assert "s3cret-value" not in repr(vars(vendor)) + repr(vendor.headers())


@pytest.mark.parametrize("name", VENDORS)
def test_payloads_are_closed(name: str) -> None:
    for payload in REGISTRY.schema("sinks", name)["$defs"].values():
        open_ones = [found for found in objects(payload) if found.get("additionalProperties") is not False]
        assert open_ones == []


@pytest.mark.parametrize("name", VENDORS)
def test_a_payload_schema_stands_alone(name: str) -> None:
    """It is compiled by itself: what it refers to must be within it."""
    for payload in REGISTRY.schema("sinks", name)["$defs"].values():
        assert "'$ref': '#/$defs/" not in str(payload) or "$defs" in payload
        jsonschema_rs.validator_for(payload)


@pytest.mark.parametrize("name", VENDORS)
def test_every_action_says_what_it_does(name: str) -> None:
    for action in REGISTRY.load("sinks", name).actions().values():
        assert action.doc, action.name
        assert action.max_records >= 1
        assert action.usual_records is None or 1 <= action.usual_records <= action.max_records
        assert action.rate is None or action.rate > 0


@pytest.mark.parametrize("name", VENDORS)
def test_what_actions_name_exists(name: str) -> None:
    kind = REGISTRY.load("sinks", name)
    payloads = REGISTRY.schema("sinks", name)["$defs"]
    for action in kind.actions().values():
        assert action.mend is None or callable(getattr(kind, action.mend))
        assert action.prepare is None or hasattr(kind, action.prepare)
        assert action.stable_id is None or action.stable_id in payloads[action.name]["properties"]


@pytest.mark.parametrize("name", VENDORS)
def test_a_secret_is_never_shown(name: str) -> None:
    schema = REGISTRY.schema("sinks", name)["properties"]
    secrets = {setting for setting, shape in schema.items() if shape.get("x-secret")}
    required = {n for n, p in constructor("sinks", name).items() if p.default is p.empty}
    settings = {n: Secret("s3cret-value") if n in secrets else "x" for n in required}
    vendor = REGISTRY.load("sinks", name)(**settings)
    assert secrets
    assert "s3cret-value" not in repr(vars(vendor)) + repr(vendor.headers())
