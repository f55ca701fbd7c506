"""Data into Lumidatum: users, items, transactions and feedback, in batches or as one file."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from engine.plugin import (
    Conversation,
    Halt,
    InvalidPipeline,
    NotNow,
    Payloads,
    Request,
    Response,
    Secret,
    Spooled,
    Stream,
    TurnedAway,
    Verdict,
    action,
    form,
    post,
    rejected,
)
from engine.vendors import lumidatum_words as words
from engine.vendors.lumidatum import Account, Asking, NotFound

VIA = ("inline", "file", "auto")
FORMATS = ("jsonl", "array")
USUAL = 1000  # records of a request; no limit is known
MOST = 100_000
BYTES = 64 * 1024 * 1024
USUAL_BYTES = 1024 * 1024
SLOWEST = 100_000  # bytes a second that an upload must make


class LumidatumSink(Account):
    """`via: inline` sends batches, `file` one file per action and model when everything is read, `auto` the first
    `inline_up_to` records of an action in batches and what comes after them as a file.
    """

    def __init__(
        self,
        *,
        token: Secret,
        model_id: str | int | None = None,
        base_url: str = "https://www.lumidatum.com",
        insecure: bool = False,
        via: str = "auto",
        format: str = "jsonl",
        inline_up_to: int = 10_000,
    ) -> None:
        super().__init__(token=token, model_id=model_id, base_url=base_url, insecure=insecure)
        for setting, value, choices in (("via", via, VIA), ("format", format, FORMATS)):
            if value not in choices:
                raise InvalidPipeline(f"{setting}: {value!r} is none of {', '.join(choices)}")
        self.format = format
        self.inline = {"inline": None, "file": 0, "auto": inline_up_to}[via]

    def expects(self, action: str, parameters: Collection[str]) -> None:
        if self.model_id is None and "model_id" not in parameters:
            raise InvalidPipeline("model_id: no model is named; name one here, at the sink or at the connection")

    @action(max_records=MOST, usual_records=USUAL, max_bytes=BYTES, usual_bytes=USUAL_BYTES)
    def users(self, records: Payloads, model_id: Any = None) -> Conversation:
        """Create or update users: POST /api/data."""
        return (yield from self._send("users", records, model_id))

    @action(max_records=MOST, usual_records=USUAL, max_bytes=BYTES, usual_bytes=USUAL_BYTES)
    def items(self, records: Payloads, model_id: Any = None) -> Conversation:
        """Create or update items: POST /api/data."""
        return (yield from self._send("items", records, model_id))

    @action(max_records=MOST, usual_records=USUAL, max_bytes=BYTES, usual_bytes=USUAL_BYTES)
    def transactions(self, records: Payloads, model_id: Any = None) -> Conversation:
        """Create or update transactions: POST /api/data."""
        return (yield from self._send("transactions", records, model_id))

    @action(max_records=MOST, usual_records=USUAL, max_bytes=BYTES, usual_bytes=USUAL_BYTES)
    def feedback(self, records: Payloads, model_id: Any = None) -> Conversation:
        """Record feedback: POST /api/data."""
        return (yield from self._send("feedback", records, model_id))

    def batch(self, kind: str, records: Payloads, model_id: Any) -> Asking:
        """Sends records of a kind in one request."""
        params = {"model_id": self.model(model_id), "data_type": kind}
        return (yield from self.asked(post("/api/data", body=self._body(records), params=params)))

    def _send(self, kind: str, records: Payloads, model_id: Any) -> Conversation:
        try:
            yield from self.batch(kind, records, model_id)
        except InvalidPipeline as error:
            if model_id is None:
                raise Halt(str(error), code="no-model") from error
            return _all(records, rejected("no-model", str(error)))
        except NotFound as error:
            if model_id is None or str(model_id) == self.model_id:
                raise
            return _all(records, rejected("unknown-model", error.reason))
        return None

    def _body(self, records: Payloads) -> bytes:
        if self.format == "array":
            return b"[" + b",".join(records.raw) + b"]"
        return b"\n".join(records.raw)

    # --- whole files ----------------------------------------------------------------------------------------

    def upload(self, action: str, file: Spooled, model_id: Any = None, **_: Any) -> Conversation:
        """Asks where to put the file, then puts it there. A policy that has expired is asked for anew, once."""
        ask = post(
            "/api/data",
            {"model_id": self.model(model_id), "data_type": action, "file_name": file.name, "file_size": file.size},
        )
        url, fields = words.granted((yield from self.asked(ask)), self.base_url)
        try:
            yield _put(url, fields, file)
        except TurnedAway as error:
            if not words.expired(error.response):
                raise words.refused_by_storage(error) from error
            yield from self._once_more(ask, file, error)
        return None

    def _once_more(self, ask: Request, file: Spooled, first: TurnedAway) -> Conversation:
        try:
            grant: Response = yield Request(ask.method, ask.path, ask.json, patient=False)
            url, fields = words.granted(grant, self.base_url)
            yield _put(url, fields, file)
        except TurnedAway as error:
            raise words.refused_by_storage(error) from error
        except NotNow as error:
            raise words.refused_by_storage(first) from error
        return None


def _put(url: str, fields: Mapping[str, Any], file: Spooled) -> Request:
    """The upload: a form with the fields in the order given and the file as the last part, or a plain PUT."""
    timeout = 60.0 + file.size / SLOWEST
    if not fields:
        return Request("PUT", url, body=Stream(file.path, file.size), timeout=timeout, bare=True)
    body, kind = form(fields, file.path, file.size)
    return Request("POST", url, body=body, headers={"Content-Type": kind}, timeout=timeout, bare=True)


def _all(records: Payloads, verdict: Verdict) -> Mapping[int, Verdict]:
    return dict.fromkeys(range(len(records)), verdict)
