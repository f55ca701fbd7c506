"""A run from the lock to the report, where its state cannot be used."""

import gzip
import sqlite3
from contextlib import closing

import pytest

from engine.errors import Halt, Refused
from engine.runtime.run import Run
from engine.runtime.state import State
from engine.sinks.part import Part
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


FULL = Halt("cannot use the state: database or disk is full", where="state.db", code="state")
FILES = """
version: 1
name: shop
sources:
  customers: {type: file, path: customers.csv, key: id}
sinks:
  first: {type: file, path: out/first.csv}
  second: {type: file, path: out/second.csv}
mappings:
  a: {from: customers, to: first, fields: {id: "{{ record.id }}"}}
  b: {from: customers, to: second, fields: {id: "{{ record.id }}"}}
"""


def full(*_, **__):
    raise FULL


def test_a_disk_that_is_full_at_the_end_halts_with_the_whole_report(tmp_path, monkeypatch):
    world = World(tmp_path)
    world.write("customers.csv", customers(30))
    with monkeypatch.context() as patch:
        patch.setattr(State, "finish", full)
        outcome = world.run()
    assert (outcome.exit, outcome.report["status"], outcome.error) == (3, "halted", FULL)
    assert outcome.report["error"] == {"reason": str(FULL), "code": "state", "where": "state.db"}
    assert outcome.report["mappings"]["profiles"]["delivered"] == 30
    sent = len(world.requests)
    again = world.run()
    assert again.exit == 0 and again.report["resumed"] and len(world.requests) == sent
    assert again.report["mappings"]["profiles"]["delivered"] == 30


def test_a_disk_that_is_full_all_along_is_reported_with_what_was_sent(tmp_path, monkeypatch):
    world = World(tmp_path)
    world.write("customers.csv", customers(30))
    monkeypatch.setattr(State, "finish", full)
    monkeypatch.setattr(State, "commit", full)
    outcome = world.run()
    assert (outcome.exit, outcome.report["status"], outcome.error) == (3, "halted", FULL)
    assert sum(sink["requests"] for sink in outcome.report["sinks"].values()) == len(world.requests) > 0


def test_an_interrupted_run_whose_history_cannot_be_written_halts(tmp_path, monkeypatch):
    world = World(tmp_path)
    world.write("customers.csv", customers(30))
    monkeypatch.setattr(State, "finish", full)
    monkeypatch.setattr(Run, "interrupted", True)
    assert world.run().exit == 3


@pytest.mark.parametrize("failing", ["finish", "become"])
@pytest.mark.parametrize("packing", ["", ".gz"])
def test_files_that_cannot_be_finished_halt_and_the_next_start_finishes_them(tmp_path, monkeypatch, failing, packing):
    world = World(tmp_path, FILES.replace(".csv}", ".csv" + packing + "}"))
    world.write("customers.csv", customers(30))
    become = Part.become

    def second_fails(part, final):
        if "second" in str(final):
            raise FULL
        become(part, final)

    with monkeypatch.context() as patch:
        if failing == "finish":
            patch.setattr(State, "finish", full)
        else:
            patch.setattr(Part, "become", second_fails)
        outcome = world.run()
    assert (outcome.exit, outcome.report["status"], outcome.error) == (3, "halted", FULL)
    assert [m["delivered"] for m in outcome.report["mappings"].values()] == [30, 30]
    again = world.run()
    assert again.exit == 0 and again.report["resumed"]
    for name in ("first", "second"):
        data = (tmp_path / "out" / f"{name}.csv{packing}").read_bytes()
        text = (gzip.decompress(data) if packing else data).decode()
        assert text.splitlines() == ["id", *map(str, range(30))]
    assert not list(tmp_path.glob("out/*.part")), "what finished files were made of is of no more use"


def test_a_state_that_somebody_holds_is_found_before_anything_is_sent(tmp_path, monkeypatch):
    world = World(tmp_path)
    world.write("customers.csv", customers(30))
    world.run(limit=10)
    sent = len(world.requests)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **more: connect(*given, **{**more, "timeout": 0.0}))
    with closing(connect(tmp_path / ".engine" / "state.db", isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        with pytest.raises(Halt, match="cannot use the state: database is locked"):
            world.run()
    assert len(world.requests) == sent
    assert world.run().exit == 0
