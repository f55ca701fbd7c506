"""The data of the jobs: the same bytes everywhere, of the shape that the jobs' descriptions say."""

import csv
import hashlib
import json

import pytest

from benchmarks import data


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "DATA", tmp_path / "data")


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("make", "digest"), [(data.people, "3bedd0a3"), (data.people_with_bad, "9c14d495"), (data.orders, "8e1cfab9")]
)
def test_the_same_bytes_on_every_machine(make, digest):
    assert hashlib.sha256(make(1000).read_bytes()).hexdigest()[:8] == digest


def test_people_are_ten_columns_of_about_ninety_bytes():
    path = data.people(1000)
    assert 80 < path.stat().st_size / 1000 < 100
    rows = rows_of(path)
    assert len(rows) == 1000
    assert all(len(row) == 10 and None not in row.values() for row in rows)
    assert sum("," in row["last_name"] for row in rows) == 20
    assert 50 < sum(row["city"] == "" for row in rows) < 200


def test_each_hundredth_of_the_bad_people_has_no_number():
    rows = rows_of(data.people_with_bad(1000))
    assert [n for n, row in enumerate(rows) if row["ltv"] == "n/a"] == list(range(99, 1000, 100))


def test_orders_are_nested_and_a_tenth_is_cancelled():
    path = data.orders(1000)
    assert 500 < path.stat().st_size / 1000 < 590
    orders = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert sum(order["status"] == "cancelled" for order in orders) == 100
    assert {len(order["items"]) for order in orders} == {1, 2, 3, 4}


def test_what_broke_off_is_not_taken_for_the_data():
    def breaks(count):
        yield "half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        data.made("x.csv", 1, breaks)
    assert data.made("x.csv", 1, lambda count: iter(["whole"])).read_text("utf-8") == "whole"
