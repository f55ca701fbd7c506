"""Escapes and bombs: each is a finding of `check` or a failure of the record, at once and in little memory."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest

from engine.errors import RecordError
from engine.mapping import patterns
from engine.mapping.compiler import compile_value
from engine.mapping.values import MAX_SIZE
from tests.mapping.support import CONTEXT, compiled, rows_of, slow

ESCAPES = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ record.__class__ }}",
    "{{ record['__class__'] }}",
    "{{ record['__class__']['__base__'] }}",
    "{{ record | attr('__class__') }}",
    "{{ record | attr('__cl' ~ 'ass__') }}",
    "{{ ''['__class__'] }}",
    "{{ [].__class__.__base__ }}",
    "{{ {}.__class__ }}",
    "{{ (1).__class__ }}",
    "{{ true.__class__ }}",
    "{{ record.get.__self__ }}",
    "{{ record.get.__func__.__globals__ }}",
    "{{ record.items.__globals__ }}",
    "{{ '{0.__class__}'.format(record) }}",
    "{{ '{0.__class__.__mro__}' | format(record) }}",
    "{{ '%s' | format(record.__class__) }}",
    "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "{{ [record] | map(attribute='__class__') | list }}",
    "{{ [record] | map(attribute='a.__class__.__mro__') }}",
    "{{ [record] | map('attr', '__class__') }}",
    "{{ [record] | groupby('__class__') }}",
    "{{ [record] | selectattr('__class__') }}",
    "{{ [record] | sort(attribute='__class__') }}",
    "{{ [record] | unique(attribute='__class__') }}",
    "{{ [record] | sum(attribute='__class__') }}",
    "{{ [record] | join(',', attribute='__class__') }}",
    "{{ [record] | map('__class__') }}",
    "{{ [record] | select('__class__') }}",
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ joiner.__init__.__globals__ }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ dict(a=1) }}",
    "{{ range(3) }}",
    "{{ url_for.__globals__ }}",
    "{{ config }}",
    "{{ request }}",
    "{{ environ }}",
    "{{ loop }}",
    "{{ caller() }}",
    "{{ varargs }}",
    "{{ super() }}",
    "{{ _('x') }}",
    "{{ gettext('x') }}",
    "{{ debug() }}",
    "{{ eval('1') }}",
    "{{ __import__('os') }}",
    "{{ open('/etc/passwd') }}",
    "{{ record.update({'a': 2}) }}",
    "{{ record.pop('a') }}",
    "{{ record.clear() }}",
    "{{ record.setdefault('z', 1) }}",
    "{{ record.l.append(1) }}",
    "{{ record.l.extend([1]) }}",
    "{{ record.l.sort() }}",
    "{{ record.a.encode('utf-8') }}",
    "{{ record.a.translate({}) }}",
    "{{ record.a.join(['x']) }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% for x in [1] %}{{ x }}{% endfor %}",
    "{% set x = record %}",
    "{% macro m() %}{% endmacro %}",
    "{% raw %}{{ x }}{% endraw %}",
    "{# a comment #}",
    "{{ record.a | xmlattr }}",
    "{{ {'a': 1} | xmlattr }}",
    "{{ 'http://x' | urlize }}",
    "{{ record | pprint }}",
    "{{ [1, 2] | random }}",
    "{{ '<a>' | safe }}",
    "{{ '<a>' | escape }}",
    "{{ '<a>' | striptags }}",
    "{{ record.a is filter }}",
    "{{ 'lower' is test }}",
    "{{ record is callable }}",
    "{{ record.a is sameas(record.a) }}",
    "{{ record.a | lower(*record.l) }}",
    "{{ record.a | lower(**record) }}",
    "{{ coalesce(*record.l) }}",
    "{{ record.a() }}",
    "{{ record.l[0]() }}",
    "{{ (record.a | lower)() }}",
    "{{ record.get }}",
    "{{ record.items }}",
    "{{ meta.__class__ }}",
    "{{ vars.__class__ }}",
    "{{ run['__class__'] }}",
    "{{ omit.__class__ }}",
    "{{ omit._make }}",
    "{{ skip.__globals__ }}",
    "{{ skip }}",
    "{{ record_id.__class__ }}",
    "{{ record.a | regex_replace('a', '\\\\g<0>' * 1000) }}",
]

BOMBS = [
    "{{ 'x' * 10**9 }}",
    "{{ 'x' * 1000000000 }}",
    "{{ record.a * record.n }}",
    "{{ record.n * record.a }}",
    "{{ [0] * 1000000000 }}",
    "{{ record.l * record.n }}",
    "{{ ['b' * 900000] * 1000 }}",
    "{{ 'a' | center(1000000000) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.rjust(1000000000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ 'a'.center(record.n) }}",
    "{{ 'a\tb'.expandtabs(1000000000) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '%*d' % [1000000000, 1] }}",
    "{{ record.fmt % record.n }}",
    "{{ '%s' | format(1) }}",
    "{{ 1 | round(-10000000) }}",
    "{{ 1.5 | round(10000000) }}",
    "{{ 1 | round(record.n) }}",
    "{{ 1 | round(-10000000, 'ceil') }}",
    "{{ record | tojson(indent=1000000000) }}",
    "{{ record | json(1000000000) }}",
    "{{ 'a' | indent(1000000000) }}",
    "{{ 'a' | wordwrap(1) }}",
    "{{ [1] | batch(1000000000, 0) }}",
    "{{ [1] | slice(1000000000) }}",
    "{{ lipsum(100000) }}",
    "{{ range(99999) | map('string') | join }}",
    "{{ 9 ** 9 ** 9 }}",
    "{{ 2 ** record.n }}",
    "{{ 10 ** 400 }}",
    "{{ 1e999 }}",
    "{{ -1e999 }}",
    "{{ 1e308 * 10 }}",
    "{{ record.big * record.big * record.big }}",
    "{{ 1e308 + 1e308 - 1e308 - 1e308 }}",
    "{{ 1 / 0 }}",
    "{{ 1 % 0 }}",
    "{{ record.nan + 1 }}",
    "{{ record.s | replace('a', 'bbbbbbbbbbbbbbbbbbbb') }}",
    "{{ record.s.replace('', 'bbbbbbbbbbbbbbbbbbbb') }}",
    "{{ record.s | replace('', record.s) }}",
    "{{ record.s ~ record.s ~ record.s ~ record.s }}",
    "{{ record.s + record.s + record.s + record.s }}",
    "{{ record.s.split('') }}",
    "{{ record.many | join(record.s) }}",
    "{{ record.many + record.many }}",
    "{{ record.many | map('string') | sort | join(record.s) }}",
    "{{ [record.s, record.s, record.s, record.s] }}",
    "{{ {'a': record.s, 'b': record.s, 'c': record.s, 'd': record.s} }}",
    "{{ [record.s, record.s, record.s] | join(record.s) }}",
    "{{ [record.s, record.s, record.s] | json | json | json }}",
    "{{ record.s | regex_replace('a', '\\\\g<0>\\\\g<0>\\\\g<0>\\\\g<0>\\\\g<0>\\\\g<0>\\\\g<0>\\\\g<0>') }}",
    "{{ record.s | regex_search('(a+)+$') }}",
    "{{ record.s | regex_search('(a|aa)+$') }}",
    "{{ record.s | regex_search('(a|a)*b') }}",
    "{{ record.s | regex_search('a*a*a*a*a*a*b') }}",
    "{{ record.s | regex_search('(.*)(.*)(.*)(.*)(.*)x') }}",
    "{{ record.s | regex_search('a*b') }}",
    "{{ record.s | regex_search('" + "a?" * 30 + "a" * 30 + "b') }}",
    "{{ record.s | regex_search('(?=a*)b') }}",
    "{{ record.s | regex_search('(a*)\\\\1b') }}",
    "{{ record.s | regex_search('a{1,65535}b') }}",
    "{{ record.s | regex_search('(((a{1000}){1000}){1000})') }}",
    "{{ record.s | regex_search(record.a) }}",
    "{{ record.s | regex_search('[') }}",
    "{{ record.s | int }}",
    "{{ record.digits | int }}",
    "{{ record.digits | float }}",
    "{{ record.s | parse_date(record.s) }}",
    "{{ record.s | iso }}",
    "{{ record.deep | json }}",
    "{{ [record.deep] }}",
    "{{ record.jsondeep | from_json }}",
    "{{ record.huge | round }}",
    "{{ 'a' | parse_date('%Q') }}",
    "{{ 'a' | parse_date('%Z') }}",
    "{{ '2024-01-01' | iso('../../etc/passwd') }}",
    "{{ " + "(" * 500 + "1" + ")" * 500 + " }}",
    "{{ " + "[" * 500 + "]" * 500 + " }}",
    "{{ " + "not " * 900 + "1 }}",
    "{{ " + "-" * 3000 + "1 }}",
    "{{ 'a'" + " | upper" * 450 + " }}",
    "{{ 1" + " + 1" * 900 + " }}",
    "{{ record" + ".a" * 1900 + " }}",
    "{{ 1" + "0" * 4095 + " }}",
    "{{ '" + "a" * 5000 + "' }}",
    "{{ a" * 9000,
    "{{ 1 }}" * 20000,
    "{{" * 2000,
    "{{ '" + "\\" * 4001 + "' }}",
    "{{ " + "a " * 1500 + "}}",
]


def _deep(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


HOSTILE: dict[str, Any] = {
    "id": "1", "a": "a", "n": 10**9, "l": [1, 2], "fmt": "%1000000000d", "big": 10**3000, "nan": float("nan"),
    "s": "a" * 400_000, "many": ["x"] * 90_000, "digits": "9" * 300_000, "deep": _deep(400), "huge": 1.7e308, "jsondeep": "[" * 200_000,
}  # fmt: skip
TABLE: dict[str, Any] = {key: value for key, value in HOSTILE.items() if isinstance(value, str)}
SHAPES: list[tuple[dict[str, Any], tuple[str, ...] | None]] = [(HOSTILE, None), (TABLE, tuple(TABLE))]


def _refused(expression: str, record: dict[str, Any], columns: tuple[str, ...] | None) -> bool:
    mapper, problems = compiled({"x": expression}, columns)
    if mapper is None:
        assert all(problem.message and problem.path[:2] == ("mappings", "profiles") for problem in problems)
        return True
    rows = rows_of([record] if columns is None else [list(record.values())], columns)
    result, again = mapper(rows), slow(mapper)(rows)
    assert result.failed == again.failed
    return bool(result.failed) and result.payloads == [] and result.failed[0][1].field == "x"


@pytest.mark.parametrize("expression", ESCAPES + BOMBS)
def test_escapes_and_bombs_are_refused_at_once_and_in_little_memory(expression: str) -> None:
    harmless = ("{{ 'a' | upper", "{{ record.huge | round", "{{ 1 }}{{ 1 }}")
    started = time.process_time()
    for record, columns in SHAPES:
        assert _refused(expression, record, columns) or expression.startswith(harmless), expression
    assert time.process_time() - started < 2
    tracemalloc.start()  # slow: not while the time is taken
    try:
        _refused(expression, *SHAPES[0])
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()


def test_a_replacement_that_grows_too_large_is_refused_before_any_of_it_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []
    filled = patterns._filled
    monkeypatch.setattr(patterns, "_filled", lambda pieces, found: made.append(1) or filled(pieces, found))
    with pytest.raises(RecordError, match="larger than an expression may make"):
        patterns.regex_replace("a" * 400_000, "a", r"\g<0>" * 8)
    with pytest.raises(RecordError, match="larger than an expression may make"):
        patterns.regex_replace("a" * 600, "a", r"\g<0>" * 2_000)
    assert made == []
    assert patterns.regex_replace("aba", "(a)|x", r"\1\1") == "aabaa" and len(made) == 2


def test_a_record_is_never_changed() -> None:
    record = {"a": "x", "l": [3, 1, 2], "m": {"k": 1}}
    before = repr(record)
    fields = {"a": "{{ record.l | sort }}", "b": "{{ record.m | without('k') }}", "c": "{{ record.l | reverse }}",
              "d": "{{ record.m.items() }}", "e": "{{ record.l + [4] }}"}  # fmt: skip
    mapper, _ = compiled(fields)
    assert mapper is not None
    result = mapper(rows_of([record]))
    assert result.payloads[0]["a"] == [1, 2, 3] and result.payloads[0]["e"] == [3, 1, 2, 4]
    assert repr(record) == before


def test_names_that_double_at_each_step_stop_at_the_cap() -> None:
    let = {"v0": "{{ record.a }}"} | {f"v{n}": f"{{{{ v{n - 1} ~ v{n - 1} }}}}" for n in range(1, 60)}
    let_lists = {"w0": "{{ [record.a] }}"} | {f"w{n}": f"{{{{ [w{n - 1}, w{n - 1}] }}}}" for n in range(1, 60)}
    let_numbers = {"z0": "{{ record.n }}"} | {f"z{n}": f"{{{{ z{n - 1} * z{n - 1} }}}}" for n in range(1, 60)}
    for names, last in ((let, "v59"), (let_lists, "w59"), (let_numbers, "z59")):
        mapper, problems = compiled({"x": f"{{{{ {last} }}}}"}, let=names)
        assert mapper is not None, problems
        started = time.process_time()
        result = mapper(rows_of([{"a": "ab", "n": 12345}]))
        assert result.failed[0][1].code == "too-large"
        assert time.process_time() - started < 2


def test_what_a_file_says_is_never_read_as_code() -> None:
    nasty = [
        "'; raise SystemExit; '",
        '"""',
        "\\",
        "\n",
        "{x}",
        "}",
        "#",
        "\ud800",
        "\u2028",
        "__import__('os')",
        "c0",
        "row",
    ]
    record = {text: str(at) for at, text in enumerate(nasty)}
    fields: dict[str, Any] = {text: text for text in nasty if "{{" not in text}
    mapper, problems = compiled(fields, tuple(record))
    assert mapper is not None, problems
    assert mapper(rows_of([list(record.values())], tuple(record))).payloads == [fields]
    for text in nasty:
        quoted = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
        mapper, problems = compiled({"x": f"{{{{ record['{quoted}'] }}}}"}, tuple(record))
        assert mapper is not None, problems
        assert mapper(rows_of([list(record.values())], tuple(record))).payloads == [{"x": record[text]}]


def test_reading_a_large_file_takes_time_in_proportion() -> None:
    fields = {f"f{n}": "{{ record.a | lower ~ '-' ~ record.b | default('x') }}" for n in range(400)}
    started = time.process_time()
    mapper, problems = compiled(fields)
    assert mapper is not None and not problems
    assert time.process_time() - started < 2


def test_a_value_of_another_room_is_as_safe() -> None:
    values, problems = compile_value("{{ 9 ** 9 }}", ("lookups", "flags", "with", "x"), context=CONTEXT)
    assert values is None and problems[0].path == ("lookups", "flags", "with", "x")
    values, problems = compile_value("{{ record.s ~ record.s ~ record.s ~ record.s }}", ("x",), context=CONTEXT)
    assert values is not None
    assert values(rows_of([HOSTILE]))[0].code == "too-large"
    assert len(HOSTILE["s"]) * 4 > MAX_SIZE


def test_lists_inside_one_another_are_bounded_together() -> None:
    inner = {"$each": "{{ record.l }}", "$as": "b", "$value": "{{ b }}"}
    mapper, _ = compiled({"x": {"$each": "{{ record.l }}", "$as": "a", "$value": {"y": inner}}})
    assert mapper is not None
    started = time.process_time()
    result = mapper(rows_of([{"l": [1] * 5000}, {"l": [1] * 50}]))
    assert [(at, failure.code, failure.field) for at, failure in result.failed] == [(0, "too-large", "x.y")]
    assert len(result.payloads[0]["x"]) == 50
    assert time.process_time() - started < 2
