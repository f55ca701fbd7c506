"""What Iterable's refusals mean, beyond the recorded ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.plugin import Halt, Response, Split
from engine.vendors.iterable_refusals import refusal
from tests.vendors.conversations import encoded

A, B, C = ({"email": f"{name}@x.test", "dataFields": {"n": index}} for index, name in enumerate("abc"))


def said(status: int, code: str = "GenericError", msg: str = "", params: Any = None) -> Response:
    return Response(status, {}, json.dumps({"msg": msg, "code": code, "params": params}).encode())


def read(answer: Response, *rows: Any) -> Any:
    verdicts = refusal(answer, encoded(list(rows)))
    return verdicts and {row: (verdict.outcome, verdict.code) for row, verdict in sorted(verdicts.items())}


def mismatch(*fields: tuple[str, Any], status: int = 400) -> Response:
    errors = {
        f"project:::{name}": {"incomingTypes": ["string"], "expectedType": "long", "offendingValue": value}
        for name, value in fields
    }
    return said(status, "RequestFieldsTypesMismatched", "", {"validationErrors": errors})


@pytest.mark.parametrize("status", [401, 403, 402, 405, 408, 422, 429, 500, 502, 503])
@pytest.mark.parametrize("rows", [[A], [A, B]])
def test_the_rest_is_left_to_the_engines_table(status: int, rows: list[Any]) -> None:
    assert read(said(status, "Success"), *rows) is None
    assert read(Response(status, {}, b"<html>"), *rows) is None


def test_a_batch_that_nobody_is_named_of_is_left_to_the_table() -> None:
    assert read(said(400, "BadParams"), A, B) is None
    assert read(Response(400, {}, b"<html>Bad Request</html>"), A, B) is None


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (said(400, "BadParams", "items must not be empty"), ("rejected", "refused")),
        (said(400, "BadJsonBody", "", {"obj.items[0].id": "String value expected"}), ("rejected", "refused")),
        (said(400, "InvalidEmailAddressError"), ("rejected", "invalid-identifier")),
        (said(400, "InvalidUserIdError"), ("rejected", "invalid-identifier")),
        (said(400, "UnknownUserIdError"), ("rejected", "not-found")),
        (said(400, "GenericError", "error.users.noUserWithIdExists"), ("rejected", "not-found")),
        (said(400, "UserIdAlreadyExists"), ("rejected", "conflict")),
        (said(400, "ForgottenUserError", "a@x.test was forgotten"), ("dropped", "forgotten")),
        (said(409, "GenericError", "User has been forgotten"), ("dropped", "forgotten")),
        (said(409, "GenericError", "conflict"), ("rejected", "conflict")),
        (Response(409, {}, b"<html>"), ("rejected", "conflict")),
        (Response(400, {}, b"<html>"), ("rejected", "refused")),
        (mismatch(("n", "x")), ("rejected", "type-mismatch")),
        (mismatch(("n", "x"), status=500), ("rejected", "type-mismatch")),
    ],
)
def test_of_one_payload_a_refusal_is_final(answer: Response, verdict: Any) -> None:
    assert read(answer, A) == {0: verdict}


def test_a_reason_says_where_and_what() -> None:
    (verdict,) = (refusal(mismatch(("n", "x")), encoded([A])) or {}).values()
    assert verdict.reason == "Iterable: n is of type long, and 'x' is string"
    answer = said(400, "BadJsonBody", "", {"obj.users[1].userId": "String value expected"})
    assert (refusal(answer, encoded([A, B])) or {})[1].reason == "Iterable: userId: String value expected"
    answer = said(400, "BadParams", "items must not be empty")
    assert (refusal(answer, encoded([A])) or {})[0].reason == "Iterable: HTTP 400 BadParams: items must not be empty"


def test_an_erased_person_is_not_named() -> None:
    answer = said(409, "ForgottenUserError", "a@x.test has been forgotten")
    assert "a@x.test" not in (refusal(answer, encoded([A])) or {})[0].reason


def test_several_named_rows_are_taken_out() -> None:
    params = {"obj.users[0].email": "String value expected", "obj.users[2].dataFields": "Object expected"}
    assert read(said(400, "BadJsonBody", "", params), A, B, C) == {
        0: ("rejected", "refused"),
        1: ("again", "batch-refused"),
        2: ("rejected", "refused"),
    }


@pytest.mark.parametrize("params", [{"obj.users[3].email": "x"}, {"obj.users": "x"}, {}, None, [], {"obj[0]": "x"}])
def test_a_row_that_does_not_exist_is_nobody(params: Any) -> None:
    assert read(said(400, "BadJsonBody", "", params), A, B, C) is None


@pytest.mark.parametrize(
    ("field", "value", "rows"),
    [
        ("n", "x", [{"dataFields": {"n": 1}}, {"dataFields": {"n": "x"}}]),
        ("o.n", "x", [{"dataFields": {"o": {"n": 1}}}, {"dataFields": {"o": {"n": "x"}}}]),
        ("o.n", "x", [{"dataFields": {"o.n": "y"}}, {"dataFields": {"o.n": "x"}}]),
        ("n", "5", [{"dataFields": {"n": 1}}, {"dataFields": {"n": 5}}]),
        ("n", "x", [{}, {"dataFields": {"n": "x"}}]),
    ],
)
def test_rows_of_the_offending_value_are_told_from_the_rest(field: str, value: Any, rows: list[Any]) -> None:
    assert read(mismatch((field, value)), *rows) == {0: ("again", "batch-refused"), 1: ("again", "type-mismatch")}


@pytest.mark.parametrize(
    "answer", [mismatch(("n", "nobody has it")), mismatch(), said(400, "RequestFieldsTypesMismatched")]
)
def test_a_mismatch_that_no_row_shows_is_halved(answer: Response) -> None:
    with pytest.raises(Split) as split:
        read(answer, A, B)
    assert split.value.code == "type-mismatch"


@pytest.mark.parametrize(
    "answer", [said(413), said(413, "BatchTooLarge"), said(400, "BatchTooLarge"), Response(413, {}, b"<html>")]
)
@pytest.mark.parametrize("rows", [[A], [A, B]])
def test_what_is_too_large_is_halved(answer: Response, rows: list[Any]) -> None:
    with pytest.raises(Split) as split:
        read(answer, *rows)
    assert split.value.code == "too-large"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (said(400, "UniqueFieldsLimitExceeded"), "field-limit"),
        (said(400, "GenericError", "error.lists.invalidListId"), "no-such-target"),
        (said(404, "NotFound"), "no-such-target"),
        (
            Response(404, {}, b'{"error": "NotFound", "message": "no", "code": "error.catalogs.notFound"}'),
            "no-such-target",
        ),
        (Response(404, {}, b"<html>"), "no-such-target"),
    ],
)
@pytest.mark.parametrize("rows", [[A], [A, B]])
def test_what_the_account_must_mend_halts(answer: Response, code: str, rows: list[Any]) -> None:
    with pytest.raises(Halt) as halt:
        read(answer, *rows)
    assert halt.value.code == code
    assert str(answer.status) in halt.value.reason
