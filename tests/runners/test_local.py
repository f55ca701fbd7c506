"""A run from the lock to the report, where its state cannot be used."""

import pytest

from engine.errors import Refused
from tests.runtime.runs import World, customers

GARBAGE = [b"", b"this is no database" * 500]


class Heard:
    def __init__(self):
        self.texts = []

    def progress(self, progress): ...

    def say(self, text):
        self.texts.append(text)


@pytest.mark.parametrize("garbage", GARBAGE, ids=["empty", "garbage"])
def test_fresh_moves_a_damaged_state_aside_and_says_so(tmp_path, garbage):
    world = World(tmp_path)
    world.write("customers.csv", customers(3))
    folder = tmp_path / ".engine"
    folder.mkdir()
    (folder / "state.db").write_bytes(garbage)
    with pytest.raises(Refused, match=r"state\.db is damaged.*engine state reset.*--fresh"):
        world.run()
    assert not world.requests and (folder / "state.db").read_bytes() == garbage
    heard = Heard()
    outcome = world.run(fresh=True, observer=heard)
    (moved,) = folder.glob("state.db.damaged-*")
    assert outcome.exit == 0 and moved.read_bytes() == garbage
    (text,) = heard.texts
    assert text in outcome.report["warnings"] and str(moved) in text and "other pipelines" in text
    assert world.run().exit == 0
