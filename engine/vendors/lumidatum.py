"""Lumidatum: recommendations, lifetime values and segments to look up, reports to read.

What is sent there is in `lumidatum_sink`; what answers mean in `lumidatum_words`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from engine.plugin import (
    Download,
    Halt,
    InvalidPipeline,
    Question,
    Reading,
    Records,
    Request,
    Response,
    Secret,
    Table,
    TurnedAway,
    Vendor,
    get,
    lookup,
    origin,
    post,
    reader,
)
from engine.vendors import lumidatum_words as words

HOPS = 3
MISSING = ("fail", "empty")
Asking = Generator[Any, Any, Response]


class NotFound(Halt):
    """The model, or what is asked of it, does not exist."""


class Account(Vendor):
    """A Lumidatum account. The token is sent as it is: its word `Token` is part of it.

    `model_id` is the model of all that names none itself. `http://` is for loopback, unless `insecure`.
    """

    def __init__(
        self,
        *,
        token: Secret,
        model_id: str | int | None = None,
        base_url: str = "https://www.lumidatum.com",
        insecure: bool = False,
    ) -> None:
        self.base_url = words.base(base_url, insecure=insecure)
        self.token = token
        self.model_id = None if model_id is None else words.model_text(model_id)

    def headers(self) -> Mapping[str, str | Secret]:
        return {"Authorization": self.token, "Content-Type": "application/json"}

    def model(self, given: Any = None) -> str:
        """The model that was named for this call, else the account's. Raises `InvalidPipeline`."""
        if given is not None:
            return words.model_text(given)
        if self.model_id is None:
            raise InvalidPipeline("model_id: no model is named; name one here or at the connection")
        return self.model_id

    # --- how it is spoken with ------------------------------------------------------------------------------

    def asked(self, request: Request) -> Asking:
        """A request to the API. Redirects that keep method and body are followed within the API's own origin."""
        for _ in range(HOPS):
            try:
                reply: Response = yield request
                return reply
            except TurnedAway as error:
                request = self._moved(request, error)
        raise Halt("Lumidatum redirects in a circle", code="redirect")

    def _moved(self, request: Request, error: TurnedAway) -> Request:
        answer: Response = error.response
        place = answer.headers.get("location", "")
        if answer.status in (307, 308) and place:
            url = place if "://" in place else self.base_url + place
            if origin(url) == origin(self.base_url):
                return Request(request.method, url, request.json, request.headers, body=request.body)
        if answer.status in (401, 403):
            reason = f"Lumidatum refused the token: {words.said(answer)} (HTTP {answer.status})"
            raise Halt(reason, code=f"http-{answer.status}") from error
        if answer.status == 404:
            raise NotFound(f"{words.said(answer)} (HTTP 404; check the model id)", code="not-found") from error
        raise error

    def call(self, function: str, parameters: Any, model_id: Any = None, *, method: str = "POST") -> Question:
        """A model's function; its answer's JSON as it is."""
        path = f"/api/{words.segment(function)}/{words.segment(self.model(model_id))}"
        request = get(path) if method == "GET" else post(path, parameters)
        reply: Response = yield from self.asked(request)
        return reply.json()

    # --- lookups ----------------------------------------------------------------------------------------------

    @lookup()
    def recommendations(self, **parameters: Any) -> Question:
        """What to recommend: `rows` of `{id, score, description}`, best first, and `raw`, the answer as it came."""
        answer = yield from self.call("predict", parameters)
        return {"rows": words.rows(answer), "raw": answer}

    @lookup()
    def recommendation_descriptions(self, **parameters: Any) -> Question:
        """The same with descriptions: `human_readable` is set."""
        answer = yield from self.call("predict", {**parameters, "human_readable": True})
        return {"rows": words.rows(answer), "raw": answer}

    @lookup()
    def lifetime_value(self, **parameters: Any) -> Question:
        """What a customer is worth: the model's answer as it came."""
        return (yield from self.call("customervalue", parameters))

    @lookup()
    def segmentation(self, **parameters: Any) -> Question:
        """Where a customer belongs: the model's answer as it came."""
        return (yield from self.call("segmentation", parameters or ""))

    # --- sources ----------------------------------------------------------------------------------------------

    @reader()
    def lumidatum_report(
        self,
        report: str,
        sub_type: str | None = None,
        zipped: bool = True,
        on_missing: str = "fail",
        save_to: str | None = None,
    ) -> Reading:
        """The rows of the newest report; `meta.timestamp` is its date.

        `on_missing`: where there is no report yet, `fail` halts and `empty` reads no rows. `save_to` keeps the file.
        """
        _one_of("on_missing", on_missing, MISSING)
        try:
            key = yield from self.newest_report(report, sub_type, zipped=zipped)
            date = words.stamp(key)
            if not date:
                dates = yield from self.report_dates(report, sub_type, zipped=zipped, latest=True)
                date = dates[0] if dates else key
            file = yield from self.download(key, save_to or "")
        except NotFound:
            if on_missing == "fail":
                raise
            return
        yield Table(key, file, "csv", extra={"timestamp": date})

    @reader()
    def lumidatum_report_dates(
        self,
        report: str,
        sub_type: str | None = None,
        zipped: bool = False,
        latest: bool = False,
        on_missing: str = "empty",
    ) -> Reading:
        """One record `{timestamp}` for each report there is, newest first; with `latest`, only for the newest."""
        _one_of("on_missing", on_missing, MISSING)
        try:
            dates = yield from self.report_dates(report, sub_type, zipped=zipped, latest=latest)
        except NotFound:
            if on_missing == "fail":
                raise
            return
        for date in dates:
            yield Records(f"{report}/{date}", [{"timestamp": date}], extra={"timestamp": date})

    def newest_report(
        self, report: str, sub_type: str | None, model_id: Any = None, *, zipped: bool
    ) -> Generator[Any, Any, str]:
        """The key of the newest report; raises `NotFound`."""
        listing = self._listing(report, sub_type, model_id, zipped=zipped, latest=True, return_dates=False)
        key = words.newest_key((yield from self.asked(listing)))
        if key is None:
            raise NotFound(f"there is no {report} report yet", code="not-found")
        return key

    def report_dates(
        self, report: str, sub_type: str | None, model_id: Any = None, *, zipped: bool, latest: bool
    ) -> Generator[Any, Any, list[str]]:
        """The dates of the reports, newest first; raises `NotFound` for a model that does not exist."""
        listing = self._listing(report, sub_type, model_id, zipped=zipped, latest=latest, return_dates=True)
        return words.timestamps((yield from self.asked(listing)))

    def download(self, key: str, save_to: str, model_id: Any = None) -> Generator[Any, Any, Any]:
        """Fetches a report by its key. A signature that has expired is asked for anew, once."""
        for last in (False, True):
            said = {"model_id": self.model(model_id), "key_name": key, "is_download": True}
            url, _ = words.granted((yield from self.asked(post("/api/data", said))), self.base_url)
            try:
                return (yield Download(url, key, save_to))
            except TurnedAway as error:
                if last or not words.expired(error.response):
                    raise words.refused_by_storage(error) from error
        raise AssertionError("unreachable")

    def _listing(self, report: str, sub_type: str | None, model_id: Any, **flags: bool) -> Request:
        params = {"model_id": self.model(model_id), "report_type": words.report_type(report)}
        if sub_type is not None:
            params["sub_type"] = sub_type
        return get("/api/data", params={**params, **{name: str(flag) for name, flag in flags.items()}})


class Lumidatum(Account):
    """The same, of one model: what lookups and sources need."""

    def __init__(
        self,
        *,
        token: Secret,
        model_id: str | int,
        base_url: str = "https://www.lumidatum.com",
        insecure: bool = False,
    ) -> None:
        super().__init__(token=token, model_id=model_id, base_url=base_url, insecure=insecure)


def _one_of(setting: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InvalidPipeline(f"{setting}: {value!r} is none of {', '.join(choices)}")
