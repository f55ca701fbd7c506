"""YAML as we read it: JSON's scalars only, positions, limits; and no text that makes the reader raise."""

import pytest
import yaml

from engine.config import reader
from engine.config.reader import read_text


def data(text):
    reading = read_text(text)
    assert not reading.flaws
    return reading.root.data()


def codes(text):
    return [flaw.code for flaw in read_text(text).flaws]


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def loader(request, monkeypatch):
    """Everything holds with libyaml and, where it is missing, with the loader in Python."""
    monkeypatch.setattr(reader, "_LOADER", getattr(yaml, request.param))
    return request.param


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True), ("false", False), ("null", None), ("", None), ("0", 0), ("-1", -1), ("79", 79),
        ("1.5", 1.5), ("1e5", 100000.0), ("1E-2", 0.01), ("-0.5e+2", -50.0),
        ("1234567890123456789012345678901234567890", 1234567890123456789012345678901234567890),
    ],
)  # fmt: skip
def test_json_scalars_are_typed(written, value):
    found = data(f"a: {written}")["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    ["no", "yes", "on", "off", "True", "NULL", "~", "010", "01234", "12:30", "12:34:56", "2024-01-01", ".inf",
    "-.inf",
     ".nan", "NaN", "Infinity", "1_000", "0x10", "0o17", "0b1", "+1", "1.", ".5", "1e", "00123", "1.10.0", "--1", "٣",
     "1 2", "12abc"],
)  # fmt: skip
def test_everything_else_is_text(text):
    assert data(f"a: {text}") == {"a": text}


@pytest.mark.parametrize("text", ["1", "1e5", "true", "null", "", "~", "0.5"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_quoted_scalars_are_text(text, quote):
    assert data(f"a: {quote}{text}{quote}") == {"a": text}


def test_block_scalars_are_text():
    assert data("a: |\n  5\nb: >-\n  true\n") == {"a": "5\n", "b": "true"}


def test_core_tags_are_obeyed():
    assert data("a: !!str 5\nb: !!int '5'\nc: !!float 5\nd: !!map {}\ne: !!seq []\nf: ! 7\n") == {
        "a": "5", "b": 5, "c": 5.0, "d": {}, "e": [], "f": "7",
    }  # fmt: skip
    assert isinstance(data("c: !!float 5")["c"], float)


def test_anchors_and_merges():
    text = "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [{a: 9}, *x]}\nw: [*x, *x]\nq: {'<<': 1}\n"
    assert data(text) == {

        "x": {"a": 1, "b": 2}, "y": {"a": 1, "b": 3}, "z": {"a": 9, "b": 2}, "w": [{"a": 1, "b": 2}] * 2,
        "q": {"<<": 1},
    }  # fmt: skip


def test_a_merge_counts_wherever_it_stands():
    assert data("x: &x {a: 1}\ny:\n  a: 2\n  <<: *x\n")["y"] == {"a": 2}


@pytest.mark.parametrize("count", [65, 70, 5_000, 200_000, 500_000])
@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_refused(opening, count):
    text = opening * count
    assert codes(text[: 1 << 20])[-1] in ("too-large", "bad-yaml")


def test_depth_up_to_the_limit_is_read():
    assert codes("a: " + "[" * 62 + "]" * 62) == []
    assert codes("a: " + "[" * 64 + "]" * 64) == ["too-large"]


def test_indentation_deeper_than_the_limit_is_refused():
    assert codes("\n".join(" " * i + "a:" for i in range(200))) == ["too-large"]


def test_an_alias_bomb_is_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert codes("\n".join(lines)) == ["too-large"]


def test_a_merge_bomb_is_refused():
    keys = ", ".join(f"k{i}: 0" for i in range(5000))
    lines = [f"a: &a {{{keys}}}", *(f"b{i}: {{<<: *a}}" for i in range(50))]
    assert codes("\n".join(lines)) == ["too-large"]


def test_aliases_that_deepen_are_refused():
    lines = ["a0: &a0 " + "[" * 30 + "]" * 30]
    lines += [f"a{i}: &a{i} " + "[" * 30 + f"*a{i - 1}" + "]" * 30 for i in range(1, 50)]
    assert codes("\n".join(lines)) == ["too-large"]


def test_too_many_aliases_are_refused():
    assert codes("a: &a 1\nb: [" + ", ".join(["*a"] * 100) + "]") == []
    assert codes("a: &a 1\nb: [" + ", ".join(["*a"] * 101) + "]") == ["too-large"]


def test_too_many_nodes_are_refused(monkeypatch):
    assert reader.MAX_NODES == 100_000
    monkeypatch.setattr(reader, "MAX_NODES", 1000)
    assert codes("a: [" + "1," * 997 + "]") == []
    assert codes("a: [" + "1," * 998 + "]") == ["too-large"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty-file"), ("# nothing\n", "empty-file"), ("---\n", "empty-file"), ("...", "bad-yaml"),
        ("- a\n- b\n", "not-a-map"), ("text", "not-a-map"), ("null", "not-a-map"), ("''", "not-a-map"),
        ("a: \x00", "bad-character"), ("a: \x07", "bad-character"), ("a: \ud800", "bad-character"),
        ("a: " + "9" * 5000, "bad-number"), ("a: 1e400", "bad-number"), ("a: {{ x }}", "unquoted-expression"),
        ("a: !!python/name:os.system x", "bad-tag"), ("a: !!binary aGk=", "bad-tag"),
        ("a: !!timestamp 2024-01-01", "bad-tag"),
        ("a: !!set {x}", "bad-tag"), ("a: !!map 5", "bad-tag"), ("a: 1\n---\nb: 2", "second-document"),
        ("a: 1\na: 2", "duplicate-key"), ("'a': 1\n\"a\": 2", "duplicate-key"), ("a: {b: {c: 1, c: 2}}",
        "duplicate-key"),
        ("1: a", "bad-key"), ("null: a", "bad-key"), (": a", "bad-yaml"), ("[a]: b", "bad-key"),
        ("a: *b", "bad-alias"), ("a: &b [*b]", "bad-alias"), ("%YAML 9.9\n---\na: 1", "bad-yaml"), ("a: `b`",
        "bad-yaml"),
        ("a: @b", "bad-yaml"), ("%TAG ! x\n%TAG ! y\n---\na: 1", "bad-yaml"),
    ],
)  # fmt: skip
def test_what_is_refused(text, code):
    assert code in codes(text)


def test_a_number_that_is_quoted_may_be_long():
    assert data(f'a: "{"9" * 5000}"') == {"a": "9" * 5000}


def test_all_flaws_are_found_in_one_pass():
    text = "a: 1\na: 2\nb: !x 1\n3: c\nd: 1e999\n"
    assert codes(text) == ["duplicate-key", "bad-tag", "bad-key", "bad-number"]


def test_positions_of_keys_and_values():
    text = "# é\na: {b: [x, 'y z']}\n\"k\": &n !!str v\n"
    root = read_text(text).root
    assert text[root.entries["k"].key.start : root.entries["k"].key.end] == '"k"'
    assert text[root.get("k").start : root.get("k").end] == "v"
    assert text[root.get("a", "b", 1).start : root.get("a", "b", 1).end] == "'y z'"


def test_offsets_survive_windows_line_ends_and_wide_characters():
    text = "a: é😀\r\nb: |\r\n  x\r\n\r\nc: z\r\n"
    node = read_text(text).root.get("c")
    assert text[node.start : node.end] == "z"
