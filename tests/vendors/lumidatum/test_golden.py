"""125 recorded calls of the older client: those it did well send the same, the others do what is wanted of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import EngineError, InvalidPipeline, RecordError
from engine.python.lumidatum import LumidatumError, NotAllowed, NotFound, Refused, Sent, Unavailable
from tests.vendors.lumidatum.golden import CASES, assert_equal_traffic, assert_same_result, call, prepared, records
from tests.vendors.lumidatum.recorder import Recorder, in_process, multipart, over_http

SAME = [case for case in CASES if case["expect"] == "same"]
BETTER = {case["id"]: case for case in CASES if case["expect"] == "better"}


class Played:
    """A case that was played. `result` is what the call returned, or `error` what it raised."""

    def __init__(self, case: dict[str, Any], recorder: Recorder, folder: Path, transport: Any, clock: Any) -> None:
        self.case, self.recorder, self.folder, self.clock = case, recorder, folder, clock
        self.result: Any = None
        self.error: Any = None
        self.before = clock.now()
        try:
            self.result = call(case, recorder, folder, transport, clock)
        except (EngineError, ValueError, OSError, TypeError) as error:
            self.error = error

    @property
    def requests(self) -> list[dict[str, Any]]:
        return self.recorder.requests

    @property
    def paths(self) -> list[tuple[str, str, str]]:
        return [(r["host"], r["method"], r["path"]) for r in self.requests]

    def file(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


Play = Callable[[dict[str, Any]], Played]


@pytest.fixture(params=["in_process", "over_http"])
def play(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    over = request.param

    def played(case: dict[str, Any]) -> Played:
        prepared(tmp_path, case)
        if "netrc" in case:
            monkeypatch.setenv("NETRC", str(tmp_path / case["netrc"]))
        recorder = Recorder(case["script"])
        if over == "in_process":
            return Played(case, recorder, tmp_path, *in_process(recorder))
        with recorder.on_loopback():
            transport, clock = over_http()
            try:
                return Played(case, recorder, tmp_path, transport, clock)
            finally:
                transport.close()

    yield played


def test_all_cases_are_there() -> None:
    assert (len(SAME), len(BETTER)) == (70, 55)


@pytest.mark.parametrize("case", SAME, ids=[case["id"] for case in SAME])
def test_what_was_right_is_sent_again(case: dict[str, Any], play: Play) -> None:
    played = play(case)
    assert_equal_traffic(case, played.requests)
    if not played.requests:
        assert isinstance(played.error, (ValueError, OSError, InvalidPipeline))
        return
    assert played.error is None
    assert_same_result(case, played.result, played.folder)


# --- what was wrong: each case says what is wanted ----------------------------------------------------------------


def refused_unsent(played: Played, *words: str) -> None:
    """An error before any traffic, in these words."""
    assert played.requests == []
    assert isinstance(played.error, EngineError)
    assert all(word in str(played.error) for word in words), str(played.error)


def raised(kind: type, status: int, *words: str) -> Callable[[Played], None]:
    def check(played: Played) -> None:
        assert type(played.error) is kind, repr(played.error)
        assert played.error.status == status
        told = f"{played.error} {played.error.body}"
        assert all(word in told for word in words), told

    return check


def once(check: Callable[[Played], None]) -> Callable[[Played], None]:
    """And it was asked once: nothing was sent again."""

    def checked(played: Played) -> None:
        check(played)
        assert len(played.requests) == len(played.case["script"])

    return checked


def sent_again(status: int, *words: str) -> Callable[[Played], None]:
    """It was asked again before the call gave up."""

    def check(played: Played) -> None:
        assert type(played.error) is Unavailable
        assert len(played.requests) == 3
        assert played.error.status in (status, 599)
        assert played.requests[0]["body"] == played.requests[1]["body"]

    return check


def answered_at_last(played: Played) -> None:
    """The second answer counts; both requests are the same."""
    assert played.error is None
    first, second = played.requests
    assert (first["path"], first["body"]) == (second["path"], second["body"])


def path_is(path: str, *pairs: tuple[str, str]) -> Callable[[Played], None]:
    def check(played: Played) -> None:
        (request,) = played.requests
        assert request["path"] == path
        assert [pair for pair in request["query_pairs"] if pair in pairs] == list(pairs)

    return check


def no_model(played: Played) -> None:
    refused_unsent(played, "model_id")


def by_keyword(played: Played) -> None:
    assert played.requests == []
    assert isinstance(played.error, TypeError)


def waited(played: Played) -> None:
    answered_at_last(played)
    assert played.clock.now() - played.before >= 1.0


def bytes_as_stored(played: Played) -> None:
    (name,) = played.case["outputs"]
    assert played.error is None
    assert played.file(name) == base64.b64decode(played.case["script"][-1]["base64"])


def resumed(played: Played) -> None:
    """The whole file in the end; the recorder gives no ETag, so the download begins anew."""
    bytes_as_stored(played)
    assert played.paths[-1] == played.paths[-2]
    assert list(played.folder.glob("*.part*")) == []


def old_file_whole(check: Callable[[Played], None]) -> Callable[[Played], None]:
    def checked(played: Played) -> None:
        check(played)
        for name, text in played.case.get("preexisting", {}).items():
            assert played.file(name).decode() == text
        assert not any(
            (played.folder / n).exists()
            for n in set(played.case["outputs"]) - set(played.case.get("preexisting", {}))
        )

    return checked


def newest_of_the_list(played: Played) -> None:
    bytes_as_stored(played)
    keys = played.case["script"][0]["json"]["available_key_names"]
    assert json.loads(played.requests[1]["body"])["key_name"] == keys[0]


def uploaded_by_put(played: Played) -> None:
    assert played.paths[-1] == ("storage", "PUT", "/put-me")
    assert played.requests[-1]["body"] == played.file("odd-name.json")
    assert "authorization" not in played.requests[-1]["headers"]
    assert played.result == Sent(1, 2, 200)


def fields_as_text(played: Played) -> None:
    parts = dict(multipart(played.requests[-1]["body"], played.requests[-1]["headers"]["content-type"]))
    assert parts["success_action_status"] == b"201"
    assert played.error is None


def asked_for_a_fresh_policy(played: Played) -> None:
    """Once; then storage's own words are told."""
    assert [path for _, _, path in played.paths] == ["/api/data", "/app-data", "/api/data"]
    assert "AccessDenied" in str(played.error) and "Policy expired" in str(played.error)
    assert isinstance(played.error, Refused)


def sent_as_utf8(played: Played) -> None:
    """It is text that is no JSON, so it is not sent at all; as UTF-8 it goes where it is a record."""
    refused_unsent(played, "line 1")


def one_record(played: Played) -> None:
    assert records(played.requests[0]["body"]) == [{"id": 1, "name": "x y"}]
    assert played.requests[0]["headers"]["content-type"] == "application/json"


def nothing_to_send(played: Played) -> None:
    assert played.requests == []
    assert played.result == Sent(0, 0, None)


def token_as_configured(played: Played) -> None:
    assert played.requests[0]["headers"]["authorization"] == played.case["client"]["args"][0]


def redirect_raised(played: Played) -> None:
    assert len(played.requests) == 1
    assert isinstance(played.error, Refused) and played.error.status == 301


def empty_list(played: Played) -> None:
    assert played.result == []


def no_null_key(played: Played) -> None:
    assert isinstance(played.error, NotFound)
    assert len(played.requests) == 1


GONE = "Requested item does not exist."
WANTED: dict[str, Callable[[Played], None]] = {
    "rec-model-missing": no_model,
    "rec-model-zero": path_is("/api/predict/0"),
    "rec-model-slash": path_is("/api/predict/1%2F..%2F2%3Fx%3D%23y"),
    "rec-nan": lambda played: refused_unsent(played, "JSON"),
    "rec-404": once(raised(NotFound, 404, GONE)),
    "rec-401": once(raised(NotAllowed, 401, "Invalid token.")),
    "rec-500-html": sent_again(500),
    "rec-200-html": sent_again(200),
    "rec-429": waited,
    "rec-drop": answered_at_last,
    "rec-301": redirect_raised,
    "rec-netrc": token_as_configured,
    "str-latin1-text": sent_as_utf8,
    "str-not-json": lambda played: refused_unsent(played, "line 2"),
    "str-400": once(raised(Refused, 400, "Invalid data.")),
    "str-503": answered_at_last,
    "str-dict": one_record,
    "str-model-missing": no_model,
    "str-model-quoting": path_is("/api/data", ("model_id", "1&data_type=items"), ("data_type", "users")),
    "file-empty-string-falls-to-file": nothing_to_send,
    "file-empty": nothing_to_send,
    "file-f2-array": lambda played: refused_unsent(played, "array.json", "lines"),
    "file-s3-403": asked_for_a_fresh_policy,
    "file-presign-404": once(raised(NotFound, 404, "Model not found.")),
    "file-presign-401-detail": once(raised(NotAllowed, 401, "Invalid token.")),
    "file-presign-500-html": sent_again(502),
    "file-presign-200-html": sent_again(200),
    "file-presign-list": sent_again(200),
    "file-presign-no-fields": uploaded_by_put,
    "file-int-field": fields_as_text,
    "ltv-sub-quoting": path_is("/api/data", ("sub_type", "a&b=c d")),
    "ltv-dates-model-missing": no_model,
    "ltv-doc-positional-report": by_keyword,
    **{f"{kind}-{case}": check for kind in ("ltv", "segm") for case, check in {
        "dates-none-yet": empty_list,
        "dates-404": once(raised(NotFound, 404, GONE)),
        "dates-doc-positional": by_keyword,
        "report-nostream": bytes_as_stored,
        "report-nostream-text": bytes_as_stored,
        "report-none-yet": old_file_whole(no_null_key),
        "report-404": old_file_whole(once(raised(NotFound, 404, GONE))),
        "report-key-list": newest_of_the_list,
        "report-storage-403": old_file_whole(once(raised(Refused, 403, "AccessDenied"))),
        "report-cut-short": resumed,
        "report-content-encoding": bytes_as_stored,
    }.items()},
}  # fmt: skip


def test_each_has_its_check() -> None:
    assert WANTED.keys() == BETTER.keys()


@pytest.mark.parametrize("name", BETTER)
def test_what_was_wrong_is_done_as_wanted(name: str, play: Play) -> None:
    WANTED[name](play(BETTER[name]))


def test_errors_are_told_apart() -> None:
    assert all(issubclass(kind, LumidatumError) for kind in (NotFound, NotAllowed, Refused, Unavailable))
    assert not issubclass(RecordError, LumidatumError)
