"""Large transfers, in short: the bounds are those of `make bench-lumidatum`."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.lumidatum import THEIRS, broken, measure
from engine.errors import RecordError
from engine.python.lumidatum_data import BLOCK, given, spooled

GROWN = 20


def test_memory_is_bounded_and_reports_come_twice_as_fast() -> None:
    ours, theirs = measure(GROWN)
    assert ours["download"]["rate"] > 0 and ours["upload"]["rate"] > 0
    assert (theirs is None) == (not THEIRS.exists())
    assert broken(ours, theirs) == []


def test_a_broken_bound_is_told() -> None:
    slow = {"download": {"rate": 10.0, "grown": 65 << 20}, "upload": {"rate": 10.0, "grown": 0}}
    fast = {"download": {"rate": 6.0, "grown": 0}, "upload": {"rate": 6.0, "grown": 0}}
    assert len(broken(slow, fast)) == 2
    assert len(broken(slow, None)) == 1
    assert broken(fast, None) == []


# --- files are checked block by block ------------------------------------------------------------------------------


def lines(count: int) -> list[bytes]:
    return [b'{"id": %d, "v": "%s"}' % (n, b"x" * (n % 300)) for n in range(count)]


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\n\n"])
def test_records_are_counted_over_blocks(ending: bytes, end: bytes, tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(ending.join(lines(5000)) + end)
    assert path.stat().st_size > 5 * BLOCK
    file = spooled(path)
    assert (file.payloads, file.size, file.name) == (5000, path.stat().st_size, "data.json")


@pytest.mark.parametrize("at", [0, 1, 2500, 4998, 4999])
@pytest.mark.parametrize(
    "bad",
    [b"5", b"[1]", b'{"id": NaN}', b'{"a": 1},{"b": 2}', b'{"a": 1}{"b": 2}', b'{"v": "\xff"}', b'{"a":', b"]],[["],
)
def test_a_bad_line_is_named(bad: bytes, at: int, tmp_path: Path) -> None:
    if bad.startswith(b"[") and at == 0:
        return  # a file that begins so is taken for an array
    path, good = tmp_path / "data.json", lines(5000)
    good[at] = bad
    path.write_bytes(b"\n".join(good))
    with pytest.raises(RecordError, match=rf"data\.json:{at + 1} "):
        spooled(path)


def test_an_object_over_two_lines_is_none(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(b'{"a": 1}\n{"b": 2\n,"c": 3}\n')
    with pytest.raises(RecordError, match=r"data\.json:2 "):
        spooled(path)


def test_a_line_may_be_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    path.write_bytes(b'{"v": "' + b"x" * 5 * BLOCK + b'"}\n{"v": 1}')
    assert spooled(path).payloads == 2


def test_pieces_of_an_iterator_may_end_anywhere() -> None:
    whole = "\n".join(f'{{"id": {n}, "v": "Łódź"}}' for n in range(50)).encode()
    pieces = [whole[n : n + 7] for n in range(0, len(whole), 7)]
    assert b"\n".join(given(iter(pieces)).records) == whole
    assert len(list(given([{"id": 1}, {"id": 2}]).records)) == 2


@pytest.mark.parametrize("bad", [[{"v": float("inf")}], [{"v": object()}], 5, "[1]", '[{"a": 1}, 2]', '[{"a": 1}'])
def test_what_is_no_record_is_refused(bad: object) -> None:
    with pytest.raises(RecordError):
        list(given(bad).records)
