"""The jobs in their short form: they run, and what the engine gives is what was asked for. Not how fast it is."""

import csv
import json
import sys
from dataclasses import replace

import pytest

from benchmarks import data, profile, start
from benchmarks.contenders import PEERS, Contender
from benchmarks.jobs import FAILING, FAST, JOBS, LOOPS, MAPPING, OURS, TWO
from benchmarks.turns import alone, of_job

ROWS = 300
sys.path.insert(0, str(PEERS))
from person import person, purchase  # noqa: E402


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "DATA", tmp_path / "data")


def asked(function):
    """A contender that writes what was asked for: the rows, mapped by a function of plain Python."""

    def command(task):
        with task.source.open(encoding="utf-8", newline="") as file:
            lines = [json.dumps(function(row)) for row in csv.DictReader(file)]
        (task.source.parent / "asked").write_text("\n".join(lines) + "\n")
        copy = "import shutil, sys; shutil.copy(*sys.argv[1:])"
        return [sys.executable, "-c", copy, str(task.source.parent / "asked"), task.target], {}

    return Contender("asked", command)


def short(job, *contenders):
    return of_job(replace(JOBS[job], contenders=contenders), ROWS, 1)


def test_j1_gives_what_a_function_gives():
    found = short("j1", asked(person), OURS, TWO)
    assert {"asked", "ours"} <= set(found.costs)


def test_a_mistake_would_be_seen():
    with pytest.raises(SystemExit, match="gives something else"):
        short("j1", asked(lambda row: person(row) | {"email": row["email"]}), OURS)


def test_j2_gives_what_was_asked_for(tmp_path):
    def order(record):
        items = record["items"]
        lines = [{"id": i["sku"], "name": i["title"], "price": i["price"], "quantity": i["qty"]} for i in items]
        return {
            "orderId": record["order_id"],
            "email": record["customer"]["email"].lower(),
            "country": record["customer"]["country"].upper(),
            "total": round(sum(i["price"] * i["qty"] for i in items), 2),
            "units": sum(i["qty"] for i in items),
            "lines": lines,
        }

    def command(task):
        records = [json.loads(line) for line in task.source.read_text("utf-8").splitlines()]
        kept = [json.dumps(order(record)) for record in records if record["status"] != "cancelled"]
        (tmp_path / "asked").write_text("\n".join(kept) + "\n")
        copy = "import shutil, sys; shutil.copy(*sys.argv[1:])"
        return [sys.executable, "-c", copy, str(tmp_path / "asked"), task.target], {}

    found = short("j2", Contender("asked", command), OURS)
    assert list(found.costs) == ["asked", "ours"]


def loop(client):
    """A loop over a client that the engine has anyway, with the Python that runs the tests."""
    (known,) = [one for one in LOOPS if one.name == f"{client} loop"]

    def command(task):
        line, environ = known.command(task)
        return [sys.executable, *line[1:]], environ

    return replace(known, command=command, missing=lambda: None)


@pytest.mark.parametrize("job", ["j4", "j4-tls"])
def test_j4_sends_what_loops_send(job):
    found = short(job, loop("requests"), loop("urllib3"), OURS, FAST)
    assert {"requests loop", "urllib3 loop", "ours"} <= set(found.costs), found.left_out


def test_j4_is_of_about_three_hundred_bytes():
    with data.people(ROWS).open(encoding="utf-8", newline="") as file:
        sizes = [len(json.dumps(purchase(row), ensure_ascii=False)) for row in csv.DictReader(file)]
    assert 260 < sum(sizes) / ROWS < 340


def test_j3_arrives_whole_from_both_transports_and_from_afar():
    found = short("j3-far", OURS, FAST, MAPPING)
    assert {"ours", "mapping alone"} <= set(found.costs)


def test_each_hundredth_row_fails_and_the_run_goes_on():
    assert alone(JOBS["safety"], FAILING, ROWS).cpu > 0
    with pytest.raises(SystemExit, match="ended with 1"):
        alone(JOBS["safety"], replace(FAILING, ends=(0,)), ROWS)


def test_starting_is_measured():
    names = dict(start.costs(1))
    assert {"engine --version", "engine run, 100 rows", "check of 200 fields, after import"} <= set(names)


@pytest.mark.parametrize(
    ("job", "stages"),
    [
        ("j1", {"map: the generated function", "write: the file", "schema check of a payload"}),
        ("j3", {"map: the generated function", "lanes", "converse: vendor, bodies, answers"}),
    ],
)
def test_every_stage_of_the_profile_is_found_in_the_engine(job, stages):
    found = profile.in_a_process(job, data.people(ROWS), ROWS)
    assert stages <= set(found)
    assert all(found[stage] > 0 for stage in stages)
