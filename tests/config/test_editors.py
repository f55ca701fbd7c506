"""The schema for editors: valid, kind to what `check` accepts, strict with names."""

from pathlib import Path

import jsonschema
import pytest
import yaml

from engine.config.editors import composed_schema
from engine.registry import Registry

SCHEMA = composed_schema(Registry.installed())
EXAMPLES = sorted((Path(__file__).parent.parent.parent / "pipelines").glob("*.yaml"))


def test_it_is_a_schema_of_2020_12():
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_fits(example):
    jsonschema.Draft202012Validator(SCHEMA).validate(yaml.safe_load(example.read_text("utf-8")))


def fits(text):
    whole = {"version": 1, "name": "x", "sources": {"a": {"type": "file", "path": "a.csv"}},
             "sinks": {"crm": {"type": "iterable", "api_key": "${K}"}}, "mappings": {"m": {"from": "a", "to": "crm.update_user", "fields": {}}}}  # fmt: skip
    return jsonschema.Draft202012Validator(SCHEMA).is_valid({**whole, **yaml.safe_load(text)})


@pytest.mark.parametrize(
    "text",
    [
        "delivery: {order: '${ORDER}', concurrency: '${N}'}",
        "errors: {max_ratio: '${RATIO:-1%}'}",
        "sinks: {crm: {type: iterable, api_key: {secret_file: k}, data_center: '${DC:-us}', timeout: '${T}'}}",
        "mappings: {m: {from: a, to: crm.update_user, fields: '{{ record }}'}}",
        "mappings: {m: {from: a, to: crm.update_user, fields: {dataFields: {any: 1}}}}",
        "mappings: {m: {from: a, to: crm.track_purchase, fields: {items: {$each: '{{ x }}', $value: {id: '1'}}}}}",
        "mappings: {m: {from: a, to: other.thing, fields: {any: 1}}}",
    ],
)
def test_what_will_be_filled_in_later_fits(text):
    assert fits(text)


@pytest.mark.parametrize(
    "text",
    [
        "delivery: {order: strictly}",
        "sinks: {crm: {type: iterable, api_key: x, data_center: mars}}",
        "sinks: {crm: {type: itrable}}",
        "mappings: {m: {from: a, to: crm.update_user, fields: {emial: x}}}",
        "tests: [{name: x, given: [], expect: {}, vendor: [{statsu: 1}]}]",
    ],
)
def test_mistakes_do_not_fit(text):
    assert not fits(text)


def test_connections_are_of_vendors():
    types = SCHEMA["$defs"]["connection"]["properties"]["type"]
    assert types["enum"] == ["flagship", "iterable", "lumidatum"]
