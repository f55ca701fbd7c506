"""What bulk answers say, beyond the recorded ones; and that a clean one costs nothing."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from engine.plugin import Payloads, Response, Unreadable
from engine.vendors.iterable_answers import plain, refused, remarks
from tests.vendors.conversations import encoded


def answer(success: int, fail: int, **more: Any) -> Response:
    return Response(200, {}, json.dumps({"successCount": success, "failCount": fail, **more}).encode())


def read(rows: list[Any], reply: Response) -> dict[int, tuple[str, str]]:
    return {row: (verdict.outcome, verdict.code) for row, verdict in sorted(refused(encoded(rows), reply).items())}


def user(email: str, **fields: Any) -> dict[str, Any]:
    return {"email": email, "dataFields": fields}


def event(email: str, **more: Any) -> dict[str, Any]:
    return {"eventName": "Open", "email": email, **more}


A, B, C = user("a@x.test"), user("b@x.test"), user("c@x.test")


class Unlooked(Payloads):
    """Payloads that nobody may look at."""

    def __getitem__(self, index: Any) -> Any:
        raise AssertionError("a clean answer needs no payload")

    def __iter__(self) -> Any:
        raise AssertionError("a clean answer needs no payload")


@pytest.mark.parametrize(
    "reply",
    [
        answer(2, 0),
        answer(2, 0, failedUpdates={"invalidEmails": [], "forgottenUserIds": None}, invalidEmails=[]),
        answer(2, 0, failedUpdates=None, createdFields=["new"], filteredOutFields=["old"]),
    ],
)
def test_on_a_clean_answer_no_payload_is_decoded(reply: Response) -> None:
    assert refused(Unlooked([msgspec.Raw(b"{}")] * 2), reply) == {}


@pytest.mark.parametrize(
    "body",
    [b"", b"OK", b"<html></html>", b"[]", b"null", b"{}", b'{"successCount": 1}',
     b'{"successCount": "1", "failCount": 0}',
     b'{"successCount": 1, "failCount": 0', b'{"msg": "", "code": "Success"}', b"\xff"],
)  # fmt: skip
def test_what_is_no_bulk_answer_proves_nothing(body: bytes) -> None:
    with pytest.raises(Unreadable):
        refused(encoded([A, B]), Response(200, {}, body))


def test_rows_that_the_counts_leave_out_are_sent_again() -> None:
    assert read([A, B, C], answer(2, 0)) == dict.fromkeys(range(3), ("again", "unnamed"))
    rows = [event("a@x.test", id="e1"), event("b@x.test")]
    assert read(rows, answer(1, 0)) == {0: ("again", "unnamed"), 1: ("unknown", "unnamed")}


def test_a_named_row_does_not_hide_one_that_the_counts_leave_out() -> None:
    reply = answer(1, 1, failedUpdates={"invalidEmails": ["a@x.test"]})
    assert read([A, B, C], reply) == {
        0: ("rejected", "invalid-identifier"),
        1: ("again", "unnamed"),
        2: ("again", "unnamed"),
    }


def test_all_that_is_left_failed_when_the_count_says_so() -> None:
    reply = answer(0, 3, failedUpdates={"conflictEmails": ["a@x.test"]})
    assert read([A, B, C], reply) == {
        0: ("rejected", "conflict"),
        1: ("rejected", "unnamed"),
        2: ("rejected", "unnamed"),
    }


def test_rows_that_changed_nothing_are_no_failures() -> None:
    assert read([A, B, C], answer(2, 0, noOpEmails=["B@x.test"])) == {}
    reply = answer(1, 1, noOpEmails=["b@x.test"])
    assert read([A, B, C], reply) == {0: ("again", "unnamed"), 2: ("again", "unnamed")}


def test_an_unknown_person_is_not_one_whom_another_event_mentions() -> None:
    rows = [event("ghost@x.test"), event("a@x.test", dataFields={"email": "ghost@x.test"})]
    reply = answer(1, 1, failedUpdates={"notFoundEmails": ["ghost@x.test"]})
    assert read(rows, reply) == {0: ("rejected", "not-found")}


def test_a_name_that_would_contradict_the_counts_is_doubtful() -> None:
    rows = [event("a@x.test", id="e1"), event("a@x.test", userId="known", id="e2"), event("b@x.test", id="e3")]
    reply = answer(2, 1, failedUpdates={"notFoundEmails": ["a@x.test"]})
    assert read(rows, reply) == {0: ("again", "which-one"), 1: ("again", "which-one")}


def test_an_erased_address_that_was_asked_for_is_found() -> None:
    rows = [{"userId": "u1", "dataFields": {"email": "Gone@x.test"}}, A]
    reply = answer(1, 1, failedUpdates={"forgottenEmails": ["gone@x.test"]})
    assert read(rows, reply) == {0: ("dropped", "forgotten")}


def test_the_gravest_reason_wins() -> None:
    lists = {"invalidDataEmails": ["a@x.test"], "conflictEmails": ["a@x.test"], "notFoundEmails": ["a@x.test"],
             "invalidEmails": ["a@x.test"], "forgottenEmails": ["a@x.test"]}  # fmt: skip
    codes = []
    while lists:
        codes.append(read([A, B], answer(1, 1, failedUpdates=lists))[0][1])
        lists.popitem()
    assert codes == ["forgotten", "invalid-identifier", "not-found", "conflict", "invalid-data"]


def test_a_reason_names_the_identifier_but_not_that_of_an_erased_person() -> None:
    lists = {"conflictEmails": ["taken@x.test"], "forgottenEmails": ["b@x.test"]}
    rows = [{"userId": "u1", "dataFields": {"email": "Taken@x.test"}}, B]
    verdicts = refused(encoded(rows), answer(0, 2, failedUpdates=lists))
    assert verdicts[0].reason == "an existing person at Iterable stands against this change: email 'taken@x.test'"
    assert verdicts[1].reason == "Iterable has erased this person on request"
    (alone,) = refused(encoded([A]), answer(0, 1, failedUpdates={"invalidUserIds": ["u "]})).values()
    assert alone.reason == "Iterable refuses the form of this identifier: userId 'u '"


def test_old_and_new_lists_are_one() -> None:
    reply = answer(1, 1, failedUpdates={"invalidEmails": ["a@x.test"]}, invalidEmails=["a@x.test"])
    assert read([A, B], reply) == {0: ("rejected", "invalid-identifier")}
    reply = answer(1, 1, invalidUserIds=["u "])
    assert read([{"userId": "u "}, B], reply) == {0: ("rejected", "invalid-identifier")}


def test_a_conflict_may_be_named_by_both_identifiers_of_its_row() -> None:
    rows = [{"email": "a@x.test", "userId": "u7"}, B]
    reply = answer(1, 1, failedUpdates={"conflictEmails": ["a@x.test"], "conflictUserIds": ["u7"]})
    assert read(rows, reply) == {0: ("rejected", "conflict")}


def test_a_conflict_about_a_value_that_another_row_has_is_doubtful() -> None:
    rows = [user("taken@x.test"), {"userId": "u1", "dataFields": {"email": "taken@x.test"}}, B]
    reply = answer(2, 1, failedUpdates={"conflictEmails": ["taken@x.test"]})
    assert read(rows, reply) == {0: ("again", "which-one"), 1: ("again", "which-one")}


def test_disallowed_names_concern_all_their_events_and_only_once() -> None:
    rows = [{**event("a@x.test"), "eventName": "Secret"}, event("bad"), {**event("bad"), "eventName": "Secret"}]
    reply = answer(0, 3, disallowedEventNames=["Secret"], failedUpdates={"invalidEmails": ["bad"]})
    assert read(rows, reply) == {
        0: ("rejected", "disallowed-event"),
        1: ("rejected", "invalid-identifier"),
        2: ("rejected", "invalid-identifier"),
    }


MISCOUNTED = dict.fromkeys(range(3), ("again", "miscounted"))


@pytest.mark.parametrize(
    ("reply", "verdicts"),
    [
        (answer(4, 0), MISCOUNTED),
        (answer(3, 1, failedUpdates={"invalidEmails": ["b@x.test"]}), MISCOUNTED),
        (answer(-1, 0), MISCOUNTED),
        (answer(4, -1), MISCOUNTED),
        (answer(0, 4), MISCOUNTED),
        # Two are named and one failed: which of them is stored? The third is, for the counts add up without it.
        (answer(2, 1, failedUpdates={"invalidEmails": ["a@x.test", "b@x.test"]}),
         {0: ("again", "which-one"), 1: ("again", "which-one")}),
        # Nobody failed, and yet somebody is named.
        (answer(3, 0, failedUpdates={"invalidEmails": ["a@x.test"]}), {0: ("again", "which-one")}),
        (answer(3, 0, failedUpdates={"invalidEmails": ["ghost@x.test"]}), dict.fromkeys(range(3), ("again", "unnamed"))),
        # One failed, and nobody who was sent is named.
        (answer(2, 1, failedUpdates={"invalidEmails": ["ghost@x.test"]}), dict.fromkeys(range(3), ("again", "unnamed"))),
        # More failed than are named.
        (answer(1, 2, failedUpdates={"invalidEmails": ["A@X.test"]}),
         {0: ("rejected", "invalid-identifier"), 1: ("again", "unnamed"), 2: ("again", "unnamed")}),
        # The same person twice, named once.
        (answer(2, 0, failedUpdates={"invalidEmails": ["c@x.test"]}),
         {0: ("again", "unnamed"), 1: ("again", "unnamed"), 2: ("again", "which-one")}),
    ],
)  # fmt: skip
def test_what_does_not_add_up_goes_again_apart(reply: Response, verdicts: Any) -> None:
    assert read([A, B, C], reply) == verdicts


def test_subscriptions_that_are_named_beside_a_clean_count_are_looked_at() -> None:
    assert read([A, B], answer(2, 0, validEmailFailures=["a@x.test"])) == {0: ("again", "which-one")}


def test_without_an_id_what_does_not_add_up_is_unknown() -> None:
    rows = [event("a@x.test", id="e1"), event("b@x.test")]
    assert read(rows, answer(3, 0)) == {0: ("again", "miscounted"), 1: ("unknown", "miscounted")}


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        (answer(0, 1, failedUpdates={"conflictEmails": ["somebody else"]}), ("rejected", "conflict")),
        (answer(0, 1, failedUpdates={"forgottenUserIds": ["x"]}), ("dropped", "forgotten")),
        (answer(0, 1, disallowedEventNames=["Other spelling"]), ("rejected", "disallowed-event")),
        (answer(0, 1), ("rejected", "unnamed")),
        (answer(0, 0), ("unknown", "uncounted")),
        (answer(2, 0), ("unknown", "miscounted")),
        (answer(1, 1), ("unknown", "miscounted")),
        (answer(0, 2), ("unknown", "miscounted")),
        (answer(-1, 0), ("unknown", "miscounted")),
        (answer(1, -1), ("unknown", "miscounted")),
        (answer(1, 0, failedUpdates={"invalidEmails": ["a@x.test"]}), ("unknown", "miscounted")),
        (answer(2, 0, failedUpdates={"forgottenEmails": ["a@x.test"]}), ("dropped", "forgotten")),
        (answer(1, 0, disallowedEventNames=["Secret"]), ("rejected", "disallowed-event")),
    ],
)
def test_of_one_payload_there_is_no_doubt(reply: Response, verdict: Any) -> None:
    assert read([A], reply) == {0: verdict}


def test_one_payload_that_changed_nothing_is_delivered() -> None:
    assert read([A], answer(0, 0, noOpUserIds=["u"])) == {}


def test_lists_of_odd_content_do_no_harm() -> None:
    lists = {"invalidEmails": [None, 5, {"a": 1}], "somethingNew": ["a@x.test"], "conflictEmails": "a@x.test"}
    assert read([A, B], answer(2, 0, failedUpdates=lists, invalidUserIds=5, disallowedEventNames={})) == {}


def test_an_odd_row_does_no_harm() -> None:
    rows = [{"email": 5, "dataFields": None}, {"userId": ["x"]}, A]
    reply = answer(2, 1, failedUpdates={"invalidEmails": ["a@x.test"]})
    assert read(rows, reply) == {2: ("rejected", "invalid-identifier")}


@pytest.mark.parametrize(
    ("more", "codes"),
    [
        ({}, []),
        ({"createdFields": [], "filteredOutFields": None}, []),
        ({"createdFields": ["a"], "filteredOutFields": ["b", "c"]}, ["fields-left-out", "fields-created"]),
    ],
)
def test_remarks(more: Any, codes: list[str]) -> None:
    assert [note.code for note in remarks(answer(1, 0, **more))] == codes


@pytest.mark.parametrize("body", [b"", b"OK", b"[]", b"{}", b'"Success"', b"<html>"])
def test_what_is_no_plain_answer_proves_nothing(body: bytes) -> None:
    with pytest.raises(Unreadable):
        plain(Response(200, {}, body))


@pytest.mark.parametrize("body", [b'{"msg": "", "code": "Success", "params": null}', b'{"code": "GenericError"}'])
def test_a_plain_success_is_one_by_its_status(body: bytes) -> None:
    assert plain(Response(200, {}, body)) == {}
