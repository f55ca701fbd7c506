"""Whatever a file holds, it is loaded or explained: nothing is ever raised."""

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.commands.files import all_findings
from engine.config.load import load, parse
from tests.config.demo import ENVIRON, REGISTRY, SKELETON, whole
from tests.config.test_load import PRODUCT
from tests.diagnostics.test_wrong import cases

CALM = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
TEXTS = [PRODUCT, *(whole(case.values[0]) for case in cases())]
WORDS = sorted({word for text in TEXTS for word in text.replace(":", " ").split() if len(word) < 20})
MARKS = [
    *("{", "}", "[", "]", ":", "\n", "  ", "- ", "&a ", "*a", "<<: *a", "|\n", ">\n", "'", '"', "#", ",", "? ", "\t"),
    *(
        "{{ x }}",
        "{% x %}",
        "${X}",
        "$${",
        "${",
        "!!str ",
        "~",
        "null",
        "1e999",
        "é",
        "😀",
        "\x00",
        "\u2028",
        "---\n",
    ),
]


def settle(text, **more):
    """Loads a text and holds it to what is always true."""
    loaded = parse(text, "fuzz.yaml", REGISTRY, environ=ENVIRON, **more)
    errors = [finding for finding in loaded.findings if finding.is_error]
    assert (loaded.pipeline is None) == bool(errors)
    lines = len(text.splitlines()) + 1
    for finding in all_findings(loaded, REGISTRY):
        assert 1 <= finding.line <= lines
        assert finding.column >= 1
        assert finding.length >= 1
        assert "\x1b" not in finding.render()
        assert finding.to_json()["code"]
    return loaded


@CALM
@given(st.binary(max_size=300))
def test_bytes(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "x.yaml"
    path.write_bytes(content)
    loaded = load(path, REGISTRY, environ=ENVIRON)
    assert loaded.pipeline is None
    assert loaded.findings


@CALM
@given(st.text(max_size=200))
def test_text(text):
    settle(text)


@CALM
@given(st.lists(st.sampled_from(WORDS + MARKS), max_size=60).map("".join))
def test_words_of_pipelines(text):
    settle(text)


@CALM
@given(
    st.sampled_from(TEXTS), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(WORDS + MARKS)))
)
def test_pipelines_with_pieces_replaced(text, changes):
    for place, length, piece in changes:
        at = int(place * len(text))
        text = text[:at] + piece + text[at + length :]
    settle(text, sandbox=len(text) % 2 == 0, sending=len(text) % 3 == 0)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
KEYS = [
    *SKELETON,
    "vars",
    "environments",
    "connections",
    "lookups",
    "delivery",
    "errors",
    "dead_letters",
    "state",
    "tests",
]


@CALM
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6), st.sampled_from([None, "prod", ""]))
def test_values_in_wrong_places(values, env):
    text = whole(yaml.dump(values, allow_unicode=True))
    settle(text, env=env, sets={"a": "1"} if env == "" else None)


@CALM
@given(st.sampled_from(["sources", "sinks", "lookups", "connections", "mappings"]), st.data())
def test_values_in_parts(kind, data):
    types = ["file", "demo", "demo.ask", "iterable", "stdout"]
    part = data.draw(st.dictionaries(st.sampled_from(WORDS), VALUES, max_size=5))
    part |= (
        {"type": data.draw(st.sampled_from(types))}
        if kind != "mappings"
        else {"to": "vendor.person", "from": "people"}
    )
    settle(whole(yaml.dump({kind: {"x": part, "people": part}}, allow_unicode=True)))
