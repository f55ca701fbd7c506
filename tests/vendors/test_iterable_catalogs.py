"""Catalog items: documents by their ids, a request per catalog."""

from __future__ import annotations

from typing import Any

import pytest

from engine.plugin import RecordError, Request, Response, Secret
from engine.vendors.iterable import Iterable
from tests.vendors.conversations import SENT, body, encoded, exchange, first_request

ACTION = Iterable.actions()["upsert_catalog_item"]
TAKEN = Response(202, {}, b'{"msg": "processed", "code": "Success", "params": null}')


def iterable(**settings: Any) -> Iterable:
    return Iterable(api_key=Secret("k-1"), **settings)


def item(name: str, **value: Any) -> dict[str, Any]:
    return {"catalogName": "books", "id": name, "value": value}


def requests(payloads: list[Any]) -> list[Request]:
    """All requests of one conversation, each answered with success."""
    steps = ACTION.method(iterable(), encoded(payloads))
    found = [next(steps)]
    with pytest.raises(StopIteration):
        while True:
            found.append(steps.send(TAKEN))
    return found


def test_items_are_documents_by_their_ids() -> None:
    request = first_request(iterable(), "upsert_catalog_item", [item("b1", t="x"), item("b2", n=1.50, gone=None)])
    assert (request.method, request.path) == ("POST", "/catalogs/books/items")
    assert body(request) == {
        "documents": {"b1": {"t": "x"}, "b2": {"n": 1.5, "gone": None}},
        "replaceUploadedFieldsOnly": True,
    }
    assert exchange(iterable(), "upsert_catalog_item", [item("b1")], TAKEN).records == [SENT]


def test_an_item_may_be_replaced_whole() -> None:
    whole = {**item("b1", t="x"), "replaceUploadedFieldsOnly": False}
    assert body(first_request(iterable(), "upsert_catalog_item", [whole]))["replaceUploadedFieldsOnly"] is False


def test_an_item_that_comes_twice_is_in_two_requests_in_order() -> None:
    sent = requests([item("a", n=1), item("b", n=2), item("a", n=3), item("c", n=4), item("c", n=5)])
    assert [body(request)["documents"] for request in sent] == [
        {"a": {"n": 1}, "b": {"n": 2}},
        {"a": {"n": 3}, "c": {"n": 4}},
        {"c": {"n": 5}},
    ]


def test_catalogs_and_ways_of_writing_go_apart_and_case_is_nothing() -> None:
    group, key = ACTION.group, ACTION.key
    assert group is not None and key is not None
    assert group(item("a")) == group({**item("b"), "catalogName": "Books", "replaceUploadedFieldsOnly": True})
    assert group(item("a")) != group({**item("a"), "replaceUploadedFieldsOnly": False})
    assert group(item("a")) != group({**item("a"), "catalogName": "films"})
    assert key(item("a")) == key({**item("a"), "catalogName": "Books"}) != key(item("A"))


@pytest.mark.parametrize(("length", "fits"), [(29_989, True), (29_990, False)])
def test_a_document_has_at_most_30_kilobytes(length: int, fits: bool) -> None:
    payload = item("a", text="x" * length)  # and {"text":""} around it
    if not fits:
        with pytest.raises(RecordError, match="30001 bytes"):
            iterable().as_document(payload)  # type: ignore[misc]
    else:
        assert iterable().as_document(payload) == payload  # type: ignore[misc]
