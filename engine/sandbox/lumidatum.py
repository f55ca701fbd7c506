"""A pretend Lumidatum: models that remember what they were told, recommend from it and report on it.

Its storage is another origin: `lumidatum_storage`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from engine.plugin import Response, Secret, WireRequest
from engine.sandbox.bodies import whole
from engine.sandbox.lumidatum_models import KINDS, Model, date_of
from engine.sandbox.lumidatum_storage import Clock, PretendStorage, lines

MISSING = "Requested item does not exist."
NO_MODELS = ("missing", "404", "None", "")


class Refusal(Exception):
    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.response = _answer(status, body, headers)


class PretendLumidatum:
    """`tokens` and `models` are those there are; without them any token but `invalid`, any model but `missing`.

    `demo` gives each model a small shop to begin with. `presign: put` offers addresses for a plain PUT.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        tokens: Iterable[str] | None = None,
        models: Iterable[str | int] | None = None,
        demo: bool = True,
        presign: str = "form",
        storage: Mapping[str, Any] | None = None,
    ) -> None:
        self._tokens = None if tokens is None else set(tokens)
        self._demo, self._put = demo, presign == "put"
        self._closed = models is not None
        self.models = {str(name): Model(str(name), demo=demo) for name in models or ()}
        self.storage = PretendStorage(clock, **(storage or {}))
        self.files: list[dict[str, Any]] = []  # what became of uploaded files
        self._functions: dict[str, Callable[[Model, Any], Any]] = {
            "predict": Model.predict, "customervalue": Model.value, "segmentation": Model.segments,
        }  # fmt: skip

    def handle(self, request: WireRequest) -> Response:
        try:
            self._check_token(request)
            return self._route(request)
        except Refusal as refusal:
            return refusal.response

    def state(self) -> Any:
        tables = {
            name: {kind: list(table.values()) for kind, table in model.tables.items()}
            for name, model in self.models.items()
        }
        return {"models": tables, "files": self.files}

    def model(self, name: Any) -> Model:
        """The model of that id. Raises `Refusal` where there is none."""
        text = str(name) if isinstance(name, (str, int)) and not isinstance(name, bool) else ""
        if text not in self.models:
            if self._closed or text in NO_MODELS:
                raise Refusal(404, {"error": MISSING})
            self.models[text] = Model(text, demo=self._demo)
        return self.models[text]

    def put_report(self, model: Any, key: str, content: bytes) -> None:
        """A report made by hand; its key is `reports/MODEL/LTV/2017-07-21T194816Z.csv` or the like."""
        self.model(model).kept[key] = content

    # --- requests ---------------------------------------------------------------------------------------------

    def _check_token(self, request: WireRequest) -> None:
        given = {name.lower(): value for name, value in request.headers.items()}.get("authorization", "")
        token = given.reveal() if isinstance(given, Secret) else given
        known = token not in ("", "invalid") if self._tokens is None else token in self._tokens
        if not known:
            raise Refusal(401, {"detail": "Invalid token."}, {"www-authenticate": "Token"})

    def _route(self, request: WireRequest) -> Response:
        parts = urlsplit(request.url)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        steps = [unquote(step) for step in parts.path.split("/")]
        if parts.path == "/api/data" and request.method == "GET":
            return self._list(query)
        if parts.path == "/api/data" and request.method == "POST":
            if "file_name" in query:
                return self._presign({**query, "file_size": _whole(query.get("file_size"))})
            return self._inline(query, whole(request)) if query else self._file(_json(whole(request)))
        if len(steps) == 4 and steps[1] == "api" and steps[2] in self._functions:
            if request.method not in ("GET", "POST"):
                raise Refusal(405, {"detail": f'Method "{request.method}" not allowed.'})
            model = self.model(steps[3])
            asked = _json(whole(request)) if request.method == "POST" else {}
            return _answer(200, self._functions[steps[2]](model, asked))
        raise Refusal(404, {"error": MISSING})

    # --- data in ----------------------------------------------------------------------------------------------

    def _inline(self, query: Mapping[str, str], body: bytes) -> Response:
        model, kind = self.model(query.get("model_id")), _kind(query.get("data_type"))
        records = _records(body)
        for record in records:
            model.store(kind, record)
        return _answer(201, "")

    def _file(self, said: Any) -> Response:
        if not isinstance(said, dict):
            raise Refusal(400, {"error": "An object was expected."})
        if said.get("is_download") is True:
            return self._download(said)
        return self._presign(said)

    def _presign(self, said: Mapping[str, Any]) -> Response:
        model, kind = self.model(said.get("model_id")), _kind(said.get("data_type"))
        name, size = said.get("file_name"), said.get("file_size")
        if not isinstance(name, str) or not name:
            raise Refusal(400, {"error": "file_name is missing."})
        if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 0):
            raise Refusal(400, {"error": "file_size is no whole number."})

        def stored(file: BinaryIO) -> None:
            self.files.append(_ingest(model, kind, name, file))

        put = self._put or said.get("presigned_url_http_method") == "PUT"
        grant = self.storage.presign(f"uploads/{model.name}/{name}", size, stored, put=put)
        return _answer(201, grant)

    # --- reports ----------------------------------------------------------------------------------------------

    def _list(self, query: Mapping[str, str]) -> Response:
        model = self.model(query.get("model_id"))
        sub_type = query.get("sub_type", "")
        keys = model.keys(
            query.get("report_type", ""), "" if sub_type == "None" else sub_type, zipped=_true(query.get("zipped"))
        )
        if not keys:
            raise Refusal(404, {"error": MISSING})
        latest, dates = _true(query.get("latest")), _true(query.get("return_dates"))
        if dates:
            found = [date_of(key) for key in keys]
            return _answer(200, {"latest_report_timestamp": found[-1]} if latest else {"report_timestamps": found})
        return _answer(200, {"latest_key_name": keys[-1]} if latest else {"available_key_names": keys})

    def _download(self, said: Mapping[str, Any]) -> Response:
        model, key = self.model(said.get("model_id")), said.get("key_name")
        try:
            if not isinstance(key, str) or not key.startswith(f"reports/{model.name}/"):
                raise KeyError(key)
            model.report(key)
        except (KeyError, ValueError):
            raise Refusal(404, {"error": MISSING}) from None
        return _answer(201, {"url": self.storage.sign(key, lambda: model.report(key))})


def _answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    data = b"" if body == "" else msgspec.json.encode(body)
    return Response(status, {"content-type": "application/json", **(headers or {})}, data)


def _kind(kind: Any) -> str:
    if kind not in KINDS:
        raise Refusal(400, {"error": f"data_type must be one of {', '.join(KINDS)}."})
    return str(kind)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise Refusal(400, {"error": "Invalid JSON."}) from None


def _records(body: bytes) -> list[dict[str, Any]]:
    """Every record of a body in either format; a bad one refuses them all, named by its line."""
    text = body.strip()
    found: list[Any]
    if text.startswith(b"["):
        found = _json(text)
        places = [f"element {n}" for n in range(1, len(found) + 1)]
    else:
        given = [line for line in body.split(b"\n") if line.strip()]
        places = [f"line {n}" for n in range(1, len(given) + 1)]
        found = [_or_none(line) for line in given]
    for place, record in zip(places, found, strict=True):
        if not isinstance(record, dict):
            raise Refusal(400, {"error": f"Invalid JSON: {place} is no object."})
    return found


def _or_none(line: bytes) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _ingest(model: Model, kind: str, name: str, file: BinaryIO) -> dict[str, Any]:
    """Stores the records of an uploaded file; it ends at the first line that is none."""
    stored = 0
    for number, line in enumerate(lines(file), 1):
        record = _or_none(line)
        if not isinstance(record, dict):
            return {"file": name, "kind": kind, "records": stored, "error": f"line {number} is no object"}
        model.store(kind, record)
        stored += 1
    return {"file": name, "kind": kind, "records": stored, "error": None}


def _whole(text: str | None) -> Any:
    return int(text) if text and text.isdecimal() else text or None


def _true(text: str | None) -> bool:
    return (text or "").lower() == "true"
