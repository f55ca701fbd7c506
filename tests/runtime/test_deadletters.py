"""Dead letters: private, whole lines, masked, once per id."""

import json
import os

import msgspec
import pytest

from engine.config.pipeline import DeadLetters as Settings
from engine.errors import Halt, InvalidPipeline
from engine.runtime.deadletters import DeadLetter, DeadLetters, letter_id, read_letters
from engine.runtime.masks import Masker


def letter(number=0, **more):
    facts = dict(
        id=letter_id("p", "s", "m", "a.csv", number, 0), run_id="r", pipeline="p", source="s", mapping="m",
        action="crm.update_user", key="7", origin={"file": "a.csv", "line": 3, "offset": 40}, stage="vendor",
        code="conflict", reason="x: y", record={"email": "a@b.c", "n": 10**40}, payload={"email": "a@b.c"},
        request=None, response=None, at="2023",
    )  # fmt: skip
    return DeadLetter(**{**facts, **more})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "dead" / "shop.jsonl"


def letters_of(path, *letters, secrets=(), **settings):
    dead = DeadLetters(Settings(path, **settings), Masker(secrets))
    for one in letters:
        dead.add(one)
    dead.flush()
    dead.close()
    return list(read_letters(path)) if path.exists() else []


def test_a_letter_holds_everything_exactly(path):
    (read,) = letters_of(path, letter())
    assert read["record"] == {"email": "a@b.c", "n": 10**40}
    assert read["origin"] == {"file": "a.csv", "line": 3, "offset": 40}


def test_the_file_and_its_folder_are_private(path):
    letters_of(path, letter())
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700


def test_no_letter_no_file(path):
    assert letters_of(path) == [] and not path.exists()


def test_a_repeated_id_counts_once_and_the_last_word_holds(path):
    found = letters_of(path, letter(1), letter(2), letter(1, reason="again"))
    assert [x["reason"] for x in found] == ["again", "x: y"]


def test_a_line_torn_by_a_kill_is_cut_off(path):
    letters_of(path, letter(1))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 2])
    assert len(letters_of(path, letter(2))) == 2
    assert path.read_bytes().count(b"\n") == 2


def test_a_file_of_nothing_but_a_torn_line(path):
    path.parent.mkdir()
    path.write_bytes(b"x" * 200_000)
    assert len(letters_of(path, letter(2))) == 1


def test_secrets_are_masked_the_longest_first(path):
    (read,) = letters_of(path, letter(reason="key abcdefgh and abcd"), secrets=("abcd", "abcdefgh"))
    assert read["reason"] == "key ••• and •••"


def test_fields_are_redacted_at_any_depth(path):
    (read,) = letters_of(path, letter(record={"a": [{"email": "x"}], "email": "y"}), redact=("email",))
    assert read["record"] == {"a": [{"email": "[redacted]"}], "email": "[redacted]"}
    assert read["payload"] == {"email": "[redacted]"}


def test_what_is_redacted_stands_nowhere_else_in_the_letter(path):
    one = letter(
        key="ada@x.org", reason="email: 'ADA@x.org' is not acceptable", record={"email": "ADA@x.org", "n": [1]},
        payload={"email": "ada@x.org"}, response={"status": 200, "body": '{"invalidEmails":["ada@x.org"]}'},
    )  # fmt: skip
    (read,) = letters_of(path, one, redact=("email",))
    assert b"ada@x.org" not in path.read_bytes().lower()
    assert read["response"]["status"] == 200 and read["record"]["n"] == [1]


@pytest.mark.parametrize("value", ["ada@x.org" * 20, 'a"d\\a', "ad\nä", "Ädä"])
def test_what_is_redacted_is_not_quoted_in_part_nor_escaped(path, value):
    cut, answer = json.dumps(value[:80], ensure_ascii=False), json.dumps({"bad": [value]})
    one = letter(reason=f"email: int: {cut} is no number; {value[:80]!r}", record={"email": value}, response=answer)
    (read,) = letters_of(path, one, redact=("email",))
    assert read["reason"] == "email: int: \"[redacted]\" is no number; '[redacted]'"
    assert json.loads(read["response"]) == {"bad": ["[redacted]"]}


def test_what_is_redacted_is_not_quoted_where_its_record_is_left_out(path):
    one = letter(reason="email: 'a@b.c' is not acceptable")
    (read,) = letters_of(path, one, redact=("email",), include=("response",))
    assert (read["record"], read["reason"]) == (None, "email: '[redacted]' is not acceptable")


def test_nothing_of_a_row_that_cannot_be_read_is_kept_where_fields_are_redacted(path):
    one = letter(
        stage="source", record="1,a@b.c,secret", reason="column 'email': 'a@b.c' is not an integer", payload=None
    )
    (read,) = letters_of(path, one, redact=("email",))
    assert (read["record"], read["reason"]) == ("[redacted]", "column 'email': '[redacted]' is not an integer")
    one = letter(stage="source", record="1,a@b.c", reason="column 'age': \"a@b…\" is not an integer", payload=None)
    (read,) = letters_of(path.with_name("b"), one, redact=("email",))
    assert read["reason"] == "column 'age': \"[redacted]\" is not an integer"


def test_parts_may_be_left_out(path):
    (read,) = letters_of(path, letter(), include=("request",))
    assert read["record"] is None and read["payload"] is None and read["code"] == "conflict"


def test_text_that_is_not_unicode_is_no_error(path):
    (read,) = letters_of(path, letter(record={"a": "\ud800"}))
    assert read["record"] == {"a": "?"}


def test_a_symlink_is_not_followed(path, tmp_path):
    path.parent.mkdir()
    target = tmp_path / "target"
    target.write_text("precious\n")
    path.symlink_to(target)
    with pytest.raises(Halt, match="cannot write dead letters"):
        letters_of(path, letter())
    assert target.read_text() == "precious\n"


def test_a_disk_that_refuses_halts_and_keeps_the_letters(path, monkeypatch):
    dead = DeadLetters(Settings(path), Masker())
    dead.add(letter())

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(Halt, match="No space left"):
            dead.flush()
    dead.flush()
    dead.close()
    assert len(list(read_letters(path))) == 1


def test_examples_hold_no_personal_data(path):
    dead = DeadLetters(Settings(path), Masker())
    dead.add(letter(stage="mapping", code="not-a-number", reason="dataFields.age: 'ada@x.org' is not a number"))
    assert dead.examples == ["a.csv:3: m: not-a-number in dataFields.age"]


def test_letters_are_json_objects_a_line(path):
    letters_of(path, letter(1), letter(2))
    assert all(isinstance(msgspec.json.decode(line), dict) for line in path.read_bytes().splitlines())


def test_a_masked_letter_is_still_one(path):
    odd = 'sec"ret\\key1234'
    (read,) = letters_of(path, letter(record={"n": 12345678}, reason=f"not {odd}"), secrets=("12345678", odd))
    assert read["record"] == {"n": "•••"} and read["reason"] == "not •••"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"id":"a","n":\xe2\x80\xa2}', "not JSON"), (b'{"id":"\xff"}', "not JSON"), (b"[]", "no id"),
        (b'{"id":7}', "no id"), (b'{"id":"a","origin":{}}', "lacks run_id, .*, origin"),
    ],
)  # fmt: skip
def test_a_broken_line_is_named(path, line, why):
    letters_of(path, letter())
    with path.open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(InvalidPipeline, match=rf"shop\.jsonl:2: .*{why}"):
        list(read_letters(path))
