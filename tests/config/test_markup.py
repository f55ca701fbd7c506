"""Where expressions are, as Jinja itself sees it."""

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.markup import has_markup, is_expression, spans


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ a }}", [("{{", 0, 7)]),
        ("x {{ a }} y {{ b }}", [("{{", 2, 9), ("{{", 12, 19)]),
        ("{{ '}}' }}", [("{{", 0, 10)]),
        ('{{ "\\"}}" }}', [("{{", 0, 12)]),
        ("{{ {'a': {'b': 1}} }}", [("{{", 0, 21)]),
        ("{{ {'a': 1}['a'] }} {% if x %}", [("{{", 0, 19), ("{%", 20, 30)]),
        ("{# {{ a }} #}{{ b }}", [("{#", 0, 13), ("{{", 13, 20)]),
        ("{ { a } }", []),
    ],
)
def test_spans(text, expected):
    assert [(span.kind, span.start, span.end) for span in spans(text)] == expected
    assert all(span.closed for span in spans(text))


@pytest.mark.parametrize("text", ["{{ a", "x {% y", "{# z", "{{ {'a': 1 }}"])
def test_what_does_not_end(text):
    assert [span.closed for span in spans(text)] == [False]


@pytest.mark.parametrize("text", ["{{ a }}", "{{ a }}\n", "{{a}}", "{{ '{{' }}"])
def test_exactly_one_expression(text):
    assert is_expression(text)


@pytest.mark.parametrize("text", [" {{ a }}", "{{ a }} ", "{{ a }}\n\n", "{{ a }}{{ b }}", "{% a %}", "a", "{{ a"])
def test_more_or_less_than_one_expression(text):
    assert not is_expression(text)


PIECES = st.sampled_from(
    ["{{ a }}", "{{ 'x' }}", "{{ '}}' }}", "{{ {'k': 1}['k'] }}", "text", " ", "}", "}}", "%}", "\n"]
)


@settings(deadline=None)
@given(st.lists(PIECES, max_size=6).map("".join))
def test_jinja_agrees(text):
    tokens = list(jinja2.Environment(autoescape=True).lex(text))
    assert len(spans(text)) == sum(kind == "variable_begin" for _, kind, _ in tokens)
    assert has_markup(text) == any(kind == "variable_begin" for _, kind, _ in tokens)
