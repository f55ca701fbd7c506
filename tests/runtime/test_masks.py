"""The mask: no secret in any way of writing it, and JSON stays JSON."""

import json

import pytest

from engine.runtime.masks import Masker

ODD = 'sec"ret\\key/1234 ä'


def in_json(value, *secrets, **options):
    return json.loads(Masker(secrets).json(json.dumps(value, **options)))


@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_secret_with_quotes_is_masked_in_json(ascii_only):
    assert in_json({"a": f"<{ODD}>"}, ODD, ensure_ascii=ascii_only) == {"a": "<•••>"}


def test_a_secret_is_masked_in_json_inside_a_text():
    body = json.dumps({"msg": json.dumps({"key": ODD})})
    masked = in_json({"body": body}, ODD)["body"]
    assert json.loads(json.loads(masked)["msg"]) == {"key": "•••"}
    assert Masker([ODD])(f"refused: {json.dumps(ODD)}") == 'refused: "•••"'


@pytest.mark.parametrize(
    "url",
    ["sec%22ret%5Ckey%2F1234%20%C3%A4", "sec%22ret%5Ckey/1234%20%C3%A4", "sec%22ret%5ckey%2f1234+%c3%a4"],
)
def test_a_secret_is_masked_as_urls_write_it(url):
    assert Masker([ODD])(f"GET /x?key={url}&n=1") == "GET /x?key=•••&n=1"
    assert in_json({"url": f"/x?key={url}"}, ODD) == {"url": "/x?key=•••"}


def test_a_number_that_is_a_secret_becomes_a_text():
    assert in_json({"n": 12345678, "l": [-12345678, 123456789]}, "12345678") == {"n": "•••", "l": ["•••", 123456789]}


def test_escapes_hide_no_secret():
    assert Masker(["abcd/efg"]).json(r'{"a": "\u0061bcd\/efg"}') == '{"a": "•••"}'


def test_what_is_not_secret_stays_to_the_letter():
    text = '{"big": 10000000000000000000000000000000000000000, "f": 1.50, "u": "\\u00e9\\/", "t": true, "k": "key1"}'
    assert Masker(["key1"]).json(text) == text.replace('"key1"', '"•••"')


def test_names_inside_are_masked_the_outermost_are_our_own():
    assert in_json({"code": {"code": "code"}}, "code") == {"code": {"•••": "•••"}}


def test_words_of_json_are_no_secret():
    assert in_json([True, None], "true", "null") == [True, None]


def test_half_a_surrogate_pair_stays_writable():
    masked = Masker(["key1"]).json('{"a": "\\ud800 key1"}')
    assert masked.encode() == '{"a": "\\ud800 •••"}'.encode()
