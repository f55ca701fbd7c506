"""`--fault`: what it says is read, or refused with the reason."""

import pytest

from engine.commands.run import parse_faults
from engine.errors import InvalidPipeline


def test_objects_and_lists_of_them_are_read():
    assert parse_faults(['{"status": 503}', '[{"nth": [1]}, {"empty": true}]']) == [
        {"status": 503}, {"nth": [1]}, {"empty": True}
    ]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), [("{", "is not JSON"), ("[" * 100_000, "is nested too deeply")])
def test_what_cannot_be_read_is_refused(text, said):
    with pytest.raises(InvalidPipeline, match=f"--fault {said}"):
        parse_faults([text])
