"""When a run writes to the disk: at once for what a vendor answered, by the clock for what it writes itself."""

from __future__ import annotations

import pytest

from engine.runtime.ledger import Ledger
from engine.runtime.state import State
from tests.runtime.runs import USERS, World, customers

WRITES = """
version: 1
name: shop
sources:
  customers: {type: file, path: customers.csv, key: id}
sinks:
  out: {type: file, path: out.jsonl}
mappings:
  profiles: {from: customers, to: out, fields: {id: "{{ record.id }}"}}
"""


@pytest.fixture
def commits(monkeypatch):
    """What each commit left open, in rows."""
    seen, commit = [], State.commit

    def watched(self, head, tracks):
        tracks = list(tracks)
        seen.append(sum(track.high.row - track.head.row for track in tracks))
        commit(self, head, tracks)

    monkeypatch.setattr(State, "commit", watched)
    return seen


@pytest.fixture
def open_rows(monkeypatch):
    """The most rows that were open at once."""
    most, opened = [0], Ledger.open

    def watched(self, track, rows):
        tickets = opened(self, track, rows)
        most[0] = max(most[0], self.rows)
        return tickets

    monkeypatch.setattr(Ledger, "open", watched)
    return most


def test_a_writer_is_made_durable_by_the_clock_not_by_the_batch(tmp_path, commits, open_rows):
    world = World(tmp_path, WRITES)
    world.write("customers.csv", customers(20_000))
    outcome = world.run()
    assert outcome.report["mappings"]["profiles"]["delivered"] == 20_000
    assert len(commits) <= 3  # the clock of the test stands
    assert open_rows[0] < 2_000  # and yet what is written leaves memory


def test_what_a_vendor_answered_is_committed_before_anything_else_is_sent(tmp_path, commits):
    world = World(tmp_path, USERS)
    world.write("customers.csv", customers(3_000))
    world.run()
    assert len(commits) >= len(world.requests)
