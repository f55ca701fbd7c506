"""The place of every character of every kind of scalar."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.offsets import offsets
from engine.config.reader import read_text


def places(text, *path):
    node = read_text(text).root.get(*path)
    return node.text, offsets(text, node)[:-1]


@pytest.mark.parametrize(
    "text",
    [
        "a: plain {{ x }} text",
        "a: over\n  two lines\n\n  and more",
        "a: 'it''s {{ x }}'",
        "a: 'over\n  two {{ x }}\n\n  three'",
        'a: "x {{ y }}"',
        'a: "over\n   two {{ x }}\n\n   three"',
        'a: "over \\\n   two {{ x }}"',
        "a: |\n  one {{ x }}\n    two\n\n  three\n",
        "a: |2-\n    one {{ x }}\n   two\n",
        "a: | # {{ comment }}\n  one {{ x }}\n",
        "a: >\n  one {{ x }}\n  two\n\n    three\n  four\n",
        "a: &n !!str >+\n  one {{ x }}\n\n\n",
        "{z: 1, a: [one two, 'x']}",
        "a:\r\n  over\r\n  two {{ x }}\r\n",
    ],
)
def test_what_is_no_white_space_is_found_where_it_stands(text):
    path = ("a",) if read_text(text).root.get("a").kind == "scalar" else ("a", 0)
    parsed, found = places(text, *path)
    assert found == sorted(found)
    for char, offset in zip(parsed, found, strict=True):
        assert char.isspace() or text[offset] == char


def test_escapes_are_found_at_their_backslash():
    text = r'a: "\u00e9\x41\t\"{\U0001F600}\\"'
    parsed, found = places(text, "a")
    assert parsed == 'éA\t"{😀}\\'
    assert [text[offset : offset + 2] for offset in found] == [r"\u", r"\x", r"\t", r"\"", "{\\", r"\U", "}\\", r"\\"]


def test_indentation_within_a_literal_is_exact():
    text = "a: |\n  one\n      {% x\n"
    parsed, found = places(text, "a")
    at = parsed.index("{%")
    assert [text[offset] for offset in found[at - 4 : at + 2]] == [" ", " ", " ", " ", "{", "%"]


@settings(deadline=None)
@given(
    st.text(alphabet="ab{}% '\"\\\n\té😀:#", min_size=1, max_size=60),
    st.sampled_from(["'", '"', "|", ">"]),
    st.integers(10, 80),
)
def test_scalars_as_another_writer_writes_them(value, style, width):
    text = yaml.dump({"key": {"a": value}}, default_style=style, width=width, allow_unicode=True)
    parsed, found = places(text, "key", "a")
    assert parsed == value
    for char, offset in zip(parsed, found, strict=True):
        if not char.isspace():
            assert text[offset] == char or text[offset] == "\\"
