"""Whose a record is: each key has one owner, and keys are known before records are mapped."""

import os
import threading
from pathlib import Path

import msgspec
import pytest

from engine.config.pipeline import DeadLetters as Settings
from engine.errors import Halt
from engine.runtime.claims import Asked, Claims, fields_of_key, owner
from engine.runtime.counts import Counts, MappingCounts, SourceCounts, total
from engine.runtime.deadletters import DeadLetters, read_letters
from engine.runtime.lanes import Lanes
from engine.runtime.masks import Masker
from tests.runtime.runs import World, customers


def test_every_key_has_one_owner_and_all_have_about_as_many():
    counts = [0, 0, 0]
    for n in range(3_000):
        counts[owner(f"u{n}@shop.test", 3)] += 1
    assert min(counts) > 900
    assert owner(7, 3) == owner("7", 3)  # as lanes have it
    assert owner("é\ud800", 3) in range(3)


def test_a_worker_fills_all_of_its_lanes():
    """With the lanes' own hash the keys of one worker of two would ride in every other lane only."""
    lanes = Lanes(4, "per_key")
    mine = [f"u{n}@shop.test" for n in range(400) if owner(f"u{n}@shop.test", 2) == 0]
    assert {lanes._number(key) for key in mine} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("key", "names"),
    [
        (lambda p: p.get("email") or p["userId"], {"email", "userId"}),
        (lambda p: "user" in p and p["user"], {"user"}),
        (lambda p: sorted(p), {"email", "userId", "user", "rest"}),  # asks for all of it
        (lambda p: p["rest"].upper() + p["user"], {"rest", "user"}),
    ],
)
def test_only_what_a_key_is_made_of_is_computed_for_it(key, names):
    fields = {name: f"{{{{ record.{name} }}}}" for name in ("email", "userId", "user", "rest")}
    assert set(fields_of_key(fields, key)) == names


def test_an_asked_payload_cannot_be_copied_whole():
    for ask in (dict.items, dict.keys):
        assert not list(ask(Asked()))
    with pytest.raises(TypeError):
        Asked().items()


def claimed(tmp_path, number, text=None):
    """What a run of this worker's part sends."""
    world = World(tmp_path)
    world.write("customers.csv", customers(300, {7: "7,seven", 9: "9,u9@shop.test,old"}))

    def prepare(work):
        work.feed.claims = Claims(work.plan, ["customers"], number, 2)

    outcome = world.run(prepare=prepare, fresh=True)
    return world, outcome.report


def test_two_parts_are_the_whole_and_each_has_sums_that_hold(tmp_path):
    parts = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        world, report = claimed(folder, number)
        m, s = report["mappings"]["profiles"], report["sources"]["customers"]
        assert s["read"] == m["records"] + s["malformed"]
        assert m["records"] == m["failed"] + m["payloads"]
        parts.append(
            (
                {user["email"] for r in world.world.received for user in msgspec.json.decode(r.body)["users"]},
                m,
                s,
                [x["origin"]["line"] for x in world.letters],
            )
        )
    assert not parts[0][0] & parts[1][0] and len(parts[0][0] | parts[1][0]) == 298
    assert sum(m["records"] for _, m, _, _ in parts) == 299
    assert sum(s["read"] for _, _, s, _ in parts) == 300
    assert sorted(line for *_, lines in parts for line in lines) == [9, 11]


def test_a_key_that_changes_while_it_is_mapped_halts(tmp_path):
    world = World(tmp_path)
    world.write("customers.csv", customers(50))

    mine = next(email for n in range(50) if owner(email := f"u{n}@shop.test", 2) == 0)

    def prepare(work):
        claims = work.feed.claims = Claims(work.plan, ["customers"], 0, 2)
        claims._probes["customers"][0].keys = lambda rows: [mine] * len(rows.records)

    outcome = world.run(prepare=prepare)
    assert outcome.exit == 3 and outcome.report["error"]["code"] == "key-changed"
    assert not world.requests


def test_totals():
    one = Counts({"a": SourceCounts(2, 1)}, {"m": MappingCounts("crm", 1, delivered=1)}, {}, {"note": 1})
    two = Counts({"a": SourceCounts(3)}, {"m": MappingCounts("", 3, failed=3)}, {}, {"note": 2, "other": 1})
    assert total([two, one]) == Counts(
        {"a": SourceCounts(5, 1)}, {"m": MappingCounts("crm", 4, delivered=1, failed=3)}, {}, {"note": 3, "other": 1}
    )


# --- one file of dead letters ------------------------------------------------------------------------------------


def shared(path: Path) -> DeadLetters:
    letters = DeadLetters(Settings(path), Masker())
    letters.shared = True
    return letters


def test_several_append_to_one_file_and_no_line_is_lost_or_torn(tmp_path):
    path = tmp_path / "dead.jsonl"

    def write(number):
        letters = shared(path)
        for n in range(60):
            letters._lines.append(
                b'{"id": "%d-%d", "run_id": "r", "source": "s", "mapping": null, "stage": "source", "code": "c",'
                b' "reason": "%s", "origin": {"file": "f", "line": 1}}\n' % (number, n, b"x" * 5_000)
            )
            letters.flush()
        letters.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(read_letters(path))) == 240


def test_a_line_that_another_left_torn_is_cut_off_before_the_next_is_written(tmp_path):
    path = tmp_path / "dead.jsonl"
    letters = shared(path)
    letters._lines.append(b'{"first": 1}\n')
    letters.flush()
    with path.open("ab") as file:
        file.write(b'{"torn": ')
    letters._lines.append(b'{"second": 2}\n')
    letters.flush()
    letters.close()
    assert path.read_bytes() == b'{"first": 1}\n{"second": 2}\n'


def test_a_disk_that_refuses_halts(tmp_path):
    letters = shared(tmp_path / "dead.jsonl")
    letters._file = os.open(os.devnull, os.O_RDONLY)
    letters._lines.append(b"{}\n")
    with pytest.raises(Halt, match="dead letters"):
        letters.flush()
    letters.close()
