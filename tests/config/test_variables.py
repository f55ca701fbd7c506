"""`${X}`: its forms, how settings read it, and that nothing it brings in is ever an expression."""

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.nodes import Node
from engine.config.variables import substitute, template
from engine.model import Problem, Secret
from tests.config.demo import good, read


def described(text, **more):
    return good(f"description: '{text}'", **more).description


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${WORD}", "word"),
        ("a ${WORD} b ${WORD}", "a word b word"),
        ("${NOT:-default}", "default"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${NOT:-}", ""),
        ("${NOT:-a: b # c}", "a: b # c"),
        ("${WORD:-default}", "word"),
        ("${WORD:?needed}", "word"),
        ("$${WORD}", "${WORD}"),
        ("$$${WORD}", "$${WORD}"),
        ("$WORD and $ and {WORD}", "$WORD and $ and {WORD}"),
    ],
)
def test_forms(written, value):
    assert described(written) == value


@pytest.mark.parametrize(
    "value", ["a: b", "x # y", "\"quoted' \\", "[1, 2]", "- a\n- b", "*alias", "${WORD}", "!!str"]
)
def test_a_value_may_hold_what_yaml_would_read(value):
    assert good("description: ${V}", environ={"V": value, "TOKEN": "t"}).description == value


def test_settings_that_are_not_text_read_a_yaml_scalar():
    pipeline = good(
        'sinks: {out: {type: stdout, concurrency: "${FOUR}"}, v: {type: demo, token: "${TOKEN}", strictly: "${YES}", '
        'level: "${FOUR}", share: "${SHARE}", region: "${REGION}"}}\n',
        environ={"FOUR": "4", "TOKEN": "t", "YES": "true", "SHARE": "5%", "REGION": "south"},
    )
    assert pipeline.sinks["out"].concurrency == 4
    settings = pipeline.sinks["v"].settings
    assert settings["strictly"] is True
    assert (settings["level"], settings["share"], settings["region"]) == (4, 0.05, "south")


def test_text_settings_stay_text():
    pipeline = good("name: ${NUMBER}", environ={"NUMBER": "00123", "TOKEN": "t"})
    assert pipeline.name == "00123"
    pipeline = good("name: ${NUMBER}", environ={"NUMBER": "123", "TOKEN": "t"})
    assert pipeline.name == "123"


def test_an_unquoted_var_is_a_scalar_and_a_quoted_one_text():
    assert good('vars:\n  a: ${FOUR}\n  b: "${FOUR}"\n  c: ${FOUR}4\n  d: ${WORD}\n').vars == {
        "a": 4,
        "b": "4",
        "c": "44",
        "d": "word",
    }


def test_a_field_is_text_whatever_the_variable_holds():
    fields = good("mappings: {m: {from: people, to: out, fields: {a: '${FOUR}'}}}").mappings["m"].fields
    assert fields == {"a": "4"}


def rendered(text):
    """What Jinja makes of a template's text, exactly one expression keeping its value."""
    return (
        jinja2.Environment(autoescape=False, keep_trailing_newline=True).from_string(text).render(record={"id": "7"})
    )


@pytest.mark.parametrize(
    "value", ["{{ record.id }}", "{% if x %}", "{# x #}", "}}", "{", "%}", "\"'\\", "é😀\n", "{{ 'a' }}{{", "\\x7b"]
)
@pytest.mark.parametrize(
    "around", ["${V}", "a ${V} b", "{${V}{ record.id }}", "{{ record.id }} ${V}", "${V} {{ record.id }}"]
)
def test_what_is_brought_in_is_never_an_expression(value, around):
    text = f"mappings: {{m: {{from: people, to: out, fields: {{a: '{around}'}}}}}}"
    found = good(text, environ={"V": value, "TOKEN": "t"}).mappings["m"].fields["a"]
    parts = around.split("${V}")
    if around.startswith("{$"):
        assert rendered(found) == parts[0] + value + parts[1]
    else:
        assert rendered(found) == value.join(part.replace("{{ record.id }}", "7") for part in parts)


PIECES = st.sampled_from(["${V}", "{", "}", "%", "#", "x", "'", '"', "{{ record.id }}", "\\", " "])


@settings(deadline=None)
@given(st.lists(PIECES, max_size=7), st.text(alphabet="{}%#'\"\\ a\n", max_size=6))
def test_no_value_completes_an_expression(pieces, value):
    """A template and its values: what Jinja sees are the author's own expressions and constants."""
    text = "".join(pieces)
    node = Node("scalar", 0, len(text), "'", text, text)
    if substitute(node, {"V": value}, template=True) or not node.parts:
        return
    try:
        own = variables(text.replace("${V}", "v"))
        stripped = variables(text.replace("${V}", ""))
    except jinja2.TemplateSyntaxError:
        return
    if own == stripped:
        assert variables(template(node)) <= own


def variables(text):
    """The attributes that a template reads."""
    tree = jinja2.Environment(autoescape=False).parse(text)
    return {found.attr for found in tree.find_all(jinja2.nodes.Getattr)}


def test_lookups_are_templates_too():
    text = 'lookups: {flags: {type: demo.ask, with: {who: "${BRACES}"}}}'
    who = good(text).lookups["flags"].parameters["who"]
    assert rendered(who) == "{{ record.id }}"


def test_settings_marked_as_expressions_are_templates():
    text = (
        'sinks: {out: {type: stdout}, v: {type: demo, token: "${TOKEN}", greeting: "${BRACES}", cache: "${BRACES}"}}'
    )
    settings = good(text).sinks["v"].settings
    assert rendered(settings["greeting"]) == "{{ record.id }}"
    assert settings["cache"] == "/home/pipelines/{{ record.id }}"


def test_a_literal_dollar_within_an_expression():
    text = "mappings: {m: {from: people, to: out, fields: {a: \"{{ record.a | regex_replace('(x)', '$${1}') }}\"}}}"
    assert good(text).mappings["m"].fields["a"] == "{{ record.a | regex_replace('(x)', '${1}') }}"


def test_problems_of_expressions_are_placed_behind_what_was_brought_in():
    text = "mappings: {m: {from: people, to: out, fields: {a: '${V} and {{ record.x | nope }}'}}}"
    for value in ("v", "a longer value", "{{", ""):
        loaded = read(text, environ={"V": value, "TOKEN": "t"})
        template = loaded.pipeline.mappings["m"].fields["a"]
        problem = Problem("x", "x", ("mappings", "m", "fields", "a"), at=template.index("nope"), length=4)
        finding = loaded.document.place(problem)
        assert (finding.line, finding.column) == (1, text.index("nope") + 1)


def test_values_of_variables_are_not_quoted_in_messages():
    loaded = read("delivery:\n  order: ${V}\n", environ={"V": "very-secret", "TOKEN": "t"})
    assert [finding.code for finding in loaded.findings] == ["bad-enum"]
    assert "very-secret" not in loaded.findings[0].render()
    assert "${V}" in loaded.findings[0].message


def test_all_unset_variables_are_told_at_once():
    loaded = read('description: "${A} ${B}"\nvars: {a: "${C}"}\n')
    assert [finding.code for finding in loaded.findings] == ["unset-variable"] * 3


def test_unset_secrets():
    text = 'sinks: {out: {type: stdout}, v: {type: demo, token: "${NOWHERE}"}}'
    assert [(f.code, f.severity) for f in read(text).findings] == [("unset-variable", "error")]
    checked = read(text, sending=False)
    assert [(f.code, f.severity) for f in checked.findings] == [("unset-variable", "warning")]
    assert isinstance(checked.pipeline.sinks["v"].settings["token"], Secret)
    pretended = read(text, sandbox=True)
    assert pretended.findings == []
    assert pretended.pipeline.sinks["v"].settings["token"] == Secret("sandbox")


def test_an_unset_variable_that_is_no_secret_is_an_error_everywhere():
    for more in ({}, {"sending": False}, {"sandbox": True}):
        assert [f.severity for f in read("name: ${NOWHERE}", **more).findings] == ["error"]


def test_anchored_values_are_replaced_once_and_rightly():
    pipeline = good("vars: {a: &a '${BRACES}'}\nmappings: {m: {from: people, to: out, fields: {a: *a}}}")
    assert pipeline.vars == {"a": "{{ record.id }}"}
    assert rendered(pipeline.mappings["m"].fields["a"]) == "{{ record.id }}"
