"""Keys that stand twice in a JSON object are not lost in silence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sources.duplicates import all_kept, doubled_key
from tests.sources.helpers import bad, batches, records, source

GOOD = b'{"a":"x:y","b":{"c":[{"d":1}]},"e":"\\u003a \\" :"}'
DOUBLED = [
    b'{"a":1,"a":1}',
    b'{"a":1,"b":{"c":1 , "c" : 2}}',
    b'{"a":[{"b":1},{"b":2,"b":3}]}',
    b'{"a":":","a":"::"}',
    b'{"a":"x","a":"\\u003a\\u003A"}',
    b'{"\\u0061":1,"a":2}',
    b'{"a":{"x":1,"y":2},"a":{"x":1,"z":"::"}}',
]


@pytest.mark.parametrize("data", DOUBLED)
@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_a_doubled_key_costs_its_row(tmp_path, data, form):
    rows = [GOOD] * 50 + [data] + [GOOD] * 50
    text = b"\n".join(rows) if form == "jsonl" else b"[" + b",\n".join(rows) + b"]"
    read = source(tmp_path, text, f"a.{form}", duplicate_keys="refuse")
    assert len(records(read)) == 100
    assert [(code, line) for code, line, _ in bad(read)] == [("duplicate-key", 51)]
    [malformed] = [m for found in batches(read) for m in found.malformed]
    assert "stands twice" in malformed.reason
    assert malformed.raw.strip() == data.decode()
    last = source(tmp_path, text, f"a.{form}")
    assert len(records(last)) == 101
    assert records(last)[50] == json.loads(data)


values = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('a:"\\\u00e9,{'), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("a:b", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(
    record=st.dictionaries(st.text("abc:", max_size=2), values, max_size=4), ascii=st.booleans(), space=st.booleans()
)
def test_no_false_alarm(record, ascii, space):
    data = json.dumps(record, ensure_ascii=ascii, separators=(" , ", " : ") if space else (",", ":")).encode()
    assert all_kept(data, [json.loads(data)])
    assert doubled_key(data) is None


@settings(max_examples=300, deadline=None)
@given(pairs=st.lists(st.tuples(st.sampled_from("ab"), values), min_size=1, max_size=4))
def test_a_doubled_key_is_always_seen(pairs):
    data = ("{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}").encode()
    doubled = len({key for key, _ in pairs}) < len(pairs)
    if doubled:
        assert not all_kept(data, [json.loads(data)])
    assert (doubled_key(data) is not None) is doubled
