"""Files are cut between two records, or not at all; what the parts give is what the whole file gives."""

from itertools import pairwise
from random import Random

import pytest

from engine.plugin import InvalidPipeline, Position
from engine.sources.files import FileSource


def rows_of(source, name, start=None, end=None):
    found = []
    for rows in source.read(name, start, end):
        bad = {row.row: row for row in rows.malformed}
        records = iter(rows.records)
        for row in range(len(rows)):
            found.append((*rows.locate(row), bad[row].code if row in bad else repr(next(records))))
    return found


def ends_of(tmp_path, data, apart, name="a.csv", **settings):
    (tmp_path / name).write_bytes(data)
    source = FileSource(name, base=str(tmp_path), on_empty="ok", **settings)
    return source, list(source.ends(name, apart))


def check_parts(source, name, ends):
    """Lines, offsets and records of the parts, one after the other, are those of the whole."""
    whole = rows_of(source, name)
    places = [None, *ends, None]
    parts = []
    for start, end in pairwise(places):
        parts += rows_of(source, name, start, None if end is None else end.offset)
    assert parts == whole
    for end in ends:
        assert source.checksum(name, end.offset) == end.check


def test_lines_without_quotes(tmp_path):
    data = b"id,name\n" + b"".join(b"%d,name %d\n" % (n, n) for n in range(500)) + b"500,last without end"
    source, ends = ends_of(tmp_path, data, 300)
    assert len(ends) > 10
    check_parts(source, "a.csv", ends)


def test_quoted_line_ends_are_no_place_to_cut(tmp_path):
    data = b"id,name\r\n" + b"".join(b'%d,"a\r\nb ""%d"", c\r\n\n"\r\n' % (n, n) for n in range(300))
    source, ends = ends_of(tmp_path, data, 200)
    assert len(ends) > 10
    check_parts(source, "a.csv", ends)


@pytest.mark.parametrize(
    "odd",
    [
        b'7,5" pipe\n',  # a quote within a cell that is not quoted
        b'7,"a"b\n',  # text behind a closing quote: the row is bad, the next line is read on its own
        b'7, "a\nb"\n',  # not at the beginning of the cell
        b'7,"a\n',  # never closed
        b'7,a\r8,"b\nc"\n',  # a lone carriage return
    ],
)
def test_nothing_is_cut_behind_what_is_not_certain(tmp_path, odd):
    good = b"".join(b'%d,"a\nb"\n' % n for n in range(200))
    source, ends = ends_of(tmp_path, b"id,name\n" + good + odd + good, 256)
    assert ends
    assert ends[-1].offset <= len(b"id,name\n" + good)
    check_parts(source, "a.csv", ends)


def test_a_record_that_may_be_longer_than_a_line_is_not_passed(tmp_path):
    good, giant = b"1,a\n" * 100, b'2,"' + b"line\n" * 400 + b'"\n'
    source, ends = ends_of(tmp_path, b"id,name\n" + good + giant + good, 10_000, max_line=512)
    assert ends and ends[-1].offset <= len(b"id,name\n" + good)
    check_parts(source, "a.csv", ends)


def test_any_file_that_is_cut_gives_what_it_gives_whole(tmp_path):
    chance = Random(7)
    good = [b"1,2\n", b'3,"4"\n', b'"x\ny",5\n', b'6,"p""q"\r\n', b'"",\n', b"\n", b'"\n\n\n,"\n', b"7\n", b"8,9,9\n"]
    odd = [b"a", b'"', b'""', b",", b"\r", b" ", b"\xff", b'"x\ny"']
    cut = 0
    for number in range(200):
        rare = chance.choice([0, 0.005, 0.05])
        weights = [chance.random() for _ in good] + [rare * chance.random() for _ in odd]
        body = b"".join(chance.choices(good + odd, weights, k=chance.randrange(150)))
        folder = tmp_path / str(number)
        folder.mkdir()
        source, ends = ends_of(folder, b"a,b\n" + body, chance.choice([16, 40, 200]), ragged="pad")
        cut += len(ends)
        check_parts(source, "a.csv", ends)
    assert cut > 300


def test_other_delimiters_and_no_quotes(tmp_path):
    data = b"id||name\n" + b"".join(b'%d||"a||\n%d"\n' % (n, n) for n in range(200))
    source, ends = ends_of(tmp_path, data, 128, delimiter="||")
    assert len(ends) > 10
    check_parts(source, "a.csv", ends)
    source, ends = ends_of(tmp_path, data, 128, delimiter="||", quote="", ragged="pad")
    assert len(ends) > 10
    check_parts(source, "a.csv", ends)


def test_json_lines_are_cut_at_any_line_end(tmp_path):
    data = b"".join(b'{"n": %d, "t": "a \\" b"}\n' % n for n in range(300)) + b'{broken"\n\n{"n": 1}'
    source, ends = ends_of(tmp_path, data, 100, "a.jsonl")
    assert len(ends) > 10
    check_parts(source, "a.jsonl", ends)


def test_the_header_is_in_no_other_part(tmp_path):
    source, ends = ends_of(tmp_path, b"\xef\xbb\xbfsep=;\nx\nid;name\n" + b"1;a\n" * 99, 64, skip_rows=1)
    assert ends[0].line > 4
    check_parts(source, "a.csv", ends)


@pytest.mark.parametrize(
    "settings", [{"comment": "#"}, {"escape": "\\"}, {"skip_footer": 1}, {"encoding": "utf-16"}, {"mode": "append"}]
)
def test_what_needs_the_whole_file_is_not_cut(tmp_path, settings):
    codec = settings.get("encoding", "utf-8")
    assert ends_of(tmp_path, ("id,name\n" + "1,a\n" * 99).encode(codec), 64, **settings)[1] == []


def test_compressed_files_and_arrays_are_not_cut(tmp_path):
    import gzip

    assert ends_of(tmp_path, gzip.compress(b"id\n" + b"1\n" * 99), 16, "a.csv.gz")[1] == []
    assert ends_of(tmp_path, b"[{}\n,{}\n,{}\n]", 4, "a.json")[1] == []


def test_an_empty_part_is_no_empty_file(tmp_path):
    source, _ = ends_of(tmp_path, b"id\n1\n\n\n", 4)
    assert rows_of(source, "a.csv", Position(0, 3, 5, source.checksum("a.csv", 5))) == []
    assert not source.notes


def test_sizes_and_what_cannot_be_shared(tmp_path):
    source, _ = ends_of(tmp_path, b"id\n1\n", 4)
    assert source.size("a.csv") == 5
    with pytest.raises(InvalidPipeline, match="append"):
        FileSource("a.csv", base=str(tmp_path), mode="append").size("a.csv")
    with pytest.raises(InvalidPipeline, match="standard input"):
        FileSource("-", format="csv").size("-")
