"""The page of all parts, settings and words is what the schemas and the code say, and every example is computed."""

import json
from pathlib import Path

import pytest

from engine.commands.reference import markdown
from engine.errors import RecordError
from engine.explanations import words
from engine.mapping.checks import CONSTANT_NAMES, FUNCTIONS
from engine.mapping.filters import FILTERS
from engine.mapping.methods import METHOD_NAMES
from engine.mapping.predicates import TESTS
from engine.mapping.values import OMIT
from engine.plugin import Vendor
from engine.registry import KINDS, Registry
from tests.mapping.support import value_of
from tests.test_cli import engine

PAGE = Path(__file__).parents[2] / "docs" / "reference.md"
RECORD = {"name": "Ada", "id": "7", "tags": ["vip", "kids"], "none": None}
ALL = [pytest.param(word, id=f"{word.kind} {word.name}") for found in words().values() for word in found.values()]
ALIASES = {"==", "equalto", "!=", "<", "lessthan", ">", "greaterthan", "<=", ">="}


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == markdown(Registry.builtin()), "engine plugins --page > docs/reference.md"


@pytest.mark.parametrize("word", ALL)
def test_an_example_gives_what_the_page_says(word):
    if word.name == "reject" and word.kind == "functions":
        with pytest.raises(RecordError, match="no city"):
            value_of(word.example, RECORD)
        return
    found = value_of(word.example, RECORD)
    if word.kind == "functions" and word.gives in ("omitted", "filtered"):
        assert found is OMIT if word.gives == "omitted" else found == "filtered"
        return
    assert found == word.gives and type(found) is type(word.gives)
    assert word.name in word.example and word.means.endswith((".", "?"))


def test_every_word_has_its_line_and_no_other():
    known = {kind: set(found) for kind, found in words().items()}
    assert known["filters"] == set(FILTERS)
    assert known["tests"] | ALIASES == {*TESTS, "defined", "undefined"}
    assert known["functions"] == {*FUNCTIONS, *CONSTANT_NAMES}
    assert known["methods"] == set(METHOD_NAMES)


def test_the_page_names_every_setting_and_field():
    text, registry = PAGE.read_text("utf-8"), Registry.builtin()
    for kind in KINDS:
        for name in registry.names(kind):
            part = text.partition(f"\n### {kind[:-1].capitalize()} `{name}`\n")[2].partition("\n### ")[0]
            schema = registry.schema(kind, name)
            for setting in schema.get("properties", {}):
                assert f"`{setting}`" in part, f"{name}: {setting}"
            plugin = registry.load(kind, name)
            for action in plugin.actions() if kind == "sinks" and issubclass(plugin, Vendor) else ():
                about = part.partition(f"#### `{name}.{action}`")[2].partition("\n####")[0]
                assert about and all(f"`{field}`" in about for field in schema["$defs"][action].get("properties", {}))


def test_a_word_is_explained_on_a_terminal(tmp_path):
    said = engine(tmp_path, "plugins", "epoch", code=0).stdout
    assert "epoch(tz='UTC', default=…)" in said and "gives 1714550400" in said
    both = engine(tmp_path, "plugins", "lower", "--json", code=0).stdout.splitlines()
    assert [json.loads(line)["kind"] for line in both] == ["filters", "tests", "methods"]


def test_a_misspelt_word_is_recognised(tmp_path):
    assert "did you mean 'lower'?" in engine(tmp_path, "plugins", "lowr", code=2).stderr
