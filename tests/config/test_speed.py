"""What reading a file costs grows with the file and no faster; nothing keeps the checker busy for ever."""

import sys
import time

import pytest

from tests.config.demo import read


def large(count):
    fields = "\n".join(f'        field_{i}: "{{{{ record.column_{i} | default(omit) }}}}"' for i in range(count))
    return (
        "mappings:\n  people:\n    from: people\n    to: vendor.person\n    fields:\n      id: x\n      extra:\n"
        + fields
        + "\n"
    )


def calls(text):
    """How many functions are called to read it: the same on every machine."""
    count = 0

    def counted(frame, event, argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        loaded = read(text)
    finally:
        sys.setprofile(before)
    assert loaded.pipeline is not None
    return count


def test_twice_the_fields_cost_twice_the_work():
    read("")  # what is imported and compiled once
    few, some, many = (calls(large(count)) for count in (100, 200, 300))
    assert many - some < 1.1 * (some - few)


BOMBS = {
    "doubled keys": "vars:\n" + "  a: 1\n" * 49_000,
    "unknown names": "mappings:\n"
    + "".join(f"  m{i}: {{from: q{i}, to: s{i}, fields: {{}}}}\n" for i in range(9_000)),
    "unknown keys": "".join(f"key{i}: 1\n" for i in range(40_000)),
    "unknown fields": "mappings:\n  m:\n    from: people\n    to: vendor.person\n    fields:\n"
    + "".join(f"      f{i}: 1\n" for i in range(40_000)),
    "many sources": "sources:\n" + "".join(f"  s{i}: {{type: fil, path: x}}\n" for i in range(15_000)),
    "unset variables": "vars:\n" + "".join(f'  v{i}: "${{X{i}}}"\n' for i in range(40_000)),
    "statements in one text": 'description: x\nmappings: {m: {from: people, to: out, fields: "'
    + "{% x %} " * 90_000
    + '"}}',
    "one long line": "vars: {" + ", ".join(f"_{i}: 1" for i in range(40_000)) + "}",
    "open expressions": 'mappings: {m: {from: people, to: out, fields: "' + "{{ ( ' " * 90_000 + '"}}',
    "open variables": 'description: "' + "${A:-" * 180_000 + '"',
    "secrets": "sinks:\n" + "".join(f"  v{i}: {{type: demo, token: t{i}}}\n" for i in range(15_000)),
    "connections": 'connections: {a: {type: demo, token: "${TOKEN}"}}\nsinks:\n'
    + "".join(f"  v{i}: {{type: demo, connection: a, tokn: 1}}\n" for i in range(12_000)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_no_file_keeps_the_checker_busy(name):
    assert len(BOMBS[name]) < 1 << 20
    start = time.process_time()
    loaded = read(BOMBS[name])
    for finding in loaded.findings:
        finding.render()
    assert time.process_time() - start < 20
    assert loaded.findings
