"""The file sink: whole files or none, and the same bytes however often it was cut off."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Halt, InvalidPipeline, Refused
from engine.model import Payloads
from engine.sinks.file import FileSink
from tests.sinks.helpers import UNPACK, payloads, written

FORMATS = ("jsonl", "json", "csv", "tsv")
PEOPLE = [[{"id": str(n), "n": n, "text": 'a,"b"\n\r\té'} for n in range(k, k + 50)] for k in range(0, 500, 50)]


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def resumed(folder, name, state, **settings):
    sink = FileSink(path=name, base=str(folder), **settings)
    sink.open(state)
    return sink


def only(sink):
    """The one file of a sink without expressions."""
    [file] = sink._shelf._open.values()
    return file


# --- what is written ----------------------------------------------------------------------------------------


def test_jsonl_is_exactly_the_encoded_payloads(tmp_path):
    values = [{"a": 10**40, "b": "1e5"}, [1, None], "é", {"ß": 0.1}]
    data = written(tmp_path, "a.jsonl", [values])
    assert data == b'{"a":1' + b"0" * 40 + ',"b":"1e5"}\n[1,null]\n"é"\n{"ß":0.1}\n'.encode()


@pytest.mark.parametrize("batches", [[], [[]], [[1]], [[{"a": 1}], [], [2, "x"]]])
def test_json_is_one_valid_array(tmp_path, batches):
    data = written(tmp_path, "a.json", batches)
    assert json.loads(data) == [value for batch in batches for value in batch]
    assert data.endswith(b"]\n")


def test_csv_holds_scalars_under_the_first_payload_s_keys(tmp_path):
    rows = [{"a": "x", "b": 10**30, "c": 1.5}, {"c": None, "a": True}, {"b": "", "a": 'q"\r', "c": "\n"}]
    data = written(tmp_path, "a.csv", [rows])
    assert data == b"a,b,c\nx,1" + b"0" * 30 + b',1.5\ntrue,,\n"q""\r",,"\n"\n'
    assert list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))[3] == ['q"\r', "", "\n"]


def test_csv_with_columns_given(tmp_path):
    assert written(tmp_path, "a.csv", [], columns=["b", "a"]) == b"b,a\n"
    assert written(tmp_path, "a.csv", [[{"a": 1}]], columns=["b", "a"], delimiter=";") == b"b;a\n;1\n"
    assert written(tmp_path, "a.csv", [[{"a": 1}]], header=False) == b"1\n"
    assert written(tmp_path, "a.csv", []) == b""
    assert written(tmp_path, "a.csv", [[{"a": ""}]]) == b'a\n""\n'


def test_tsv(tmp_path):
    assert written(tmp_path, "a.tsv", [[{"a": "x,y", "b": "\t"}]]) == b'a\tb\nx,y\t"\t"\n'


def test_csv_turns_away_what_cells_cannot_hold(tmp_path):
    sink = resumed(tmp_path, "a.csv", None)
    batch = payloads({"a": [1]}, {"a": "x"}, {"a": {}}, {"a": 1, "z": 2}, "text", {}, {"a": "y"})
    verdicts = sink.write(batch)
    assert {index: (v.outcome, v.code) for index, v in verdicts.items()} == {
        0: ("rejected", "nested-value"),
        2: ("rejected", "nested-value"),
        3: ("rejected", "unknown-column"),
        4: ("rejected", "not-a-map"),
        5: ("rejected", "not-a-map"),
    }
    assert "'z'" in verdicts[3].reason
    assert sink.write(payloads({"a": "z"})) is None
    sink.finish()
    sink.close()
    assert (tmp_path / "a.csv").read_bytes() == b"a\nx\ny\nz\n"


def test_csv_writes_nested_values_as_json_when_asked(tmp_path):
    assert written(tmp_path, "a.csv", [[{"a": [1, {"b": None}]}]], nested="json") == b'a\n"[1,{""b"":null}]"\n'


def test_formula_guard(tmp_path):
    rows = [{"a": value} for value in ("=1+1", "+1", "-1", "@x", "x=1", -1)]
    assert written(tmp_path, "a.csv", [rows], formula_guard=True) == b"a\n'=1+1\n'+1\n'-1\n'@x\nx=1\n-1\n"
    assert written(tmp_path, "a.csv", [rows[:1]]) == b"a\n=1+1\n"


texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ['"', "\r", "\n", "\r\n", ",", "", "\0", " "]
)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.tuples(texts, texts), max_size=20))
def test_csv_reads_back_as_it_was(rows):
    with tempfile.TemporaryDirectory() as folder:
        data = written(Path(folder), "a.csv", [[{"a": a, "b": b} for a, b in rows]])
    read = list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    assert read[1:] == [list(row) for row in rows]


# --- whole or not at all ------------------------------------------------------------------------------------


def test_nothing_stands_under_the_final_name_before_finish(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"yesterday\n")
    sink = resumed(tmp_path, "a.jsonl", None)
    sink.write(payloads(1))
    sink.sync()
    assert (tmp_path / "a.jsonl").read_bytes() == b"yesterday\n"
    assert stat.S_IMODE((tmp_path / "a.jsonl.part").stat().st_mode) == 0o600
    sink.finish()
    assert (tmp_path / "a.jsonl").read_bytes() == b"1\n"
    sink.close()
    assert names(tmp_path) == ["a.jsonl"]


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_the_mode_of_the_file_that_is_replaced_stays(tmp_path, suffix):
    name = f"a.jsonl{suffix}"
    old = os.umask(0o027)
    try:
        written(tmp_path, name, [[1]])
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640
        (tmp_path / name).chmod(0o604)
        written(tmp_path, name, [[1]])
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o604
    finally:
        os.umask(old)


def test_folders_are_made(tmp_path):
    assert written(tmp_path, "out/2024/a.jsonl", [[1]]) == b"1\n"


@pytest.mark.parametrize("packing", UNPACK)
@pytest.mark.parametrize("format", FORMATS)
def test_cut_off_anywhere_gives_the_same_file(tmp_path, format, packing):
    name = f"a.{format}" + ("" if packing == "none" else f".{packing}")
    (tmp_path / "straight").mkdir()
    straight = written(tmp_path / "straight", name, PEOPLE)
    plain = UNPACK[packing](straight)
    assert plain == written(tmp_path / "straight", f"b.{format}", PEOPLE)
    state = None
    for done in range(len(PEOPLE)):
        sink = resumed(tmp_path, name, state)
        sink.write(payloads(*PEOPLE[done]))
        state = json.loads(json.dumps(sink.sync()))
        sink.write(payloads(*PEOPLE[(done + 1) % len(PEOPLE)]))  # never synced, so it never happened
        if done % 2:
            only(sink)._part.flush()
        sink.close()
        assert not (tmp_path / name).exists()
    sink = resumed(tmp_path, name, state)
    sink.finish()
    sink.close()
    assert (tmp_path / name).read_bytes() == straight
    assert set(names(tmp_path)) == {name, "straight"}


@pytest.mark.parametrize("packing", ["none", "gz"])
@pytest.mark.parametrize("format", FORMATS)
def test_cut_off_right_after_finish(tmp_path, format, packing):
    name = f"a.{format}" + ("" if packing == "none" else f".{packing}")
    sink = resumed(tmp_path, name, None)
    sink.write(payloads(*PEOPLE[0]))
    state = sink.sync()
    sink.finish()
    # the process is gone before its state says that it finished
    whole = (tmp_path / name).read_bytes()
    sink = resumed(tmp_path, name, state)
    sink.finish()
    sink.finish()
    sink.close()
    assert (tmp_path / name).read_bytes() == whole
    assert names(tmp_path) == [name]


def test_cut_off_before_anything_was_written(tmp_path):
    sink = resumed(tmp_path, "a.csv", None)
    state = sink.sync()
    sink.close()
    sink = resumed(tmp_path, "a.csv", state)
    sink.write(payloads({"a": 1}))
    sink.finish()
    sink.close()
    assert (tmp_path / "a.csv").read_bytes() == b"a\n1\n"


def test_a_fresh_start_forgets_what_was_left(tmp_path):
    sink = resumed(tmp_path, "a.jsonl", None)
    sink.write(payloads(*range(1000)))
    sink.sync()
    sink.close()
    assert written(tmp_path, "a.jsonl", [[1]]) == b"1\n"


def test_a_part_file_that_is_shorter_or_gone_is_refused(tmp_path):
    sink = resumed(tmp_path, "a.jsonl", None)
    sink.write(payloads(1, 2, 3))
    state = sink.sync()
    sink.close()
    os.truncate(tmp_path / "a.jsonl.part", 3)
    with pytest.raises(Refused, match="shorter than the 6 bytes"):
        resumed(tmp_path, "a.jsonl", state)
    (tmp_path / "a.jsonl.part").unlink()
    (tmp_path / "a.jsonl").write_bytes(b"another's\n")
    with pytest.raises(Refused, match="is gone"):
        resumed(tmp_path, "a.jsonl", state)


@pytest.mark.parametrize(
    "state", [{}, [], {"length": -1, "check": 1}, {"length": "1", "check": 0}, {"length": 0, "check": 0}]
)
def test_a_damaged_state_is_refused(tmp_path, state):
    with pytest.raises(Refused, match="--fresh"):
        resumed(tmp_path, "a.csv", state)


def test_two_at_once_are_refused(tmp_path):
    sink = resumed(tmp_path, "a.jsonl", None)
    sink.write(payloads(1))
    with pytest.raises(Refused, match="written by another run"):
        resumed(tmp_path, "a.jsonl", None)
    sink.finish()
    sink.close()
    assert (tmp_path / "a.jsonl").read_bytes() == b"1\n"


def test_a_link_in_the_place_of_the_part_file_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    (tmp_path / "a.jsonl.part").symlink_to(victim)
    with pytest.raises(Halt, match=r"a\.jsonl\.part cannot be written"):
        resumed(tmp_path, "a.jsonl", None)
    assert victim.read_bytes() == b"precious"


def test_folders_pipes_and_devices_are_no_targets(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    os.mkfifo(tmp_path / "b.jsonl")
    for name, said in (("a.jsonl", "is a folder"), ("b.jsonl", "a pipe or a device"), ("/dev/null", "a pipe")):
        with pytest.raises(Halt, match=said):
            resumed(tmp_path, name, None, format="jsonl")


def test_a_disk_that_fails_halts_and_the_synced_part_is_kept(tmp_path, monkeypatch):
    sink = resumed(tmp_path, "a.jsonl", None)
    sink.write(payloads(1))
    state = sink.sync()
    sink.write(payloads(2))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(Halt, match="No space left on device") as told:
            sink.sync()
    assert told.value.where.endswith("a.jsonl.part")
    sink.close()
    sink = resumed(tmp_path, "a.jsonl", state)
    sink.write(payloads(3))
    sink.finish()
    sink.close()
    assert (tmp_path / "a.jsonl").read_bytes() == b"1\n3\n"


def test_short_writes_are_completed(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, bytes(data[:7])))
    assert written(tmp_path, "a.jsonl", [["x" * 100]]) == b'"' + b"x" * 100 + b'"\n'


def test_a_failure_while_packing_leaves_the_old_file_and_the_part(tmp_path, monkeypatch):
    (tmp_path / "a.jsonl.gz").write_bytes(b"yesterday")
    sink = resumed(tmp_path, "a.jsonl.gz", None)
    sink.write(payloads(*range(100_000)))
    state = sink.sync()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(Halt, match="No space"):
            sink.finish()
    sink.close()
    assert names(tmp_path) == ["a.jsonl.gz", "a.jsonl.gz.part"]
    assert (tmp_path / "a.jsonl.gz").read_bytes() == b"yesterday"
    sink = resumed(tmp_path, "a.jsonl.gz", state)
    sink.finish()
    sink.close()
    assert UNPACK["gz"]((tmp_path / "a.jsonl.gz").read_bytes()).count(b"\n") == 100_000


def test_equal_input_gives_equal_packed_bytes(tmp_path):
    assert written(tmp_path, "a.jsonl.gz", PEOPLE) == written(tmp_path, "b.jsonl.gz", PEOPLE)


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"path": ""}, "does not name a file"),
        ({"path": "out/"}, "does not name a file"),
        ({"path": "-"}, "type stdout"),
        ({"path": "~/a.csv"}, "~ is not expanded"),
        ({"path": "a"}, "write format"),
        ({"path": "a.xml"}, "write format"),
        ({"path": "a.csv", "format": "xml"}, "'xml' is none of jsonl, json, csv, tsv"),
        ({"path": "a.csv", "compression": "rar"}, "'rar' is none of"),
        ({"path": "a.csv", "nested": "maybe"}, "nested: 'maybe'"),
        ({"path": "a.csv", "delimiter": "||"}, "delimiter"),
        ({"path": "https://host/a.csv"}, "https:// cannot take a file"),
        ({"path": "s4://b/a.csv"}, "did you mean s3://?"),
        ({"path": "s3://key:hunter2@b/a.csv"}, "credentials do not belong"),
    ],
)
def test_settings_that_cannot_serve(settings, said):
    with pytest.raises(InvalidPipeline) as told:
        FileSink(**settings)
    assert said in str(told.value)
    assert "hunter2" not in str(told.value)


def test_an_empty_batch_writes_nothing(tmp_path):
    for format in FORMATS:
        sink = resumed(tmp_path, f"a.{format}", None)
        assert sink.write(Payloads([])) is None
        assert sink.sync()["files"][f"a.{format}"]["length"] == 0
        sink.close()
