"""The state directory: what is committed survives, what is damaged is named, one run at a time."""

import os
import sqlite3
import subprocess
import sys
import textwrap

import pytest

from engine.errors import Halt, Refused
from engine.model import Position
from engine.runtime.counts import Counts, MappingCounts, SourceCounts
from engine.runtime.ledger import SavedTrack
from engine.runtime.state import Head, State


@pytest.fixture
def state(tmp_path):
    state = State(tmp_path / "state", "shop")
    yield state
    state.close()


def head(**more):
    counts = Counts({"s": SourceCounts(5, 1)}, {"m": MappingCounts("crm.update_user", 4, delivered=3)})
    return Head("r1", 1_700_000_000.0, 1.5, {"m": "s"}, counts, **more)


def track(file="a.csv", row=2):
    return SavedTrack(
        "s", file, Position(row, row + 1, row * 10, 99), Position(5, 6, 50, 7), False, {"m": b"x"}, {"m": {3: [0, 2]}}
    )


def test_what_is_committed_is_loaded(state, tmp_path):
    state.commit(head(writers={"out": {"length": 7}}), [track()])
    state.close()
    again = State(tmp_path / "state", "shop")
    assert again.load() == (head(writers={"out": {"length": 7}}), [track()])
    again.close()


def test_a_commit_replaces_a_track(state):
    state.commit(head(), [track(row=1), track("b.csv")])
    state.commit(head(), [track(row=3)])
    assert [(t.file, t.head.row) for t in state.load()[1]] == [("a.csv", 3), ("b.csv", 2)]


def test_pipelines_do_not_see_each_other(state, tmp_path):
    state.commit(head(), [track()])
    other = State(tmp_path / "state", "other")
    assert other.load() == (None, [])
    other.close()


def test_finish_keeps_append_tracks_and_history(state):
    state.commit(head(), [track(), SavedTrack("log", "l.jsonl", Position(), Position())])
    state.finish("r1", "2023", "succeeded", {"status": "succeeded"}, keep=["log"])
    found, tracks = state.load()
    assert found is None and [t.source for t in tracks] == ["log"]
    assert state.history() == [{"status": "succeeded"}]


def test_reset_forgets_the_position_not_the_history(state):
    state.commit(head(), [track()])
    state.finish("r0", "2022", "halted", {"status": "halted"}, keep=None)
    state.reset()
    assert state.load() == (None, []) and len(state.history()) == 1


def test_memory_outlives_a_run(state, tmp_path):
    state.remember("visitors", "v1", b"{}")
    state.close()
    again = State(tmp_path / "state", "shop")
    assert again.recall("visitors", "v1") == b"{}" and again.recall("visitors", "v2") is None
    again.remember("visitors", "v1", None)
    assert again.recall("visitors", "v1") is None
    again.close()


@pytest.mark.parametrize("garble", [b"", b"this is no database at all, really" * 40, os.urandom(5000)])
def test_a_damaged_state_is_refused_by_name(state, garble):
    state.commit(head(), [track()])
    state.close()
    for extra in ("-wal", "-shm"):
        state.path.with_name(state.path.name + extra).unlink(missing_ok=True)
    state.path.write_bytes(garble)
    if not garble:
        assert state.load() == (None, [])  # an empty file is a new database for SQLite; --fresh would say the same
        return
    with pytest.raises(Refused, match=r"state\.db is damaged"):
        state.load()


def test_a_garbled_checkpoint_is_refused(state):
    state.commit(head(), [track()])
    state.db.execute("UPDATE heads SET data = ?", (b"\xc1garbage",))
    with pytest.raises(Refused, match="damaged"):
        state.load()


def test_another_layout_is_refused(state):
    state.commit(head(), [])
    state.db.execute("UPDATE meta SET version = 99")
    state.close()
    with pytest.raises(Refused, match="another version"):
        state.load()


def test_a_directory_that_cannot_be_written_halts(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Halt, match="cannot use the state"):
        State(tmp_path / "file" / "state", "shop").load()


def test_a_database_that_somebody_holds_halts(state):
    state.load()
    state.db.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(state.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Halt, match="locked"):
        state.commit(head(), [])
    other.close()


def test_everything_is_private(state):
    state.commit(head(), [])
    with state.lock({}):
        for path in [state.directory, *state.directory.rglob("*")]:
            assert path.stat().st_mode & 0o077 == 0, path


def test_the_second_run_is_refused_and_told_who_holds_the_lock(state, tmp_path):
    with state.lock({"run": "r77"}):
        other = State(tmp_path / "state", "shop")
        with pytest.raises(Refused, match=rf"pid {os.getpid()}.*run r77"), other.lock({}):
            pass
    with state.lock({}):
        pass


def test_a_kill_frees_the_lock(tmp_path):
    code = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from engine.runtime.state import State
        with State(Path(sys.argv[1]), "shop").lock({}):
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "state")], check=False)
    assert done.returncode == -9
    with State(tmp_path / "state", "shop").lock({}):
        pass
