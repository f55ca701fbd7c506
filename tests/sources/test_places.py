"""Where files are found, what they are called, and what is said when they are not there."""

from __future__ import annotations

import io
import os
import socket
import sys

import pytest

from engine.errors import InvalidPipeline, Refused
from engine.model import Position
from engine.sources.files import FileSource
from engine.sources.places import seen_beforehand, smart_open


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("b.csv", "a.csv", "c.jsonl", ".hidden.csv"):
        (tmp_path / "data" / name).write_bytes(b'{"a":1}\n' if name.endswith("jsonl") else b"a\n1\n")
    return tmp_path


def names(path, base):
    return FileSource(path=str(path), base=str(base)).partitions()


def test_names_are_sorted_and_do_not_depend_on_the_machine(folder):
    for path in ("data/*.csv", folder / "data" / "*.csv", "./data/[ab].csv", "data/../data/*.csv", "**/?.csv"):
        assert names(path, folder) == ["data/a.csv", "data/b.csv"]
    assert names("../data/a.csv", folder / "data") == ["a.csv"]
    assert names(f"file://{folder}/data/a.csv", folder) == ["data/a.csv"]


def test_files_outside_the_folder_keep_the_name_that_was_written(folder):
    (folder / "pipelines").mkdir()
    assert names("../data/*.csv", folder / "pipelines") == ["../data/a.csv", "../data/b.csv"]


def test_a_name_with_pattern_signs_is_taken_as_it_is(folder):
    (folder / "data[1].csv").write_bytes(b"a\n1\n")
    assert names("data[1].csv", folder) == ["data[1].csv"]


def test_each_file_of_a_pattern_has_its_own_columns_and_format(folder):
    (folder / "data" / "b.csv").write_bytes(b"x,y\n1,2\n")
    source = FileSource(path="data/*", base=str(folder))
    assert [source.columns(name) for name in source.partitions()] == [("a",), ("x", "y"), None]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("data/*.tsv", "no file matches 'data/*.tsv'"),
        ("data/aa.csv", "did you mean 'a.csv'?"),
        ("nowhere/a.csv", "there is no file 'nowhere/a.csv'"),
        ("data", "is a folder; name the files in it: data/*.csv"),
        ("data/a.csv/x.csv", "cannot be opened"),
        ("~/a.csv", "~ is not expanded"),
        ("", "it is empty"),
        ("a\0.csv", "NUL"),
        ("s4://bucket/a.csv", "did you mean s3://?"),
        ("hdfs://host/a.csv", "cannot be reached by hdfs://"),
        ("ftp://host/a.csv", "cannot be reached by ftp://"),
        ("s3://key:hunter2@bucket/a.csv", "credentials do not belong into an address"),
        ("https://ada:hunter2@host/a.csv", "credentials do not belong into an address"),
        ("sftp://ada:hunter2@host/a.csv", "credentials do not belong into an address"),
        ("http://example.com/a.csv", "use https"),
        ("s3://bucket/*.csv", "patterns are for local files"),
        ("https://[::1/a.csv", "cannot be read"),
    ],
)
def test_a_path_that_cannot_serve(folder, path, said):
    with pytest.raises(InvalidPipeline) as told:
        names(path, folder)
    assert said in str(told.value)
    assert "hunter2" not in str(told.value)


def test_pipes_devices_and_sockets_are_told_from_files(folder):
    os.mkfifo(folder / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "s.csv"))
        for path in ("pipe.csv", "s.csv", "/dev/null"):
            with pytest.raises(InvalidPipeline, match="is a pipe or a device"):
                names(path, folder)


def test_a_format_that_cannot_be_told(folder):
    (folder / "export").write_bytes(b"")
    (folder / "a.xlsx").write_bytes(b"")
    for path in ("export", "a.xlsx", "-"):
        with pytest.raises(InvalidPipeline, match="write format: csv"):
            names(path, folder)


def test_a_file_that_may_not_be_read_or_vanished_is_refused(folder):
    source = FileSource(path="data/a.csv", base=str(folder))
    [name] = source.partitions()
    (folder / "data" / "a.csv").unlink()
    with pytest.raises(Refused, match=r"data/a\.csv cannot be read"):
        list(source.read(name, None))
    with pytest.raises(Refused, match=r"gone\.csv is gone"):
        list(source.read("gone.csv", None))


def test_an_address_is_named_without_what_may_be_a_signature():
    source = FileSource(path="https://host/a.csv?X-Signature=abc#x")
    assert source.partitions() == ["https://host/a.csv"]


def test_a_store_without_its_library_names_the_extra(monkeypatch):
    import smart_open as library

    def missing(scheme):
        raise ImportError(scheme)

    monkeypatch.setattr(library.transport, "get_transport", missing)
    for scheme, extra in (("s3", "s3"), ("gs", "gcs"), ("azure", "azure"), ("sftp", "sftp")):
        with pytest.raises(InvalidPipeline, match=rf"pip install 'engine\[{extra}\]'"):
            smart_open(scheme)


def test_only_files_below_the_folder_are_looked_into_beforehand(tmp_path):
    folder = tmp_path / "pipelines"
    folder.mkdir()
    for place in (tmp_path, folder):
        (place / "a.csv").write_bytes(b"a,b\n1,2\n")
    (folder / "link.csv").symlink_to(tmp_path / "a.csv")
    for path, known in (("a.csv", True), ("../a.csv", False), (str(tmp_path / "a.csv"), False), ("link.csv", False)):
        source = FileSource(path=path, base=str(folder))
        [name] = source.partitions()
        assert source.columns(name) == (("a", "b") if known else None)
        assert [rows.columns for rows in source.read(name)] == [("a", "b")]


def test_looking_beforehand_leaves_patterns_alone_that_start_elsewhere(folder, monkeypatch):
    def told(*_, **__):
        raise AssertionError("looked elsewhere")

    monkeypatch.setattr("glob.glob", told)
    monkeypatch.setattr("os.scandir", told)
    for path in (
        "/**",
        "../**/*.csv",
        f"{folder.parent}/*/*.csv",
        "file:///**/*.csv",
        "*/../../**",
        "**/" * 70 + "*.csv",
    ):
        assert FileSource(path=path, format="csv", base=str(folder)).shapes() == {None}


def test_looking_beforehand_finds_what_reading_finds(folder):
    (folder / "data" / "b.csv").write_bytes(b"x,y\n1,2\n")
    (folder / "data" / "deep" / "er").mkdir(parents=True)
    (folder / "data" / "deep" / "er" / "d.csv").write_bytes(b"d\n1\n")
    for path in (
        "data/*.csv",
        "**/*.csv",
        "**/[ab].csv",
        "data/**",
        "*/?.csv",
        "data/**/er/*.csv",
        f"{folder}/**/*.csv",
    ):
        source = FileSource(path=path, format="csv", base=str(folder))
        seen = {place.name for place in seen_beforehand(path, str(folder))}
        assert seen == set(source.partitions()), path
        assert source.shapes() == {source.columns(name) for name in source.partitions()}


def test_looking_beforehand_has_an_end(folder, monkeypatch):
    for number in range(50):
        (folder / f"{number}.csv").write_bytes(b"a\n1\n")
    assert len(seen_beforehand("*.csv", str(folder), 10)) == 10
    monkeypatch.setattr("engine.sources.places.WALKED", 20)
    assert len(seen_beforehand("**/*.csv", str(folder))) <= 20
    assert len(FileSource(path="*.csv", base=str(folder)).partitions()) == 50


def test_standard_input_is_read_when_it_is_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a,b\n1,2\n3,4\n")))
    source = FileSource(path="-", format="csv")
    assert source.partitions() == ["-"]
    assert source.columns("-") is None
    assert [rows.records for rows in source.read("-", None)] == [[["1", "2"], ["3", "4"]]]
    for again in (lambda: list(source.read("-", Position(2, 4, 12))), lambda: source.checksum("-", 12)):
        with pytest.raises(Refused, match="standard input cannot be resumed"):
            again()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"format": "xml"}, "format: 'xml' is none of csv, tsv, jsonl"),
        ({"encoding": "klingon"}, "no text encoding 'klingon'"),
        ({"encoding": "base64"}, "no text encoding 'base64'"),
        ({"encoding": "utf-7"}, "cannot be read line by line"),
        ({"delimiter": '|"'}, "delimiter: '|\"' cannot separate cells"),
        ({"delimiter": ""}, "delimiter: '' cannot separate cells"),
        ({"columns": {"a": "int"}}, "columns: a: 'int' is none of text, integer"),
        ({"columns": {"a": {"type": "boolean", "true_values": ["Y"], "false_values": ["Y"]}}}, "'Y' would be both"),
        ({"columns": {"a": {"type": "boolean", "true": ["Y"]}}}, "columns: a: 'true' is none of"),
        ({"duplicate_keys": "first"}, "duplicate_keys: 'first' is none of refuse, last"),
        ({"timeout": {"read": 0}}, "timeout: write {connect: 10s, read: 60s}"),
        ({"retries": -1}, "retries: -1 is not a whole number of at least 0"),
        ({"mode": "append", "skip_footer": 1}, "mode: append goes on where a file ended; with a footer"),
        ({"mode": "grow"}, "mode: 'grow' is none of full, append"),
        ({"quote": "''"}, "quote: \"''\" is not one character"),
        ({"header": "id"}, "is not a list of names"),
        ({"header": ["a", "a"]}, "more than one column is called 'a'"),
        ({"ragged": "sometimes"}, "ragged: 'sometimes' is none of"),
        ({"ragged": {"surplus": "x"}}, "{extra: a column"),
        ({"skip_rows": -1}, "skip_rows"),
        ({"max_line": 0}, "max_line"),
        ({"compression": "rar"}, "compression: 'rar' is none of"),
        ({"on_empty": "panic"}, "on_empty: 'panic' is none of"),
    ],
)
def test_settings_that_cannot_serve(settings, said):
    with pytest.raises(InvalidPipeline) as told:
        FileSource(path="a.csv", **settings)
    assert said in str(told.value)
