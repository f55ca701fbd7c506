"""Files that records choose, in whole runs: each record in its file, hostile ones in the dead letters."""

from __future__ import annotations

import json

import pytest

from engine.errors import Halt
from engine.runners.local import PlanFailed
from engine.sinks import shelf
from tests.runtime.runs import World

TEXT = """
version: 1
name: shop
vars: {folder: people}
sources:
  customers: {type: file, path: customers.csv, key: id}
sinks:
  files:
    type: file
    path: "out/{{ vars.folder }}/{{ record.country | lower }}/{{ run.id }}-{{ part }}.jsonl"
    roll: {max_records: 100}
mappings:
  profiles:
    from: customers
    to: files
    fields: {id: "{{ record.id }}", text: "{{ record.text }}"}
"""


def rows(count, country=lambda n: "FR" if n % 3 else "US"):
    return "id,country,text\n" + "".join(f"{n},{country(n)},1e5\n" for n in range(count))


def written(folder):
    found = {}
    for path in sorted((folder / "out").rglob("*")):
        if path.is_file():
            found[str(path.relative_to(folder))] = [json.loads(line) for line in path.read_text().splitlines()]
    return found


def test_records_are_written_where_their_values_say(tmp_path):
    world = World(tmp_path, TEXT)
    world.write("customers.csv", rows(450))
    outcome = world.run()
    assert outcome.exit == 0
    run = outcome.report["run_id"]
    found = written(tmp_path)
    assert {name: len(lines) for name, lines in found.items()} == {
        f"out/people/fr/{run}-00001.jsonl": 100, f"out/people/fr/{run}-00002.jsonl": 100,
        f"out/people/fr/{run}-00003.jsonl": 100,
        f"out/people/us/{run}-00001.jsonl": 100, f"out/people/us/{run}-00002.jsonl": 50,
    }  # fmt: skip
    assert [line["id"] for line in found[f"out/people/us/{run}-00002.jsonl"]] == [
        str(n) for n in range(450) if n % 3 == 0
    ][100:]  # fmt: skip
    assert {line["text"] for lines in found.values() for line in lines} == {"1e5"}


def test_hostile_values_and_missing_ones_are_buried(tmp_path):
    world = World(tmp_path, TEXT)
    bad = {1: "..", 2: "../../../etc", 3: "", 4: "a//b", 5: "/root"}
    world.write("customers.csv", rows(10, lambda n: bad.get(n, "FR")))
    outcome = world.run()
    assert outcome.exit == 1
    assert outcome.report["mappings"]["profiles"]["delivered"] == 5
    assert sorted((letter["key"], letter["code"]) for letter in world.letters) == [
        (str(n), "bad-path") for n in sorted(bad)
    ]  # fmt: skip
    assert [len(lines) for lines in written(tmp_path).values()] == [5]
    world = World(tmp_path / "x", TEXT.replace("lower }}", "lower }}{{ reject('no') if record.id == '3' else '' }}"))
    world.folder.mkdir()
    world.write("customers.csv", rows(10))
    assert world.run().report["mappings"]["profiles"]["rejected"] == 1


def test_a_run_that_halts_while_it_finishes_is_gone_on_with(tmp_path, monkeypatch):
    world = World(tmp_path, TEXT)
    world.write("customers.csv", rows(450))
    finish, calls = shelf.WholeFile.finish, []

    def failing(file):
        calls.append(file.path)
        if len(calls) == 3:
            raise Halt("the disk is full", where=file.path, code="disk")
        finish(file)

    monkeypatch.setattr(shelf.WholeFile, "finish", failing)
    halted = world.run()
    assert (halted.exit, halted.report["error"]["code"]) == (3, "disk")
    outcome = world.run()
    assert (outcome.exit, outcome.report["resumed"]) == (0, True)
    assert sorted(int(line["id"]) for lines in written(tmp_path).values() for line in lines) == list(range(450))
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("out/{{ record.contry }}.jsonl", "contry"),
        ("out/{{ flags.a }}.jsonl", "flags"),
        ("out/{{ record. }}.jsonl", ""),
    ],
)
def test_a_wrong_path_is_told_beforehand_and_in_its_place(tmp_path, path, said):
    world = World(tmp_path, TEXT)
    world.write("customers.csv", rows(1))
    text = TEXT.replace("out/{{ vars.folder }}/{{ record.country | lower }}/{{ run.id }}-{{ part }}.jsonl", path)
    with pytest.raises(PlanFailed) as told:
        world.run(text.replace("    roll: {max_records: 100}\n", ""))
    assert said in str(told.value)
    assert {problem.path for problem in told.value.problems} == {("sinks", "files", "path")}


def test_a_dry_run_writes_nothing(tmp_path):
    world = World(tmp_path, TEXT)
    world.write("customers.csv", rows(10))
    assert world.run(dry=True).exit == 0
    assert not (tmp_path / "out").exists()
