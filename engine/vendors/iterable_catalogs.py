"""Iterable: catalogs, whose items messages can show."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import msgspec

from engine.plugin import Conversation, Payloads, action, post
from engine.vendors.iterable_account import BYTES, Account
from engine.vendors.iterable_answers import plain

DOCUMENTS = 1000  # of one request; each has at most 30 kB

Documents = dict[str, msgspec.Raw]


class Item(msgspec.Struct):
    """An item with its catalog; what it holds stays encoded."""

    catalog: str = msgspec.field(name="catalogName")
    id: str = ""
    value: msgspec.Raw = msgspec.Raw(b"{}")
    fields_only: bool = msgspec.field(name="replaceUploadedFieldsOnly", default=True)


def catalog_of(payload: dict[str, object]) -> tuple[str, bool]:
    """What may share a request. Case tells no catalogs apart."""
    return str(payload["catalogName"]).lower(), bool(payload.get("replaceUploadedFieldsOnly", True))


def item_of(payload: dict[str, object]) -> str:
    return f"{str(payload['catalogName']).lower()}/{payload['id']}"


class Catalogs(Account):
    """A catalog is made at Iterable first; its items need not be there."""

    @action(max_records=DOCUMENTS, max_bytes=BYTES, rate=100, key=item_of, mend="mended", group=catalog_of,
            prepare="as_document")  # fmt: skip
    def upsert_catalog_item(self, payloads: Payloads) -> Conversation:
        """Create or update items, a request per catalog: POST /catalogs/NAME/items. It is done later.

        `value` has the item's fields. Those that it leaves out stay, unless `replaceUploadedFieldsOnly: false`.
        """
        items = [msgspec.json.decode(raw, type=Item) for raw in payloads.bodies]
        path = f"/catalogs/{quote(items[0].catalog, safe='')}/items"
        for documents in rounds(items):
            reply = yield post(path, {"documents": documents, "replaceUploadedFieldsOnly": items[0].fields_only})
            plain(reply)
        return None


def rounds(items: list[Item]) -> Iterator[Documents]:
    """The items as documents by their ids, in order; an id that comes again begins another round."""
    documents: Documents = {}
    for item in items:
        if item.id in documents:
            yield documents
            documents = {}
        documents[item.id] = item.value
    yield documents
