"""Records that left memory come back as they were, for dead letters and for keys."""

from __future__ import annotations

import pytest

from engine.runtime.reread import let_go
from tests.runtime.runs import USERS, World
from tests.sources.helpers import batches, source

CSV = b'id,email,age\n1,a@x.org,7\n2,"b\n@x.org",8\n3,c@x.org,"9"\n'
JSONL = b'{"id": "1", "n": 12345678901234567890}\n\n{"id": "2"}\n{"id": "3", "l": [1.10]}'
TABLES = [
    ("a.csv", CSV, {}),
    ("a.csv", CSV, {"columns": {"age": "integer"}}),
    ("a.csv", CSV, {"null_values": ["7"]}),
    ("a.csv", b"id,email\n" + b"1,2\n" * 900, {}),
    ("a.csv", "id,email\n1,é\n".encode("utf-16"), {"encoding": "utf-16"}),
    ("a.jsonl", JSONL, {}),
    ("a.jsonl", b'{"id": "1"}\n' * 900, {}),
    ("a.jsonl", b'{"id": "1"}\n{"id": \n{"id": "3"}\n', {}),
]


@pytest.mark.parametrize(("name", "data", "settings"), TABLES)
def test_they_come_back_as_they_were(tmp_path, name, data, settings):
    for rows in batches(source(tmp_path, data, name, **settings)):
        before = list(rows.records)
        let_go(rows)
        assert len(rows.records) == len(before)
        assert [rows.records[at] for at in range(len(before))] == before
        assert list(rows.records) == before


def test_plain_rows_do_leave_memory(tmp_path):
    for name, data in (
        ("a.csv", b"id\n" + b"1,2\n" * 9),
        ("a.csv", b"a,b\n" + b"1,2\n" * 9),
        ("a.jsonl", b"{}\n" * 9),
    ):
        for rows in batches(source(tmp_path, data, name)):
            let_go(rows)
            assert rows.malformed or not isinstance(rows.records, list)


def test_a_dead_letter_has_its_whole_record(tmp_path):
    world = World(tmp_path, USERS)
    bad = "1,b@shop.test,22\n2,not an address,23\n3,c@shop.test,24\n"
    world.write("customers.csv", "id,email,age\n" + bad)
    world.run()
    assert [letter["record"] for letter in world.letters] == [{"id": "2", "email": "not an address", "age": "23"}]
