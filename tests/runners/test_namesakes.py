"""Two pipeline files with one name: told of, and never resumed by one another."""

import shutil

import pytest

import engine
from engine.runtime.clock import FakeClock

TEXT = """
version: 1
name: shop
sources: {people: {type: file, path: people.csv, key: id}}
sinks: {crm: {type: iterable, api_key: key, retry: {max_attempts: 1}}}
mappings: {all: {from: people, to: crm.update_user, fields: {userId: "{{ record.id }}"}}}
"""
DOWN = [{"every": 1, "status": 503}]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "people.csv").write_text("id\n1\n2\n")
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(TEXT)
    return tmp_path


def run(path, **options):
    return engine.load(path).run(sandbox=True, clock=FakeClock(), **options)


def shared(report):
    return [text for text in report.data["warnings"] if "share positions" in text]


def test_another_file_of_the_same_name_is_told_of(files):
    assert shared(run(files / "one.yaml")) == [] == shared(run(files / "one.yaml"))
    (text,) = shared(run(files / "two.yaml"))
    assert str(files / "one.yaml") in text and "share positions" in text
    assert shared(run(files / "two.yaml")) == []


def test_it_does_not_go_on_with_the_others_run(files):
    assert run(files / "one.yaml", faults=DOWN).status == "halted"
    with pytest.raises(engine.Refused, match=r"another file, .*one\.yaml.*another name.*--fresh"):
        run(files / "two.yaml")
    assert run(files / "one.yaml").data["resumed"]
    assert run(files / "two.yaml").delivered == 2


def test_fresh_starts_anew(files):
    run(files / "one.yaml", faults=DOWN)
    report = run(files / "two.yaml", fresh=True)
    assert report.delivered == 2 and not report.data["resumed"]


def test_a_file_that_was_moved_resumes(files):
    run(files / "one.yaml", faults=DOWN)
    shutil.move(files / "one.yaml", files / "moved.yaml")
    report = run(files / "moved.yaml")
    assert report.data["resumed"] and shared(report) == []


def test_a_project_that_was_moved_resumes(files, tmp_path_factory):
    run(files / "one.yaml", faults=DOWN)
    place = tmp_path_factory.mktemp("elsewhere") / "project"
    shutil.move(files, place)
    assert run(place / "one.yaml").data["resumed"]
