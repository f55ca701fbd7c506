"""Outputs are compared by content: nothing that differs passes, nothing that does not is called different."""

import pytest

from benchmarks.same import difference


def files(tmp_path, one, other):
    (tmp_path / "one").write_text(one, "utf-8")
    (tmp_path / "other").write_text(other, "utf-8")
    return tmp_path / "one", tmp_path / "other"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1,"b":"é"}\n', '{"b": "\\u00e9", "a": 1.0}\n'),
        ('{"a":1}\n{"a":2}\n', '{"a":2.0}\n{"a":1}\n'),
        ('[{"a":[1]}]\n', '[{"a": [1.0]}]'),
        ("", ""),
    ],
)
def test_the_same_in_other_words(tmp_path, one, other):
    assert difference(*files(tmp_path, one, other)) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1}\n', '{"a":"1"}\n'),
        ('{"a":1.1}\n', '{"a":1}\n'),
        ('{"a":1}\n', '{"a":1}\n{"a":1}\n'),
        ('{"a":1}\n', ""),
        ('{"a":[1,2]}\n', '{"a":[2,1]}\n'),
        ('{"a":null}\n', "{}\n"),
    ],
)
def test_something_else(tmp_path, one, other):
    found = difference(*files(tmp_path, one, other))
    assert found is not None
    assert "payload 1" in found or "payload 2" in found


def test_fields_that_a_peer_adds_are_its_own_affair(tmp_path):
    paths = files(tmp_path, '{"a":1}\n', '{"a":1,"flag":false}\n')
    assert difference(*paths) is not None
    assert difference(*paths, ("flag",)) is None
