"""Folders that the engine makes are private, every one of them."""

import os

import pytest

from engine.runtime.deadletters import open_for_append
from engine.runtime.folders import make_private
from engine.runtime.spool import SpoolFile
from engine.runtime.state import State


@pytest.fixture(autouse=True)
def open_handed():
    """A umask that would let everybody read."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(folder):
    return {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_dir()}


def test_every_part_that_is_made_is_private(tmp_path):
    (tmp_path / "there").mkdir(mode=0o755)
    make_private(tmp_path / "there" / "a" / "b" / "c")
    make_private(tmp_path / "there" / "a" / "b" / "c")
    assert modes(tmp_path) == {"there": 0o755, "a": 0o700, "b": 0o700, "c": 0o700}


def test_a_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="file"):
            make_private(folder)


def test_state_letters_and_spools_lie_in_private_folders(tmp_path):
    state = State(tmp_path / "one" / "state", "shop")
    state.load()
    state.close()
    os.close(open_for_append(tmp_path / "two" / "dead" / "shop.jsonl"))
    spool = SpoolFile(tmp_path / "three" / "spool" / "users", "update", {})
    spool.open(0)
    spool.close()
    assert set(modes(tmp_path).values()) == {0o700}
