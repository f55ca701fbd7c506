"""One expression, one value: exact, with its type; what is missing or unreadable is an error."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import RecordError
from engine.mapping.values import OMIT
from tests.mapping.support import compiled, same, value_of


@pytest.mark.parametrize(
    "text",
    ["1e5", "00123", "1_000", "12 ", "None", "True", "null", "1.10", "0x10", "b'x'", "1+2j", "", " ", "NaN", "[1]"],
)
def test_texts_stay_texts(text: str) -> None:
    assert value_of("{{ record.x }}", {"x": text}) == text
    assert value_of(text, {}) == text
    assert value_of("{{ record.x | string }}", {"x": text}) == text


@pytest.mark.parametrize(
    "number", [10**39 + 7, -(10**40), 2**63, 0, 1.5, 1e300, -0.1, True, False, None, [], {}, [1, None]]
)
def test_values_keep_their_type(number: Any) -> None:
    assert same(value_of("{{ record.x }}", {"x": number}), number)
    assert same(value_of(number), number)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("{{ record.a }}", "x"),
        ("{{record.a}}\n", "x"),
        ("{{ record.a }}\n\n", "x\n"),
        (" {{ record.a }}", " x"),
        ("{{ record.a }} ", "x "),
        ("{{ record.n }}", 5),
        ("{{ record.n }} ", "5 "),
        ("{{ record.f }};{{ record.big }};{{ record.yes }}", "1.5;" + "9" * 40 + ";true"),
        ("{{ record.a }}{{ record.a }}", "xx"),
        ("}} and { and %}", "}} and { and %}"),
        ("{{ '{{' }}", "{{"),
        ("a\n{{ record.a }}\n", "a\nx"),
    ],
)
def test_alone_it_is_a_value_and_with_text_around_it_is_text(text: str, wanted: Any) -> None:
    assert same(value_of(text, {"a": "x", "n": 5, "f": 1.5, "big": int("9" * 40), "yes": True}), wanted)


@pytest.mark.parametrize("inside", ["record.none", "omit", "record.l", "record.m"])
def test_null_omit_lists_and_maps_cannot_stand_in_text(inside: str) -> None:
    with pytest.raises(RecordError):
        value_of(f"a {{{{ {inside} }}}}", {"none": None, "l": [1], "m": {}})


def test_a_field_always_wins_over_a_method() -> None:
    record = {"items": [1], "keys": "k", "get": None, "m": {"values": {"b": 2}, "count": 3}}
    assert value_of("{{ record.items }}", record) == [1]
    assert value_of("{{ record['keys'] }}", record) == "k"
    assert value_of("{{ record.get }}", record) is None
    assert value_of("{{ record.m.values.b + record.m.count }}", record) == 5
    with pytest.raises(RecordError, match='has a field "items", and a field cannot be called'):
        value_of("{{ record.items() }}", record)
    assert value_of("{{ record.m.keys() }}", record) == ["values", "count"]
    with pytest.raises(RecordError, match='record has no field "values"'):
        value_of("{{ record.values }}", {"a": 1})


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("{{ record.emial }}", 'record has no field "emial"; did you mean "email"?'),
        ("{{ record.emial | lower }}", 'record has no field "emial"; did you mean "email"?'),
        ("{{ record.emial == 1 }}", 'record has no field "emial"; did you mean "email"?'),
        ("{{ record.emial is none }}", 'record has no field "emial"; did you mean "email"?'),
        ("{{ [record.emial] }}", 'record has no field "emial"; did you mean "email"?'),
        ("Hi {{ record.emial }}", 'record has no field "emial"; did you mean "email"?'),
        ("{{ 1 if record.emial else 2 }}", 'record has no field "emial"; did you mean "email"?'),
        ("{{ record.address.city }}", 'record.address has no field "city"'),
        ("{{ record.email.city }}", 'record.email is a text and has no field "city"'),
        ("{{ record.nothing.city }}", 'record.nothing is null and has no field "city"'),
        ("{{ record.list[3] }}", "record.list has no element 3: it has 1"),
        ("{{ record.address.zip.code | default(1) }}", 'record.address has no field "zip"'),
        ("{{ 'a' if false }}", "the condition does not hold, and there is no else"),
        ("{{ record.email | float }}", 'float: "x" is not a number'),
        ("{{ record.email | int }}", 'int: "x" is not a whole number'),
        ("{{ record.nothing | float }}", "float: null is not a number"),
        ("{{ record.email | bool }}", 'bool: "x" is not a boolean'),
        ("{{ record.email | epoch_ms }}", 'epoch_ms: "x" is not a date it can read'),
        ("{{ record.email + 1 }}", "cannot add a text and a number; `~` joins texts, `| float` makes a number"),
        ("{{ record.email < 1 }}", 'cannot compare a text ("x") < a number (1)'),
        ("{{ record.email / 2 }}", '/ works on numbers, not on a text ("x"); `| float` makes one'),
        ("{{ 1 / record.zero }}", "division by zero"),
        ("{{ record.list | first | lower ~ record.nothing }}", "null cannot stand in the middle of text"),
        ("{{ record.email | pick('a') }}", "pick works on a map, not on a text"),
        ("{{ {1: 2} }}", "1 is no text"),
        ("{{ reject('not ours') }}", "not ours"),
        ("{{ omit + 1 }}", "omit can only be the whole value of a field"),
    ],
)  # fmt: skip
def test_a_reason_says_what_was_found_and_what_would_do(expression: str, reason: str) -> None:
    record = {"email": "x", "address": {"street": "s"}, "nothing": None, "list": ["A"], "zero": 0}
    with pytest.raises(RecordError) as caught:
        value_of(expression, record)
    assert caught.value.reason.startswith(reason)
    assert caught.value.field == "x"


EXAMPLES: list[tuple[str, Any]] = [
    # missing and null
    ("record.no | default('d')", "d"),
    ("record.no | d", ""),
    ("record.none | default('d')", None),
    ("record.none | default('d', true)", "d"),
    ("record.empty | default('d')", ""),
    ("record.empty | default('d', boolean=true)", "d"),
    ("record.m.no | default(record.nope) | default('e')", "e"),
    ("record.none.x | default('d')", "d"),
    ("record.no | default(omit)", OMIT),
    ("record.a | default(reject('none'))", "Ada"),
    ("record.no is defined", False),
    ("record.no is undefined", True),
    ("record.none is defined", True),
    ("record.m.k is defined and record.m.k == 'v'", True),
    ("record.none is none", True),
    ("coalesce(record.no, record.none, record.a)", "Ada"),
    ("coalesce(record.no, omit)", OMIT),
    ("coalesce(record.a, reject('never'))", "Ada"),
    ("coalesce(record.no, record.none) | default(3)", 3),
    ("omit if record.a else 1", OMIT),
    ("skip('not ours') if record.a == 'Ada' else 1", "filtered"),
    ("record.no | default(skip('no'))", "filtered"),
    ("record.a | int(omit)", OMIT),
    ("record.a | float(default=none)", None),
    ("record.a | int(skip('bad'))", "filtered"),
    # texts
    ("record.a | lower", "ada"), ("record.a | upper", "ADA"), ("'ada LOVE' | title", "Ada Love"),
    ("'o\\'neil' | title", "O'neil"), ("'ADA' | capitalize", "Ada"), ("'  x ' | trim", "x"), ("'xax' | trim('x')", "a"),
    ("5 | string", "5"), ("true | string", "true"), ("1.0 | string", "1.0"), ("'a' ~ 1 ~ true ~ 1.5", "a1true1.5"),
    ("'a-b-c' | replace('-', '_')", "a_b_c"), ("'a-b-c' | replace('-', '', 1)", "ab-c"), ("'a,b' | split(',')", ["a", "b"]),
    ("' a  b ' | split", ["a", "b"]), ("'a,b,c'.split(',', 1)", ["a", "b,c"]), ("['a', 1, true] | join('-')", "a-1-true"),
    ("[{'k': 'x'}, {'k': 'y'}] | join(',', attribute='k')", "x,y"), ("'abc' | length", 3), ("record.l | count", 3),
    ("'abc'[1:]", "bc"), ("'abc'[-1]", "c"), ("'abc' | first", "a"), ("'abc' | reverse", "cba"),
    ("'Ada'.startswith('A')", True), ("'b' in 'abc'", True), ("'ab'.removeprefix('a')", "b"),
    # numbers
    ("'42' | int", 42), ("'+42' | int", 42), ("' 042 ' | int", 42), ("'12.0' | int", 12), ("12.7 | int", 12), ("'-3' | int", -3),
    ("'" + "9" * 40 + "' | int", int("9" * 40)), ("'" + "9" * 40 + "' | int + 1", 10**40), ("true | int", 1),
    ("'79' | float", 79.0), ("'1e5' | float", 100000.0), ("'.5' | float", 0.5), ("3 | float", 3.0), ("'x' | float(0)", 0),
    ("'yes' | bool", True), ("'OFF' | bool", False), ("0 | bool", False), ("1.0 | bool", True), ("'' | bool(false)", False),
    ("2.345 | round(1)", 2.3), ("2.5 | round", 2.0), ("7 | round", 7), ("2.31 | round(1, 'ceil')", 2.4),
    ("2.39 | round(1, 'floor')", 2.3), ("-3 | abs", 3), ("7 // 2", 3), ("7 % 4", 3), ("7 / 2", 3.5), ("1 < 2 < 3", True),
    ("-(3)", -3), ("not 1", False), ("1 if 2 > 1 else 0", 1), ("4 is even", True), ("9 is divisibleby(3)", True),
    # lists and maps
    ("record.l | sum", 6), ("[{'p': 1.5}, {'p': 2}] | sum(attribute='p')", 3.5), ("record.l | min", 1), ("record.l | max", 3),
    ("record.l | sort", [1, 2, 3]), ("['b', 'A'] | sort", ["A", "b"]), ("record.l | sort(reverse=true) | first", 3),
    ("[1, 1, 2] | unique", [1, 2]), ("['a', 'A'] | unique", ["a"]), ("record.l | last", 2), ("[] | first | default(0)", 0),
    ("record.l + [4]", [3, 1, 2, 4]), ("record.l[0]", 3), ("record.l[:2]", [3, 1]), ("3 in record.l", True),
    ("{'a': 1, 'b': 2} | pick('a', 'z')", {"a": 1}), ("{'a': 1, 'b': 2} | without('a')", {"b": 2}),
    ("{'b': 1, 'a': 2} | dictsort", [["a", 2], ["b", 1]]), ("{'b': 1} | items", [["b", 1]]), ("{'b': 1}.get('c', 9)", 9),
    ("{'b': 1} | list", ["b"]), ("record.m['k']", "v"), ("record.m.get('k')", "v"), ("('a', 'b')", ["a", "b"]),
    ("['1', '2'] | map('int')", [1, 2]), ("[{'a': {'b': 1}}] | map(attribute='a.b')", [1]),
    ("[{'a': 1}, {}] | map(attribute='a', default=0)", [1, 0]), ("[1, '', 2] | select", [1, 2]),
    ("[1, 'a'] | reject('string')", [1]), ("[{'a': 1}, {'a': 0}] | selectattr('a')", [{"a": 1}]),
    ("[{'a': 1}, {'a': 2}] | selectattr('a', 'ge', 2)", [{"a": 2}]), ("[{'a': 1}, {}] | rejectattr('a', 'defined')", [{}]),
    # dates
    ("'2024-01-02' | parse_date", "2024-01-02T00:00:00+00:00"),
    ("'31/12/2024 10:30' | parse_date('%d/%m/%Y %H:%M')", "2024-12-31T10:30:00+00:00"),
    ("'31/12/2024' | parse_date('%d/%m/%Y', tz='Europe/Paris')", "2024-12-31T00:00:00+01:00"),
    ("'31/12/2024' | parse_date('%d/%m/%Y', '-05:30') | epoch", 1735623000),
    ("'2024-06-01T12:00:00Z' | iso", "2024-06-01T12:00:00+00:00"), ("86400 | iso", "1970-01-02T00:00:00+00:00"),
    ("1500 | iso(unit='ms')", "1970-01-01T00:00:01.500000+00:00"), ("'1970-01-02' | epoch", 86400),
    ("'1970-01-01T00:00:01.5Z' | epoch_ms", 1500), ("'1970-01-01T02:00:00+02:00' | epoch", 0),
    ("'1969-12-31T23:59:59.999Z' | epoch", -1), ("'n/a' | epoch(default=none)", None), ("'' | iso(default=omit)", OMIT),
    # digests, JSON, patterns
    ("'a' | md5", "0cc175b9c0f1b6a831c399e269772661"),
    ("'a' | sha256", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
    ("'' | murmur3", 0), ("'hello' | murmur3", 613153351), ("'hello' | murmur3(seed=1)", 3142237357),
    ("{'a': [1, none, 'é']} | json", '{"a":[1,null,"é"]}'), ("'{\"a\": 1e2}' | from_json", {"a": 100.0}),
    ("'" + "9" * 40 + "' | from_json", int("9" * 40)),
    ("'order 42 of 7' | regex_search('[0-9]+')", "42"), ("'a=1' | regex_search('([a-z])=')", "a"),
    ("'k:v' | regex_search('(\\w):(\\w)', 2)", "v"), ("'x' | regex_search('[0-9]')", None),
    ("'+33 6-12' | regex_replace('[^0-9]', '')", "33612"), ("'a b' | regex_replace('(\\w) (\\w)', '\\\\2 \\\\1')", "b a"),
    ("'ada@x.org' | regex_search('^[^@]+@[^@]+[.][a-z]+$')", "ada@x.org"), ("'aaa' | regex_replace('a', 'b', 2)", "bba"),
    # what else can be seen
    ("vars.min_ltv + 1", 11), ("vars.greeting ~ '!'", "Hi!"), ("run.id", "r1"), ("vars.no | default(0)", 0),
    ("meta.line", 2), ("meta.file", "data.csv"), ("meta.source", "customers"), ("meta.offset", 0),
    ("flags.values.button | default('none')", "none"),
]  # fmt: skip
RECORD = {"id": "7", "a": "Ada", "none": None, "empty": "", "m": {"k": "v"}, "l": [3, 1, 2]}


@pytest.mark.parametrize(("expression", "wanted"), EXAMPLES)
def test_every_word_of_the_language(expression: str, wanted: Any) -> None:
    assert same(value_of(f"{{{{ {expression} }}}}", RECORD), wanted)


def test_record_id_hangs_on_pipeline_source_and_key_alone() -> None:
    first = value_of("{{ record_id }}", {"id": "7", "x": 1})
    assert first == value_of("{{ record_id() }}", {"id": "7", "x": 2}) == "c0ed59d4db4138272cdd446a9895c877"
    assert first != value_of("{{ record_id }}", {"id": "8"})
    assert first != value_of("{{ record_id }}", {"id": 7})
    with pytest.raises(RecordError, match='record has no field "id"'):
        value_of("{{ record_id }}", {"x": 1})


@pytest.mark.parametrize(
    "text", ["1_000", "1,5", "", " ", "0x10", "nan", "inf", "-Infinity", "٣", "1 2", "--1", "1e999", "None"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    for reader in ("int", "float"):
        with pytest.raises(RecordError, match=f"{reader}: "):
            value_of(f"{{{{ record.x | {reader} }}}}", {"x": text})
        assert value_of(f"{{{{ record.x | {reader}(none) }}}}", {"x": text}) is None


@pytest.mark.parametrize("text", ["1e5", "12.5", "12.", "1.0.0", ".0"])
def test_int_takes_whole_numbers_only(text: str) -> None:
    with pytest.raises(RecordError, match="int: "):
        value_of("{{ record.x | int }}", {"x": text})


def test_what_only_check_can_tell() -> None:
    for expression, code, hint in (
        ("{{ record.a | lowr }}", "unknown-filter", 'did you mean "lower"?'),
        ("{{ record.a | tojson }}", "unknown-filter", 'did you mean "json"?'),
        ("{{ record.a is strng }}", "unknown-test", 'did you mean "string"?'),
        ("{{ rekord.a }}", "unknown-name", 'did you mean "record"?'),
        ("{{ colesce(1) }}", "unknown-function", 'did you mean "coalesce"?'),
        ("{{ record.a.lowr() }}", "unknown-method", 'did you mean "lower"?'),
        ("{{ vars.min_lvt }}", "unknown-vars", 'did you mean "min_ltv"?'),
        ("{{ meta.lines }}", "unknown-meta", 'did you mean "line"?'),
        ("{{ record.a | int(1, 2) }}", "bad-arguments", ""),
        ("{{ record.a | lower(x=1) }}", "bad-arguments", ""),
        ("{{ record.a | regex_search(record.b) }}", "not-literal", ""),
        ("{{ [] | map(record.a) }}", "not-literal", ""),
        ("{{ [] | map('lowr') }}", "unknown-filter", 'did you mean "lower"?'),
        ("{{ record.a ** 2 }}", "not-allowed", "multiply instead"),
        ("{{ record._id }}", "private-name", 'a field of that name is reached with ["_id"]'),
        ("{{ record.a", "syntax", ""),
        ("{{ }}", "syntax", ""),
    ):
        mapper, problems = compiled({"x": expression})
        assert mapper is None
        assert [(problem.code, problem.hint) for problem in problems] == [(code, hint)], expression
        assert problems[0].path == ("mappings", "profiles", "fields", "x")
        assert problems[0].at is not None and problems[0].at <= len(expression)


def test_a_finding_points_at_the_word() -> None:
    text = "line one\n{{ record.emial | lowr }} and {{ foo }}"
    _, problems = compiled({"x": text}, ("email",))
    assert [(text[p.at or 0 :][: p.length], p.code) for p in problems] == [
        ("emial", "unknown-column"), ("lowr", "unknown-filter"), ("foo", "unknown-name"),
    ]  # fmt: skip
