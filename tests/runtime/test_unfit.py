"""A refused setting is shown where it stands, and a refusal about the whole part at the part."""

import pytest

from engine.config.load import parse
from engine.errors import InvalidPipeline
from engine.registry import Registry
from engine.runtime.unfit import bad_setting

TEXT = """version: 1
name: demo
sources: {people: {type: file, path: people.csv, encoding: utf-8}}
sinks: {out: {type: stdout}}
mappings: {all: {from: people, to: out, fields: {a: 1}}}
"""


@pytest.mark.parametrize(
    ("message", "path"),
    [
        ("encoding: there is none", ("sources", "people", "encoding")),
        ("delimiter: not given here", ("sources", "people")),
        ("this file cannot be read", ("sources", "people")),
    ],
)
def test_a_refusal_stands_at_the_setting_that_it_names(message, path):
    pipeline = parse(TEXT, "demo.yaml", Registry.builtin(), environ={}).pipeline
    problem = bad_setting(InvalidPipeline(message), "sources", pipeline.sources["people"])
    assert (problem.code, problem.message, problem.path) == ("bad-setting", message, path)
