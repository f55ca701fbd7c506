"""`mode: append`: new files and new lines only; what was read is told by content."""

from __future__ import annotations

import gzip

import msgspec
import pytest

from engine.errors import InvalidPipeline, Refused
from engine.runners.local import PlanFailed
from tests.runtime.runs import USERS, World

APPEND = USERS.replace(
    "{type: file, path: customers.csv, key: id}", "{type: file, path: 'log*.jsonl', mode: append, key: id}"
)
CSV = USERS.replace("path: customers.csv,", "path: customers.csv, mode: append,")


def line(n):
    return f'{{"id":"{n}","email":"user{n}@shop.test","age":"30"}}\n'


def lines(*numbers):
    return "".join(map(line, numbers))


@pytest.fixture
def world(tmp_path):
    return World(tmp_path, APPEND)


def sent(world, text=None, **options):
    """Who was sent by one run."""
    before = len(world.requests)
    outcome = world.run(text, **options)
    assert outcome.exit == 0, outcome.report
    found = [user["userId"] for request in world.requests[before:] for user in decoded(request)["users"]]
    assert outcome.report["mappings"]["profiles"]["delivered"] == len(found)
    return sorted(found)


def decoded(request):
    return msgspec.json.decode(bytes(request.body))


def test_only_what_is_new_is_sent(world):
    world.write("log-1.jsonl", lines(1, 2))
    assert sent(world) == ["1", "2"]
    assert sent(world) == []
    world.write("log-1.jsonl", lines(1, 2, 3))
    world.write("log-2.jsonl", lines(4))
    assert sent(world) == ["3", "4"]
    world.write("log-0.jsonl", "")
    assert sent(world) == []
    world.write("log-0.jsonl", lines(5))
    assert sent(world) == ["5"]
    assert sent(world, fresh=True) == ["1", "2", "3", "4", "5"]


def test_a_line_that_is_half_written_waits_for_its_end(world):
    whole = lines(1, 2)
    for cut in range(len(line(1)) + 1, len(whole)):
        world.write("log.jsonl", whole[:cut])
        outcome = world.run()
        assert outcome.exit == 0
        assert outcome.report["sources"]["customers"] == {"read": cut == len(line(1)) + 1, "malformed": 0}
    world.write("log.jsonl", whole)
    assert sent(world) == ["2"]


def test_a_line_that_waits_is_told_with_its_place_and_the_file_is_not_called_empty(world):
    world.write("log.jsonl", lines(1) + line(2).rstrip())
    for _ in range(2):  # the second run finds nothing but the line that waits
        warnings = world.run().report["warnings"]
        assert [text for text in warnings if "log.jsonl:2 ends without a line end" in text], warnings
        assert not [text for text in warnings if "empty-file" in text or "no rows" in text]
    world.write("log.jsonl", lines(1, 2) + "  ")
    assert sent(world) == ["2"]
    assert not world.run().report["warnings"]


def test_in_full_mode_a_last_line_without_end_is_a_row(world):
    world.write("log.jsonl", lines(1, 2).rstrip())
    assert sent(world, APPEND.replace("mode: append", "mode: full")) == ["1", "2"]


def test_a_row_of_csv_that_is_half_written_waits(tmp_path):
    world = World(tmp_path, CSV)
    whole = 'id,email,age,note\n1,u1@shop.test,30,\n2,u2@shop.test,40,"a\nb"\n3,u3@shop.test,50,\n'
    inside = range(whole.index("b"), whole.index('"\n3') + 2)  # the first line of the row is whole, the quote open
    found = []
    for cut in range(len(whole) + 1):
        world.write("customers.csv", whole[:cut])
        outcome = world.run()
        assert outcome.report["sources"]["customers"]["malformed"] == 0
        found += [m["delivered"] for m in outcome.report["mappings"].values()]
        warned = outcome.report["warnings"]
        noted = any("unfinished-row" in text and "within a quoted cell" in text for text in warned)
        assert noted is (cut in inside), cut
        ended = cut == 0 or whole[cut - 1] == "\n"
        assert any("without a line end" in text for text in warned) is not (ended or cut in inside), cut
    assert sum(found) == 3
    assert [cut for cut, count in enumerate(found) if count] == [
        whole.index("2,u2"), whole.index("3,u3"), len(whole)
    ]  # fmt: skip


def test_packed_files_are_gone_on_with(world):
    text = APPEND.replace("log*.jsonl", "log*.jsonl.gz")
    world.write("log.jsonl.gz", gzip.compress(lines(1).encode()))
    assert sent(world, text) == ["1"]
    world.write("log.jsonl.gz", gzip.compress(lines(1).encode()) + gzip.compress(lines(2).encode()))
    assert sent(world, text) == ["2"]


@pytest.mark.parametrize("now", ["", lines(9), lines(1), lines(1, 3) + lines(4, 5)])
def test_a_file_that_was_cut_or_replaced_is_refused(world, now):
    world.write("log.jsonl", lines(1, 2))
    assert sent(world) == ["1", "2"]
    requests = len(world.requests)
    world.write("log.jsonl", now)
    with pytest.raises(Refused, match=r"log\.jsonl changed under the checkpoint.*--fresh"):
        world.run()
    assert len(world.requests) == requests


def test_a_file_that_was_rotated_is_not_sent_again(world):
    world.write("log.jsonl", lines(1, 2))
    assert sent(world) == ["1", "2"]
    requests = len(world.requests)
    (world.folder / "log.jsonl").rename(world.folder / "log-old.jsonl")
    with pytest.raises(Refused, match=r"log-old\.jsonl begins with all that was read as log\.jsonl.*--fresh"):
        world.run()
    world.write("log.jsonl", lines(3))
    with pytest.raises(Refused, match="changed under the checkpoint"):
        world.run()  # the old name has other content now
    assert len(world.requests) == requests


def test_a_file_that_was_read_to_its_end_may_go(world):
    world.write("log-1.jsonl", lines(1))
    world.write("log-2.jsonl", lines(2))
    assert sent(world) == ["1", "2"]
    (world.folder / "log-1.jsonl").unlink()
    world.write("log-3.jsonl", lines(3))
    assert sent(world) == ["3"]


def test_another_source_or_mode_forgets_what_append_kept(world):
    world.write("log.jsonl", lines(1))
    assert sent(world) == ["1"]
    assert sent(world, APPEND.replace("mode: append", "mode: full")) == ["1"]
    assert sent(world, APPEND.replace("mode: append", "mode: full")) == ["1"]
    assert sent(world) == ["1"]
    assert sent(world, APPEND.replace("customers", "people")) == ["1"]


def test_what_cannot_grow_is_told_beforehand(world):
    for path, why in (("'-', format: csv", "standard input"), ("'log*.jsonl', skip_footer: 1", "a footer")):
        with pytest.raises(
            (PlanFailed, InvalidPipeline), match=f"mode: append goes on where a file ended; with {why}"
        ):
            world.run(APPEND.replace("'log*.jsonl'", path))


def test_declared_columns_are_known_before_there_is_a_file(tmp_path):
    text = USERS.replace("path: customers.csv,", "path: customers.csv, schema: [id, email],")
    with pytest.raises(PlanFailed, match="age"):
        World(tmp_path).run(text)
