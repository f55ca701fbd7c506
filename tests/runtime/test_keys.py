"""A source's key is a column that it has, as far as that can be known."""

from engine.config.pipeline import SourceSpec
from engine.runtime.keys import key_problems


def spec(key):
    return SourceSpec("people", "file", {}, key)


def test_a_column_is_a_key():
    assert key_problems(spec("id"), [("id", "email"), None]) == []
    assert key_problems(spec(None), [("id",)]) == []
    assert key_problems(spec("id"), [None]) == []


def test_what_is_no_column_is_told_with_the_nearest_one():
    (problem,) = key_problems(spec("idd"), [("id", "email")])
    assert (problem.code, problem.path, problem.hint) == (
        "unknown-column",
        ("sources", "people", "key"),
        'did you mean "id"?',
    )
    assert "idd" in problem.message
