"""The attacks, as data: what lies in the folder, what is started, what must come of it.

`check` and `run` must end by themselves within `SECONDS` of CPU time and `MEGABYTES`, with no traceback and without the
secret. `docs/security.md` tells whom to trust; this is what the others may try.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass, field

SECONDS, MEGABYTES = 2, 200
SECRET = "s3cret-0123456789abcdef-attack"

PARTS = {
    "sources": "sources: {people: {type: file, path: people.csv, key: id}}",
    "sinks": "sinks: {out: {type: file, path: out.jsonl}}",
    "mappings": 'mappings: {m: {from: people, to: out, fields: {id: "{{ record.id }}"}}}',
}
PEOPLE = b"id,email\n1,ada@x.org\n2,bob@x.org\n"


def pipeline(**parts: str) -> bytes:
    """A pipeline that is right, with some of its parts replaced."""
    return "\n".join(["version: 1", "name: attack", *{**PARTS, **parts}.values(), ""]).encode()


@dataclass(frozen=True)
class Attack:
    """`says` must all be in what the command prints; `letters` are the codes of the dead letters, in order."""

    id: str
    exit: int
    says: tuple[str, ...]
    file: Callable[[], bytes] = pipeline
    data: Callable[[], bytes] = lambda: PEOPLE
    name: str = "people.csv"
    command: tuple[str, ...] = ("check", "attack.yaml")
    environ: dict[str, str] = field(default_factory=dict)
    letters: tuple[str, ...] | None = None
    written: int | None = None  # lines in out.jsonl


def wrong_file(id: str, *says: str, **parts: str) -> Attack:
    return Attack(f"file: {id}", 2, says, lambda: pipeline(**parts))


def wrong_text(id: str, text: Callable[[], bytes], *says: str) -> Attack:
    return Attack(f"file: {id}", 2, says, text)


def expression(id: str, text: str, *says: str, exit: int = 2) -> Attack:
    quoted = text.replace("'", "''")
    return Attack(
        f"expression: {id}",
        exit,
        says,
        lambda: pipeline(mappings=f"mappings: {{m: {{from: people, to: out, fields: {{id: '{quoted}'}}}}}}"),
    )


def rows(
    id: str, data: Callable[[], bytes], letters: tuple[str, ...], written: int, name: str = "people.csv", **parts: str
) -> Attack:
    """Rows of which some are bad: they are buried, the others arrive."""
    sources = f"sources: {{people: {{type: file, path: {name}}}}}"
    return Attack(
        f"row: {id}", 1 if letters else 0, (), lambda: pipeline(**{"sources": sources, **parts}), data, name,
        ("run", "attack.yaml", "--no-progress"), letters=letters, written=written,
    )  # fmt: skip


def whole_file(id: str, data: Callable[[], bytes], exit: int, *says: str, name: str = "people.csv") -> Attack:
    sources = f"sources: {{people: {{type: file, path: {name}}}}}"
    return Attack(
        f"row: {id}",
        exit,
        says,
        lambda: pipeline(sources=sources),
        data,
        name,
        ("run", "attack.yaml", "--no-progress"),
    )


IMAGE = 'mappings: {m: {from: people, to: crm.update_user, fields: {email: "{{ record.email }}"}}}'


def sink(settings: str) -> dict[str, str]:
    return {"sinks": f"sinks: {{crm: {{type: iterable, {settings}}}}}", "mappings": IMAGE}


FILES = [
    wrong_text("a doubled key", lambda: pipeline() + b"name: twice\n", "attack.yaml:6:1", "duplicate-key", "line 2"),
    wrong_text("a key that is no text", lambda: pipeline() + b"1: x\n", "attack.yaml:6:1"),
    wrong_text("an alias bomb", lambda: b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(b"%c: &%c [%s]\n" % (n + 1, n + 1, b",".join([b"*%c" % n] * 10)) for n in range(97, 105)), "attack.yaml:"),
    wrong_text("an alias of itself", lambda: b"x-a: &a [*a]\n" + pipeline(), "attack.yaml:1"),
    wrong_text("200,000 brackets", lambda: b"[" * 200_000, "attack.yaml:1"),
    wrong_text("nesting in blocks", lambda: b"".join(b" " * n + b"a:\n" for n in range(1000)), "attack.yaml:"),
    wrong_text("a tag that makes an object", lambda: b"x-a: !!python/object/apply:os.system [echo hi]\n" + pipeline(), "attack.yaml:1:6"),
    wrong_text("a second document", lambda: pipeline() + b"---\n" + pipeline(), "attack.yaml:6:1"),
    wrong_text("an empty file", lambda: b"", "attack.yaml:1:1"),
    wrong_text("a list at the top", lambda: b"- a\n- b\n", "attack.yaml:1:1"),
    wrong_text("a NUL", lambda: pipeline() + b"x-a: \0\n", "attack.yaml:6"),
    wrong_text("a tab as indentation", lambda: b"version: 1\nname: x\nvars:\n\ta: 1\n", "attack.yaml:4:1"),
    wrong_text("an integer of 5,000 digits", lambda: b"version: " + b"9" * 5000 + b"\n", "attack.yaml:1:10"),
    wrong_text("2 MiB", lambda: b"#" * (2 << 20), "larger than 1 MiB"),
    wrong_text("no UTF-8", lambda: b"name: \xff\xfe\n", "attack.yaml:1:7", "UTF-8"),
    wrong_file("an expression without quotes", "quote", mappings="mappings: {m: {from: people, to: out, fields: {id: {{ record.id }}}}}"),
    wrong_file("a word that other readers take for a boolean", "max_count", "attack.yaml:6:21", errors="errors: {max_count: no}"),
    wrong_file("a plugin as a dotted path", "os:system", sources="sources: {people: {type: 'os:system', path: people.csv}}"),
    wrong_file("a misspelt key", "concurency", "concurrency", sinks="sinks: {out: {type: file, path: out.jsonl, concurency: 3}}"),
    wrong_file("a schema from elsewhere", "$ref", vars="$ref: 'http://127.0.0.1:9/schema.json'"),
    wrong_file("a key in clear over http", "https", **sink(f"api_key: '{SECRET}', base_url: 'http://crm.example/api'")),
    wrong_file("a login in an address", "base_url", **sink(f"api_key: '{SECRET}', base_url: 'https://me:{SECRET}@crm.example/api'")),
    wrong_file("certificates unchecked", "verify", **sink(f"api_key: '{SECRET}', verify: false")),
    wrong_file("a pattern that explodes", "regex_search", mappings="mappings: {m: {from: people, to: out, fields: {id: \"{{ record.id | regex_search('^(a+)+$') }}\"}}}"),
    wrong_file("statements", "{%", mappings="mappings: {m: {from: people, to: out, fields: {id: '{% for x in range(9**9) %}x{% endfor %}'}}}"),
    wrong_file("a scheme that is not allowed", "ftp", sources="sources: {people: {type: file, path: 'ftp://127.0.0.1/people.csv'}}"),
]  # fmt: skip

EXPRESSIONS = [
    expression("a class", "{{ ''.__class__.__mro__ }}", "attack.yaml:5"),
    expression("attr", "{{ record | attr('__class__') }}", "attr"),
    expression("cycler", "{{ cycler.__init__.__globals__.os.popen('id').read() }}", "cycler"),
    expression("format", "{{ '{0.__class__}'.format(record) }}", "format"),
    expression("a power", "{{ 9 ** 9 ** 9 }}", "attack.yaml:5"),
    expression("a long text", "{{ 'x' * 10**9 }}", "attack.yaml:5"),
    expression("center", "{{ 'a' | center(10000000000) }}", "center"),
    expression("ljust", "{{ 'a'.ljust(1000000000) }}", "ljust"),
    expression("range", "{{ range(99999) | list }}", "range"),
    expression("include", "{% include '/etc/passwd' %}", "attack.yaml:5"),
    expression("brackets", "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "attack.yaml:5"),
    expression("environ", "{{ environ.HOME }}", "environ"),
    expression("an unknown column", "{{ record.emial }}", "emial", "email"),
    expression("a misspelt filter", "{{ record.email | lowr }}", "lowr", "lower"),
]  # fmt: skip


def mapped(text: str) -> str:
    return f'mappings: {{m: {{from: people, to: out, fields: {{v: "{text}"}}}}}}'


EACH = "sinks: {out: {type: file, path: 'out/{{ record.id }}.jsonl'}}"
OUT_ALL = "mappings: {m: {from: people, to: out, fields: {v: '{{ record.v | default(1) }}'}}}"
EMAIL = 'mappings: {m: {from: people, to: out, fields: {v: "{{ record.email }}"}}}'
TIMES = 'mappings: {m: {from: people, to: out, fields: {v: "{{ record.s * record.n }}"}}}'
NUMBER = 'mappings: {m: {from: people, to: out, fields: {v: "{{ record.v | int }}"}}}'


def lines(*texts: bytes) -> Callable[[], bytes]:
    return lambda: b"\n".join(texts) + b"\n"


ROWS = [
    rows("a quote that never ends", lines(b"id,email", b"1,a@x.org", b'2,"b@x.org', b"3,c@x.org"), ("quoting",) , 2),
    rows("text behind a quote", lines(b"id,email", b'1,"x"y', b"2,b"), ("quoting",), 1),
    rows("rows too long and too short", lines(b"id,email", b"1", b"2,b,c", b"3,c"), ("cells", "cells"), 1),
    rows("a byte order mark", lines(b"\xef\xbb\xbfid,email", b"1,a"), (), 1),
    rows("a field of a megabyte", lambda: b"id,email\n1," + b"x" * (1 << 20) + b"\n2,b\n", (), 2),
    rows("a line longer than allowed", lambda: b"id,email\n1," + b"x" * (5 << 20) + b"\n2,b\n", ("line-too-long",), 1),
    rows("bytes that are no UTF-8", lines(b"id,email", b"1,\xff", b"2,b"), ("encoding",), 1),
    rows("a NUL", lines(b"id,email", b"1,\0", b"2,b"), ("nul",), 1),
    whole_file("a doubled header", lines(b"id,email,email", b"1,a,b"), 2, "email"),
    whole_file("an empty header", lines(b"id,,email", b"1,a,b"), 2, "header"),
    whole_file("semicolons", lines(b"id;email", b"1;a"), 2, "delimiter"),
    whole_file("gzip cut short", lambda: gzip.compress(PEOPLE * 1000)[:-20], 4, "people.csv.gz", name="people.csv.gz"),
    rows("NaN and infinity", lines(b'{"v": NaN}', b'{"v": Infinity}', b'{"v": 1e999}', b'{"v": 1}'), ("json",) * 3, 1, "people.jsonl", mappings=OUT_ALL),
    rows("an integer of 5,000 digits", lambda: b'{"v": ' + b"9" * 5000 + b'}\n{"v": 1}\n', ("json",), 1, "people.jsonl", mappings=OUT_ALL),
    rows("100,000 brackets", lambda: b'{"v": ' + b"[" * 100_000 + b"\n" + b'{"v": 1}\n', ("json",), 1, "people.jsonl", mappings=OUT_ALL),
    rows("a lone surrogate", lines(b'{"v": "\\ud800"}', b'{"v": 1}'), ("json",), 1, "people.jsonl", mappings=OUT_ALL),
    rows("a text times a number", lines(b'{"s": "aaaa", "n": 1000000000}', b'{"s": 2, "n": 3}'), ("bad-type",), 1, "people.jsonl", mappings=TIMES),
    rows("digits without end", lambda: b'{"v": "' + b"9" * 100_000 + b'"}\n{"v": "7"}\n', ("bad-value",), 1, "people.jsonl", mappings=NUMBER),
    rows("a rounding to millions of digits", lambda: PEOPLE, ("bad-type",) * 2, 0, mappings=mapped("{{ 1 | round(-10000000) }}")),
    rows("a class by map", lambda: PEOPLE, ("missing-field",) * 2, 0, mappings=mapped("{{ [record] | map(attribute='__class__') | list }}")),
    rows("a path out of its folder", lines(b"id", b"../../../x", b"/etc/x", b"a/../../x"), ("bad-path",) * 3, 0, sinks=EACH),
    rows("a colour sequence", lines(b"id,email", b"1,\x1b[31mred\x1b[0m", b"2,b"), (), 2, mappings=EMAIL),
]  # fmt: skip

ATTACKS = [*FILES, *EXPRESSIONS, *ROWS]
