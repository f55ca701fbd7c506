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
from engine.runtime.database import TABLES, transaction
from engine.runtime.ledger import SavedTrack
from engine.runtime.state import Head, State

NOW = 1_700_000_000.0


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


@pytest.mark.parametrize("how", ["sync", "finish"])
def test_what_is_synced_stands_in_the_file_itself_and_needs_no_log(state, tmp_path, how):
    """The log is synced with it: so a power cut cannot take back what is relied upon when files are removed."""

    def without_its_log():
        (tmp_path / "copy").mkdir(exist_ok=True)
        (tmp_path / "copy" / "state.db").write_bytes((tmp_path / "state" / "state.db").read_bytes())
        copy = State(tmp_path / "copy", "shop")
        found = copy.load()[0], [report["status"] for report in copy.history()]
        copy.close()
        return found

    state.commit(head(), [track()])
    assert without_its_log() == (None, [])
    if how == "sync":
        state.sync()
        assert without_its_log() == (head(), [])
    else:
        state.finish("r1", "2026", "succeeded", {"status": "succeeded"}, keep=())
        assert without_its_log() == (None, ["succeeded"])


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
    assert state.reset(NOW) is None
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
    with pytest.raises(Refused, match=r"state\.db is damaged"):
        state.load()


def test_a_garbled_checkpoint_is_refused(state):
    state.commit(head(), [track()])
    state.db.execute("UPDATE heads SET data = ?", (b"\xc1garbage",))
    with pytest.raises(Refused, match="damaged"):
        state.load()


def foreign(path, script):
    path.parent.mkdir(parents=True)
    db = sqlite3.connect(path)
    db.executescript(script)
    db.close()


FOREIGN = {
    "tables": "CREATE TABLE notes (text TEXT)",
    "version": "CREATE TABLE meta (version TEXT); INSERT INTO meta VALUES ('two')",
    "no-version": "CREATE TABLE meta (version INTEGER)",
    "no-tables": "CREATE TABLE meta (version INTEGER); INSERT INTO meta VALUES (1)",
    "columns": TABLES.replace("status TEXT, ", "") + "INSERT INTO meta VALUES (1)",
}


@pytest.mark.parametrize("script", FOREIGN.values(), ids=FOREIGN)
def test_a_database_of_others_is_refused_untouched_and_moved_on_reset(state, script):
    foreign(state.path, script)
    before = state.path.read_bytes()
    with pytest.raises(Refused, match=r"state\.db .*engine state reset.*--fresh"):
        state.load()
    assert state.path.read_bytes() == before
    with state.lock({}):
        moved = state.reset(NOW)
    assert moved == state.directory / "state.db.damaged-20231114T221320Z" and moved.read_bytes() == before
    state.commit(head(), [track()])
    assert state.load()[0].run_id == "r1"


def test_values_that_are_not_ours_are_damage(state):
    state.commit(head(), [])
    state.db.execute("UPDATE heads SET data = 'text'")
    with pytest.raises(Refused, match="damaged"):
        state.load()


def test_a_reset_takes_the_log_of_a_damaged_file_along_and_overwrites_none(state):
    state.directory.mkdir()
    for _ in range(2):
        state.path.write_bytes(b"no database" * 1000)
        for kind in ("-wal", "-shm"):
            state.path.with_name(f"state.db{kind}").write_bytes(kind.encode())
        with state.lock({}):
            state.reset(NOW)
    names = {path.name for path in state.directory.iterdir() if path.is_file()}
    first = "state.db.damaged-20231114T221320Z"
    assert names == {f"{name}{kind}" for name in (first, f"{first}-2") for kind in ("", "-wal", "-shm")}
    assert state.load() == (None, [])


def test_damage_outside_of_the_checkpoint_is_found_by_a_reset(state):
    state.commit(head(), [track()])
    for number in range(200):
        state.finish(f"r{number}", "2022", "halted", {"text": "x" * 1000}, keep=None)
    state.close()
    data = bytearray(state.path.read_bytes())
    data[len(data) // 2 : -4096] = b"\xff" * (len(data) - 4096 - len(data) // 2)
    state.path.write_bytes(data)
    with state.lock({}):
        assert state.reset(NOW) is not None
    assert state.load() == (None, [])


def test_a_damaged_file_is_not_moved_under_a_run_of_another_pipeline(state, tmp_path):
    other = State(tmp_path / "state", "other")
    with other.lock({}), state.lock({}):
        state.path.write_bytes(b"no database" * 1000)
        with pytest.raises(Refused, match="a run of other is going on"):
            state.reset(NOW)
    assert state.path.read_bytes() == b"no database" * 1000


def test_a_lone_log_is_not_played_into_a_new_file(state):
    state.commit(head(), [track()])
    log = state.path.with_name("state.db-wal")
    kept = log.read_bytes()
    assert kept
    state.close()
    state.path.unlink()
    log.write_bytes(kept)
    assert state.load() == (None, [])


def test_a_reset_of_a_locked_database_halts_and_moves_nothing(state):
    state.load()
    state.db.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(state.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Halt, match="locked"):
        state.reset(NOW)
    other.close()
    assert state.path.exists() and not list(state.directory.glob("*damaged*"))


def test_a_read_only_database_halts(state):
    state.load()
    state.db.execute("PRAGMA query_only = 1")
    with pytest.raises(Halt, match="readonly"):
        state.commit(head(), [])


def test_a_read_only_disk_can_be_looked_at(state, monkeypatch):
    state.commit(head(), [track()])
    state.close()
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    before = state.directory.stat().st_mtime_ns
    looking = State(state.directory, "shop", looking=True)
    assert looking.load() == (head(), [track()]) and looking.history() == []
    with pytest.raises(Halt, match="readonly"):
        looking.commit(head(), [])
    looking.close()
    assert state.directory.stat().st_mtime_ns == before  # nothing was made beside it, not even for a moment


def test_a_commit_that_fails_leaves_no_transaction_open(state):
    class Full:
        """A database whose disk is full at its first COMMIT."""

        def __init__(self, db):
            self.db, self.said = db, []

        def execute(self, statement):
            self.said.append(statement)
            if statement == "COMMIT" and self.said.count("COMMIT") == 1:
                raise sqlite3.OperationalError("database or disk is full")
            return self.db.execute(statement)

    full = Full(state.db)
    with pytest.raises(sqlite3.OperationalError, match="full"), transaction(full):
        pass
    with transaction(full):
        pass
    assert full.said == ["BEGIN IMMEDIATE", "COMMIT", "ROLLBACK", "BEGIN IMMEDIATE", "COMMIT"]


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


def test_what_a_kill_left_of_a_database_that_was_never_whole_goes(tmp_path):
    left = tmp_path / "state.db.new-abc"
    left.mkdir()
    (left / "state.db").write_bytes(b"half of it")
    state = State(tmp_path, "shop")
    state.remember("space", "key", b"value")
    state.close()
    assert not left.exists() and (tmp_path / "state.db").exists()
