"""Several processes write one file in parts; joined, it is the file that one process writes."""

import msgspec
import pytest

from engine.plugin import InvalidPipeline, Payloads, Refused
from engine.sinks.discard import DiscardSink
from engine.sinks.file import FileSink
from engine.sinks.stdout import StdoutSink

ROWS = [{"a": n, "b": f"text\n{n}"} for n in range(10)]


def payloads(rows):
    return Payloads([msgspec.json.encode(row) for row in rows])


def whole(folder, rows, **settings):
    sink = FileSink(base=str(folder), **settings)
    sink.open(None)
    if rows:
        sink.write(payloads(rows))
    sink.sync()
    sink.finish()
    sink.close()
    return (folder / settings["path"]).read_bytes()


def parts(folder, shares, **settings):
    """The states of the parts, as their processes leave them."""
    states = []
    for number, rows in enumerate(shares, 1):
        sink = FileSink(base=str(folder), **settings)
        sink.part(number, len(shares))
        sink.open(None)
        for row in rows:
            sink.write(payloads([row]))
        states.append(sink.sync())
        sink.finish()
        sink.close()
    return states


def join(folder, states, **settings):
    sink = FileSink(base=str(folder), **settings)
    sink.part(1, len(states))
    sink.open(states[0])
    sink.join(states[1:])
    sink.finish()
    return sink


@pytest.mark.parametrize("shares", [[4, 6], [0, 10], [10, 0], [3, 0, 7], [0, 0], [0, 3]])
@pytest.mark.parametrize(
    "settings",
    [
        {"path": "o.jsonl"}, {"path": "o.json"}, {"path": "o.csv", "columns": ["b", "a"]}, {"path": "o.jsonl.gz"},
        {"path": "o.csv", "columns": ["a", "b"], "header": False}, {"path": "o.tsv", "columns": ["a\nx", "b"]},
    ],
)  # fmt: skip
def test_joined_parts_are_the_whole_file_byte_for_byte(tmp_path, settings, shares):
    if "a\nx" in settings.get("columns", ()):
        rows = [{"a\nx": row["a"], "b": row["b"]} for row in ROWS]
    else:
        rows = ROWS
    one, several = tmp_path / "one", tmp_path / "several"
    one.mkdir(), several.mkdir()
    cut, left = [], list(rows)
    for number in shares:
        cut.append(left[:number])
        left = left[number:]
    sink = join(several, parts(several, cut, **settings), **settings)
    sink.close()
    assert (several / settings["path"]).read_bytes() == whole(one, rows[: sum(shares)], **settings)
    assert [p.name for p in several.iterdir()] == [settings["path"]]


def test_nothing_stands_under_the_final_name_before_the_parts_are_joined(tmp_path):
    parts(tmp_path, [ROWS[:2], ROWS[2:]], path="o.jsonl")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.jsonl.1of2.part", "o.jsonl.2of2.part"]


def test_a_join_that_was_cut_off_is_done_again(tmp_path):
    states = parts(tmp_path, [ROWS[:2], ROWS[2:]], path="o.jsonl")
    join(tmp_path, states, path="o.jsonl")  # killed before it let go: the file stands, the state says it does not
    expected = (tmp_path / "o.jsonl").read_bytes()
    again = FileSink("o.jsonl", base=str(tmp_path))
    again.part(1, 2)
    again.open(states[0])
    assert (tmp_path / "o.jsonl.1of2.part").read_bytes() == b"".join(b + b"\n" for b in payloads(ROWS[:2]).bodies)
    again.close()
    join(tmp_path, states, path="o.jsonl").close()
    assert (tmp_path / "o.jsonl").read_bytes() == expected


def test_a_part_that_became_shorter_is_refused(tmp_path):
    states = parts(tmp_path, [ROWS[:2], ROWS[2:]], path="o.jsonl")
    (tmp_path / "o.jsonl.2of2.part").write_bytes(b"")
    with pytest.raises(Refused, match="shorter"):
        join(tmp_path, states, path="o.jsonl")


def test_no_payload_no_file_where_that_is_wanted(tmp_path):
    join(
        tmp_path, parts(tmp_path, [[], []], path="o.jsonl", on_empty="none"), path="o.jsonl", on_empty="none"
    ).close()
    assert not list(tmp_path.iterdir())
    join(
        tmp_path, parts(tmp_path, [[], ROWS], path="o.jsonl", on_empty="none"), path="o.jsonl", on_empty="none"
    ).close()
    assert (tmp_path / "o.jsonl").read_bytes().count(b"\n") == 10


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"path": "{{ record.a }}.jsonl"}, "expressions"),
        ({"path": "o-{{ part }}.jsonl", "roll": {"max_records": 2}}, "roll over"),
        ({"path": "o.csv"}, "columns: name them"),
    ],
)
def test_what_cannot_be_written_in_parts_says_why(settings, why):
    with pytest.raises(InvalidPipeline, match=why):
        FileSink(**settings).part(1, 2)


def test_one_stream_has_no_parts_and_nothing_has_many():
    with pytest.raises(InvalidPipeline, match="one stream"):
        StdoutSink().part(1, 2)
    DiscardSink().part(1, 2)
