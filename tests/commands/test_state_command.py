"""`engine state`: a damaged state is no dead end."""

import json

import pytest

PIPELINE = """
version: 1
name: shop
sources:
  customers: {type: file, path: customers.csv}
sinks:
  out: {type: discard}
mappings:
  all: {from: customers, to: out, fields: {id: "{{ record.id }}"}}
"""


@pytest.fixture
def shop(shell):
    shell.write("shop.yaml", PIPELINE)
    shell.write("customers.csv", "id\n1\n2\n")
    (shell.folder / ".engine").mkdir()
    return shell


def test_reset_moves_a_damaged_state_aside(shop):
    state = shop.write(".engine/state.db", "this is no database" * 500)
    done = shop("state", "reset", "shop.yaml", "--json")
    (moved,) = state.parent.glob("state.db.damaged-*")
    assert done.code == 0 and json.loads(done.out) == {"reset": True, "moved_aside": str(moved)}
    assert not state.exists() and moved.read_text() == "this is no database" * 500
    assert shop("run", "shop.yaml").code == 0
    assert json.loads(shop("state", "reset", "shop.yaml", "--json").out) == {"reset": True}


def test_people_are_told_where_it_went_and_what_it_may_have_held(shop):
    state = shop.write(".engine/state.db", "")
    done = shop("state", "reset", "shop.yaml")
    (moved,) = state.parent.glob("state.db.damaged-*")
    assert done.code == 0 and str(moved) in done.err and "positions of other pipelines" in done.err
