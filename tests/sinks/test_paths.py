"""Many files of one sink: parts that roll over, paths that records choose, and what they may not choose."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import Halt, InvalidPipeline, Refused
from engine.sinks import shelf
from engine.sinks.file import FileSink
from engine.sinks.paths import MARK, confined, split
from tests.sinks.helpers import payloads


def sink_of(folder, path, state=None, **settings):
    sink = FileSink(path=path, base=str(folder), **settings)
    sink.open(state)
    return sink


def done(sink):
    sink.finish()
    sink.close()


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- parts ----------------------------------------------------------------------------------------------------


def test_parts_roll_over_by_records(tmp_path):
    sink = sink_of(tmp_path, "out/a-{{ part }}.jsonl", roll={"max_records": 3})
    sink.write(payloads(1, 2))
    sink.write(payloads(3, 4, 5, 6, 7))
    assert all(name.endswith(".part") for name in tree(tmp_path))
    done(sink)
    assert tree(tmp_path) == {
        "out/a-00001.jsonl": b"1\n2\n3\n", "out/a-00002.jsonl": b"4\n5\n6\n", "out/a-00003.jsonl": b"7\n",
    }  # fmt: skip


def test_parts_roll_over_by_bytes(tmp_path):
    sink = sink_of(tmp_path, "a{{part}}.jsonl.gz", roll={"max_bytes": 10})
    sink.write(payloads("aaaa", "b", "x" * 30, "y", "zz"))
    done(sink)
    found = {name: gzip.decompress(data) for name, data in tree(tmp_path).items()}
    assert found == {
        "a00001.jsonl.gz": b'"aaaa"\n', "a00002.jsonl.gz": b'"b"\n', "a00003.jsonl.gz": b'"%b"\n' % (b"x" * 30),
        "a00004.jsonl.gz": b'"y"\n"zz"\n',
    }  # fmt: skip


def test_every_part_of_csv_has_its_header_and_refused_rows_do_not_count(tmp_path):
    sink = sink_of(tmp_path, "a-{{ part }}.csv", roll={"max_records": 1})
    verdicts = sink.write(payloads({"a": 1}, [], {"a": [2]}, {"a": 3}, "x"))
    assert sorted(verdicts) == [1, 2, 4]
    done(sink)
    assert tree(tmp_path)["a-00001.csv"] == b"a\n1\n"
    assert tree(tmp_path)["a-00002.csv"] == b"a\n3\n"


@pytest.mark.parametrize("format", ["jsonl", "json", "csv"])
@pytest.mark.parametrize("packing", ["none", "gz"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_cut_off_anywhere_gives_the_same_files(tmp_path_factory, format, packing, data):
    path = f"out/{{{{ record.k }}}}/x-{{{{ part }}}}.{format}" + ("" if packing == "none" else ".gz")
    options = {"roll": {"max_records": 4, "max_bytes": 60}, "max_open_files": 2}
    batches = [[{"k": "abcde"[n % 5], "n": n} for n in range(m, m + 7)] for m in range(0, 42, 7)]
    results = []
    for cuts in ((), data.draw(st.lists(st.integers(0, 6), max_size=4))):
        folder, state, at, last = tmp_path_factory.mktemp("x"), None, 0, list(cuts)
        while True:
            sink = sink_of(folder, path, state, **options)
            end = last.pop(0) if last else 99
            for index, batch in enumerate(batches[at:], at):
                if index == end:
                    break
                for value in batch:
                    sink.write_to(f"out/{value['k']}/x-{MARK * 10}.{format}" + path[path.index(format) + len(format):],
                                  payloads(value))  # fmt: skip
            else:
                break
            # what is written after the last sync is undone, whether or not it reached the disk
            sink.close()
            if end > at:
                sink = sink_of(folder, path, state, **options)
                for batch in batches[at:end]:
                    for value in batch:
                        sink.write_to(f"out/{value['k']}/x-{MARK * 10}.{format}"
                                      + path[path.index(format) + len(format):], payloads(value))  # fmt: skip
                state, at = json.loads(json.dumps(sink.sync())), end
                sink.close()
        done(sink)
        results.append({n: gzip.decompress(d) if packing == "gz" else d for n, d in tree(folder).items()})
    assert results[0] == results[1]
    assert not any(name.endswith(".part") for name in results[0])
    assert sum(text.count(b'"n"') or text.count(b"\n") - 1 for text in results[0].values()) == 42


@pytest.mark.parametrize("packing", ["none", "gz"])
def test_cut_off_between_two_final_names(tmp_path, monkeypatch, packing):
    path, ending = "{{ record.k }}.jsonl", "" if packing == "none" else ".gz"
    sink = sink_of(tmp_path, path + ending)
    for name in "abc":
        sink.write_to(f"{name}.jsonl{ending}", payloads(name))
    state = sink.sync()
    finish = shelf.WholeFile.finish

    def failing(file):
        if file.path.startswith("b"):
            raise Halt("disk full", where=file.path)
        finish(file)

    monkeypatch.setattr(shelf.WholeFile, "finish", failing)
    with pytest.raises(Halt):
        sink.finish()
    sink.close()
    assert f"a.jsonl{ending}" in tree(tmp_path)
    monkeypatch.setattr(shelf.WholeFile, "finish", finish)
    sink = sink_of(tmp_path, path + ending, state)
    done(sink)
    assert sorted(tree(tmp_path)) == [f"{name}.jsonl{ending}" for name in "abc"]
    found = tree(tmp_path)[f"a.jsonl{ending}"]
    assert (gzip.decompress(found) if ending else found) == b'"a"\n'


def test_only_so_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(shelf, "MOST_FILES", 3)
    sink = sink_of(tmp_path, "{{ record.k }}.jsonl", max_open_files=1)
    for name in "abcab":
        sink.write_to(f"{name}.jsonl", payloads(name))
    with pytest.raises(Halt, match="more than 3 files"):
        sink.write_to("d.jsonl", payloads(1))
    done(sink)
    assert tree(tmp_path) == {"a.jsonl": b'"a"\n"a"\n', "b.jsonl": b'"b"\n"b"\n', "c.jsonl": b'"c"\n'}


def test_a_file_without_payloads_may_stay_away(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"yesterday\n")
    done(sink_of(tmp_path, "a.csv", columns=["a"], on_empty="none"))
    assert tree(tmp_path) == {"a.csv": b"yesterday\n"}
    done(sink_of(tmp_path, "a.csv", columns=["a"]))
    assert tree(tmp_path) == {"a.csv": b"a\n"}


def test_the_state_of_an_earlier_version_is_understood(tmp_path):
    sink = sink_of(tmp_path, "a.jsonl")
    sink.write(payloads(1))
    [(_, old)] = sink.sync()["files"].items()
    sink.close()
    del old["records"]
    sink = sink_of(tmp_path, "a.jsonl", old)
    sink.write(payloads(2))
    done(sink)
    assert tree(tmp_path) == {"a.jsonl": b"1\n2\n"}


@pytest.mark.parametrize("state", [{"files": 1, "parts": {}}, {"files": {"a.jsonl": {"length": -1}}, "parts": {}}])
def test_a_damaged_state_is_refused(tmp_path, state):
    with pytest.raises(Refused):
        sink_of(tmp_path, "a.jsonl", state)


# --- what records may choose ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "../x", "..", "/etc/passwd", "a//b", "", "a/../../b", "./a", "a/", "/", "a\0b", "a\nb", "\x1b[1m", "x" * 300,
        "a\\b", None, True, 1.5, ["a"], MARK,
    ],
)  # fmt: skip
def test_what_leads_out_of_the_folder_is_rejected(tmp_path, value):
    sink = sink_of(tmp_path / "base", "out/{{ record.x }}.jsonl")
    target = f"out/{value}.jsonl" if isinstance(value, str) else value
    for given_target in (target, value if value != "x" * 300 else "out/" + value):
        if given_target in ("out/...jsonl", "out/.jsonl", "out/a/.jsonl"):
            continue  # odd names, but names below the folder
        verdicts = sink.write_to(given_target, payloads(1, 2))
        assert {(v.outcome, v.code) for v in verdicts.values()} == {("rejected", "bad-path")}
        assert len(verdicts) == 2
    done(sink)
    assert [name for name in tree(tmp_path) if not name.startswith("base/out/")] == []


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from("./a\\\0 ~") | st.characters(), max_size=12))
def test_no_text_leads_out_of_the_folder(text):
    import posixpath

    try:
        path = confined(f"out/x/{text}", "out/x/{{ record.x }}")
    except Exception as error:
        assert type(error).__name__ == "RecordError"
        return
    assert posixpath.normpath(f"/base/{path}").startswith("/base/out/x/")
    assert "\0" not in path


@pytest.mark.parametrize("name", ["a.jsonl.part", "a.part.packed", "b.copy"])
def test_names_of_part_files_are_the_sink_s_own(tmp_path, name):
    sink = sink_of(tmp_path, "{{ record.x }}", format="jsonl")
    assert sink.write_to(name, payloads(1))[0].code == "bad-path"
    sink.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"path": "s3://{{ record.b }}/a.jsonl"}, "behind the bucket"),
        ({"path": "s3://b-{{ record.b }}/a.jsonl"}, "behind the bucket"),
        ({"path": "{{ record.b }}://b/a.jsonl"}, "behind the bucket"),
        ({"path": "a-{{ part }}.jsonl"}, "roll does not say"),
        ({"path": "a.jsonl", "roll": {"max_records": 1}}, "write {{ part }} into the path"),
        ({"path": "a-{{ part }}.jsonl", "roll": {}}, "roll: write"),
        ({"path": "a-{{ part }}.jsonl", "roll": {"max_records": 0}}, "roll: write"),
        ({"path": "a-{{ part }}.jsonl", "roll": {"max_age": 1}}, "roll: write"),
        ({"path": "a.jsonl", "max_open_files": 0}, "max_open_files: 0"),
        ({"path": "a.jsonl", "on_empty": "fail"}, "on_empty: 'fail'"),
        ({"path": f"a{MARK}.jsonl"}, "U+FDD0"),
    ],
)
def test_settings_that_cannot_serve(settings, said):
    with pytest.raises(InvalidPipeline) as told:
        FileSink(**settings)
    assert said in str(told.value)


def test_places_in_a_path_stay_where_they_were_written():
    path = "out/{{ part }}-{{ record.x }}-{{part}}.jsonl"
    marked, expressions = split(path)
    assert expressions
    assert len(marked) == len(path)
    assert marked.index("{{ record") == path.index("{{ record")
    assert split("a-{{ part }}.csv")[1] is False
