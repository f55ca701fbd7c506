"""The catalogs of a pretend Iterable project."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from engine.plugin import Response
from engine.sandbox.iterable_reports import Refused, answer
from engine.sandbox.iterable_shapes import CATALOG_NAME

MOST, LARGEST = 1000, 30_000  # documents of a request, bytes of one


class Catalogs:
    """Items by catalog. `names` are the catalogs that exist; None: whichever is written to."""

    def __init__(self, names: Sequence[str] | None) -> None:
        self._names = None if names is None else {name.lower() for name in names}
        self.items: dict[str, dict[str, Any]] = {}

    def write(self, said: Mapping[str, Any], name: str) -> Response:
        """Stores documents; what is wrong with one is wrong with all of its request."""
        if not CATALOG_NAME.fullmatch(name) or (self._names is not None and name.lower() not in self._names):
            told = {"error": "NotFound", "message": f"Catalog not found: {name}", "data": {"args": [name]}}
            raise _Missing(told)
        documents = said["documents"]
        if len(documents) > MOST:
            raise Refused(400, "BadParams", f"More than {MOST} documents")
        for place, document in documents.items():
            _check(place, document)
        catalog = self.items.setdefault(name.lower(), {})
        for place, document in documents.items():
            stays = catalog.get(place, {}) if said["replaceUploadedFieldsOnly"] else {}
            catalog[place] = {**stays, **document}
        told = {"msg": f"Request to bulk-upload documents into {name} processed successfully", "code": "Success"}
        return answer(202, {**told, "params": None})


class _Missing(Refused):
    """The words for a catalog that does not exist have another shape."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        super().__init__(404, "", "")
        self.response = answer(404, {**told, "code": "error.catalogs.notFound"})


def _check(place: str, document: Any) -> None:
    if not CATALOG_NAME.fullmatch(place):
        raise Refused(400, "BadParams", f"Invalid item id: {place}")
    if not isinstance(document, dict) or any("." in name for name in document):
        raise Refused(400, "BadParams", f"Invalid document: {place}")
    if len(msgspec.json.encode(document)) > LARGEST:
        raise Refused(400, "BadParams", f"Document too large: {place}")
