"""Downloads land whole or not at all; uploads are exactly as long as announced."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import Halt, NoAnswer
from engine.model import Landing, Stream, form
from engine.runtime.landing import asking, forget, land

ETAG = {"etag": '"abc"'}


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(str(tmp_path / "new" / "report.part"))


def cut(landing: Landing, headers: dict[str, str] = ETAG) -> None:
    with pytest.raises(NoAnswer, match="3 of 6 bytes"):
        land(landing, 200, {**headers, "content-length": "6"}, [b"ab", b"c"])


def test_a_whole_body(landing: Landing) -> None:
    assert land(landing, 200, {"content-length": "6"}, [b"abc", b"def"]) == 6
    assert Path(landing.path).read_bytes() == b"abcdef"
    assert Path(landing.path).stat().st_mode & 0o777 == 0o600


def test_what_was_cut_is_gone_on_with_also_by_another_process(landing: Landing) -> None:
    cut(landing)
    later = Landing(landing.path)
    assert asking(later) == {"Range": "bytes=3-", "If-Range": '"abc"'}
    assert land(later, 206, {**ETAG, "content-range": "bytes 3-5/6"}, [b"def"]) == 6
    assert Path(landing.path).read_bytes() == b"abcdef"


def test_other_bytes_replace_what_was_cut(landing: Landing) -> None:
    cut(landing)
    assert land(landing, 200, {"etag": '"new"', "content-length": "2"}, [b"xy"]) == 2
    assert Path(landing.path).read_bytes() == b"xy"


@pytest.mark.parametrize("headers", [{}, {"etag": 'W/"weak"'}])
def test_without_a_strong_etag_it_begins_anew(landing: Landing, headers: dict[str, str]) -> None:
    cut(landing, headers)
    assert asking(landing) == {}


@pytest.mark.parametrize("told", ["", "bytes 4-5/6", "bytes */6", "rubbish"])
def test_a_part_that_was_not_asked_for_is_no_part(landing: Landing, told: str) -> None:
    cut(landing)
    with pytest.raises(NoAnswer, match="not asked for"):
        land(landing, 206, {**ETAG, "content-range": told}, [b"def"])
    assert asking(landing) == {}


def test_a_part_that_ends_early_is_cut_again(landing: Landing) -> None:
    cut(landing)
    with pytest.raises(NoAnswer, match="4 of 6"):
        land(landing, 206, {**ETAG, "content-range": "bytes 3-5/6"}, [b"d"])
    assert asking(landing)["Range"] == "bytes=4-"


def test_forgetting(landing: Landing) -> None:
    cut(landing)
    forget(landing)
    assert list(Path(landing.path).parent.iterdir()) == []
    forget(landing)


def test_a_link_at_its_place_is_not_followed(landing: Landing, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("x")
    Path(landing.path).parent.mkdir()
    Path(landing.path).symlink_to(target)
    with pytest.raises(Halt):
        land(landing, 200, {}, [b"abc"])
    assert target.read_text() == "x"


# --- uploads ---------------------------------------------------------------------------------------------------------


def test_a_form_is_as_long_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"0123456789")
    body, kind = form({"key": "k", "n": 201, 'odd"\r\nname': "é"}, str(path), 10)
    whole = b"".join(body.chunks(3))
    assert len(whole) == len(body)
    mark = b"--" + kind.partition("boundary=")[2].encode()
    assert [part.partition(b"\r\n\r\n")[2] for part in whole.split(mark)[1:-1]] == [
        b"k\r\n", b"201\r\n", "é\r\n".encode(), b"0123456789\r\n",
    ]  # fmt: skip
    assert b'name="odd%22%0D%0Aname"' in whole


def test_a_file_that_grows_is_sent_as_long_as_announced(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"0123456789")
    stream = Stream(str(path), 4)
    assert b"".join(stream.chunks()) == b"0123"


def test_a_file_that_shrinks_or_goes_halts(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"0123")
    with pytest.raises(Halt, match="6 bytes shorter"):
        list(Stream(str(path), 10).chunks())
    path.unlink()
    with pytest.raises(Halt, match="cannot be read"):
        list(Stream(str(path), 4).chunks())
