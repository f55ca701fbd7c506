"""What is fuzzed, as data: a name, a function of bytes that may raise only what is a defect, samples and words.

A target holds its part to what is promised of it: every exception that leaves it is a defect of the engine. That it
ends in time and within memory is for whoever drives it (`guard.py`).
"""

from __future__ import annotations

import gzip
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from engine.commands.files import all_findings
from engine.config.load import load, parse
from engine.config.pipeline import Pipeline
from engine.errors import InvalidPipeline, Refused
from engine.mapping.compiler import compile_value
from engine.model import Response, WireRequest
from engine.plugin import Unreadable
from engine.registry import Registry, pretend_world
from engine.runners.local import Options, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.transport import Pretend
from engine.sources.files import FileSource
from engine.vendors.buckets.decider import compile_file
from tests.diagnostics.test_wrong import cases
from tests.mapping.support import CONTEXT, rows_of
from tests.mapping.test_safety import BOMBS, ESCAPES
from tests.runtime.runs import check_sums

ROOT = Path(__file__).parent.parent.parent
REGISTRY = Registry.builtin()
RECORD = {"a": "x", "n": 10**9, "l": [1, None, "z"], "s": "a" * 5000, "many": [1] * 500, "big": 1e300, "fmt": "%*d"}


@dataclass(frozen=True)
class Target:
    """`samples` are whole inputs that are right or known to hurt; `words` are pieces worth putting in anywhere."""

    run: Callable[[bytes], None]
    samples: Callable[[], list[bytes]]
    words: list[bytes] = field(default_factory=list)


# --- the pipeline file ------------------------------------------------------------------------------------


def _pipeline(data: bytes) -> None:
    loaded = parse(data.decode("utf-8", "replace"), "fuzz.yaml", REGISTRY, environ={}, sandbox=True)
    findings = all_findings(loaded, REGISTRY)
    assert (loaded.pipeline is None) == any(finding.is_error for finding in loaded.findings)
    for finding in findings:
        assert finding.line >= 1
        assert "\x1b" not in finding.render()


def _pipelines() -> list[bytes]:
    wrong = [str(case.values[0]).encode() for case in cases()]
    return [path.read_bytes() for path in sorted((ROOT / "pipelines").glob("*.yaml"))] + wrong


# --- expressions ------------------------------------------------------------------------------------------


def _expression(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for columns in (None, tuple(RECORD)):
        valuer, problems = compile_value({"x": text}, ("mappings", "m"), context=CONTEXT, columns=columns)
        assert valuer is not None or problems
        if valuer is not None:
            rows = rows_of([RECORD] if columns is None else [list(RECORD.values())], columns)
            msgspec.json.encode(valuer(rows, [0], {"flags": [{"values": {}}]})[0], enc_hook=str)


def _expressions() -> list[bytes]:
    found = {e for path in (ROOT / "pipelines").glob("*.yaml") for e in re.findall(r"\{\{.*?\}\}", path.read_text())}
    return [text.encode() for text in [*sorted(found), *ESCAPES, *BOMBS]]


# --- files ------------------------------------------------------------------------------------------------


def _file(name: str, **settings: Any) -> Callable[[bytes], None]:
    folder = Path(tempfile.mkdtemp(prefix="engine-fuzz-"))

    def run(data: bytes) -> None:
        (folder / name).write_bytes(data)
        try:
            source = FileSource(path=name, base=str(folder), on_empty="ok", **settings)
            starts = [None]
            for rows in source.read(name, None):
                assert len(rows.records) + len(rows.malformed) == rows.end.row - rows.start.row
                starts.append(rows.end)
            for start in starts[1:3]:  # and again from the middle
                list(source.read(name, start))
        except (Refused, InvalidPipeline):
            pass
        finally:
            (folder / name).unlink()

    return run


def _data(suffix: str) -> list[bytes]:
    return [path.read_bytes()[:3000] for path in sorted((ROOT / "pipelines/data").glob(f"*.{suffix}"))]


def _array() -> list[bytes]:
    lists = [b"[" + b",\n".join(data.split(b"\n")[:6]) + b"]" for data in _data("jsonl")]
    return [*lists, b"[]", b' [ {"a": [[], {}]} ] ', b'\xef\xbb\xbf[{"a":1}]', b'{"data": {"rows": [{"a": 1}]}}']


# --- bucketing files ---------------------------------------------------------------------------------------


def _buckets(data: bytes) -> None:
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    for rules in ("python-2.1", "server"):
        try:
            decider = compile_file(document, rules)
        except Unreadable:
            return
        for visitor in ("", "v1", "é😀", "x" * 300):
            decider.decide(visitor, {"country": "FR", "age": 1e308, "vip": True, "os": ""})


def _bucketing() -> list[bytes]:
    return [path.read_bytes() for path in sorted((ROOT / "tests/golden/flagship/bucketing").glob("*.json"))]


# --- vendors' answers --------------------------------------------------------------------------------------

STATUS = [
    200,
    200,
    200,
    200,
    200,
    200,
    201,
    204,
    206,
    400,
    400,
    401,
    403,
    404,
    405,
    409,
    413,
    422,
    429,
    500,
    503,
    302,
]


@cache
def _runnable() -> list[Pipeline]:
    """Every shipped pipeline that talks to a vendor, in a folder of its own."""
    folder = Path(tempfile.mkdtemp(prefix="engine-fuzz-")) / "pipelines"
    shutil.copytree(ROOT / "pipelines", folder, ignore=shutil.ignore_patterns(".engine"))
    found = []
    for path in sorted(folder.glob("*.yaml")):
        loaded = load(path, REGISTRY, environ={}, sandbox=True, sending=True)
        assert loaded.pipeline is not None
        if "type: file" in path.read_text() and loaded.pipeline.name.startswith("files"):
            continue
        found.append(loaded.pipeline)
    return found


def _answer(data: bytes) -> None:
    """The first two bytes choose the pipeline and when, the third the status; the rest is a body that answers."""
    which, when, status, body = (*data[:3].ljust(3, b"\0"), data[3:])
    pipeline = _runnable()[which % len(_runnable())]
    clock = FakeClock()
    world = pretend_world(clock, [])
    asked = iter(range(10**9))

    def handle(request: WireRequest) -> Response:
        if next(asked) % 4 != when % 4 or clock.now() > 3600:
            return world.handle(request)
        kind = "application/json" if when & 4 else "text/html"
        headers = {"content-type": kind} | ({"retry-after": body[:12].decode("latin-1")} if when & 8 else {})
        return Response(STATUS[status % len(STATUS)], headers, body)

    options = Options(
        limit=3, fresh=True, clock=clock, chance=Random(1), transport=lambda _, clock: Pretend(handle, clock)
    )
    check_sums(run_pipeline(pipeline, REGISTRY, options))


def _answers() -> list[bytes]:
    bodies = [
        b'{"code": "Success", "msg": "", "params": null}',
        b'{"successCount": 2, "failCount": 1, "invalidEmails": [], "invalidUserIds": ["1"], "failedUpdates": {}}',
        b'{"successCount": 2, "failCount": 1, "failedUpdates": {"notFoundEmails": ["a@x.org"], "conflictUserIds": [null]}}',
        b'{"successCount": -1, "failCount": 1e999, "failedUpdates": []}',
        b'{"visitorId": "v", "campaigns": [{"id": "c", "variation": {"id": "v", "modifications": {"value": {}}}}]}',
        b'{"panic": true}',
        b'{"reports": [{"url": "http://127.0.0.1:1/x", "time": 1}], "url": "file:///etc/passwd"}',
        b'[{"item_id": "1", "score": 0.1}]',
        b"<html>busy</html>",
        b"",
        b"\xff\xfe\x00",
    ]
    chosen = Random(5)
    return [bytes(chosen.randrange(256) for _ in range(3)) + body for body in bodies for _ in range(8)]


JSON_WORDS = [
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b'"',
    b"null",
    b"1e999",
    b"-0",
    b"NaN",
    b"\\ud800",
    b'"\\u0000"',
    b"[" * 3000,
]
YAML_WORDS = [
    b"\n",
    b"  ",
    b"- ",
    b": ",
    b"&a ",
    b"*a",
    b"<<: *a",
    b"|\n",
    b">\n",
    b"{{ x }}",
    b"${X}",
    b"!!str ",
    b"1e999",
]
WORDS_OF_EXPRESSIONS = [
    b"{{",
    b"}}",
    b" | ",
    b"(",
    b")",
    b"[",
    b"]",
    b"'",
    b"record",
    b".a",
    b".n",
    b" ~ ",
    b" * ",
    b"10**9",
]
CSV_WORDS = [b'"', b'""', b",", b";", b"\n", b"\r\n", b"\r", b"\0", b"\xef\xbb\xbf", b"\xff", b"\t", b"x" * 5000]

TARGETS = {
    "pipeline": Target(_pipeline, _pipelines, YAML_WORDS),
    "expression": Target(_expression, _expressions, WORDS_OF_EXPRESSIONS),
    "csv": Target(_file("a.csv", max_line=4096), lambda: _data("csv"), CSV_WORDS),
    "jsonl": Target(_file("a.jsonl", max_line=4096), lambda: _data("jsonl"), [*JSON_WORDS, b"\n"]),
    "array": Target(_file("a.json", max_line=4096), _array, JSON_WORDS),
    "gzip": Target(_file("a.csv.gz"), lambda: [gzip.compress(data, mtime=0) for data in _data("csv")]),
    "buckets": Target(_buckets, _bucketing, JSON_WORDS),
    "answer": Target(_answer, _answers, JSON_WORDS),
}


def mutations(samples: list[bytes], words: list[bytes], seed: int) -> Iterator[bytes]:
    """Samples, each first as it is, then again and again with pieces cut, doubled, flipped and put in; no end."""
    chance = Random(seed)
    yield from samples
    while True:
        data = bytearray(chance.choice(samples))
        for _ in range(chance.randint(1, 6)):
            at, length = chance.randint(0, len(data)), chance.choice((0, 0, 1, 2, 8, 40))
            other = chance.choice(samples)
            begin = chance.randint(0, len(other))
            pieces = [
                *words,
                other[begin : begin + 60],
                bytes([chance.randrange(256)]),
                b"",
                bytes(data[at : at + 40]),
            ]
            data[at : at + length] = chance.choice(pieces)
        yield bytes(data)


def some(target: Target, count: int, seed: int) -> Iterator[bytes]:
    """`count` inputs, the same for the same seed."""
    return islice(mutations(target.samples(), target.words, seed), count)
