"""Lumidatum from Python, one call a line.

from engine.python.lumidatum import LumidatumClient

client = LumidatumClient("Token 0123…", 123)
recommended = client.get_recommendations({"customer_id": 952, "num_of_recs": 3}).rows
client.send_user_data('{"id": 1, "name": "Ada"}')
client.get_latest_ltv_report("ltv.csv.zip")

What follows the first argument is given by keyword. The names of the older client (`getRecommendations`,
`sendUserData` …) are names of the same methods. What cannot be done raises: `NotFound`, `NotAllowed`, `Refused` and
`Unavailable` are `LumidatumError`s with `status` and `body`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from engine.config.pipeline import Retry
from engine.errors import EngineError
from engine.model import Payloads, Response, Secret
from engine.python.flagship import Forgetful
from engine.python.lumidatum_data import batches, encoded, given, spooled
from engine.runtime.clock import Clock, SystemClock
from engine.runtime.patient import GivenUp, Patient
from engine.runtime.readers import Fetching
from engine.runtime.transport import Threads, Transport
from engine.vendors.lumidatum_sink import LumidatumSink
from engine.vendors.lumidatum_words import rows

RETRY = Retry(max_attempts=5, give_up_after=120.0)
HOST = "https://www.lumidatum.com"


class LumidatumError(EngineError):
    """A call that did not succeed. `status` is 0 where there was no answer; `body` is the answer's text."""

    def __init__(self, code: str, reason: str, response: Response | None) -> None:
        super().__init__(reason)
        self.code, self.reason, self.response = code, reason, response
        self.status, self.body = (response.status, response.text) if response else (0, "")


class NotFound(LumidatumError):
    """No such model, or no report yet."""


class NotAllowed(LumidatumError):
    """The token is refused."""


class Refused(LumidatumError):
    """The service will not have what was sent, or answers what cannot be used."""


class Unavailable(LumidatumError):
    """No usable answer, however often it was asked."""


class Recommendations(NamedTuple):
    """`rows` are `{id, score, description}`, best first; `raw` is the answer's JSON as it came."""

    rows: list[dict[str, Any]]
    raw: Any


class Sent(NamedTuple):
    """What was sent, in how many requests; `status` is that of the last answer, None where nothing was sent."""

    records: int
    requests: int
    status: int | None


class LumidatumClient:
    """An account. `model_id` is the model of every call that names none; the token is sent as it is.

    `retry` and `timeout` (seconds for an exchange) set its patience; `transport` and `clock` are for tests.
    """

    def __init__(
        self,
        auth_token: str,
        model_id: str | int | None = None,
        host_address: str = HOST,
        *,
        insecure: bool = False,
        retry: Retry = RETRY,
        timeout: float = 60.0,
        transport: Transport | None = None,
        clock: Clock | None = None,
    ) -> None:
        account: dict[str, Any] = {"model_id": model_id, "base_url": host_address, "insecure": insecure}
        self._sink = LumidatumSink(token=Secret(auth_token), **account)
        self._array = LumidatumSink(token=Secret(auth_token), format="array", **account)
        clock = clock or SystemClock()
        self._patient = Patient(
            self._sink, transport or Threads(1, clock), clock, retry=retry, timeout=timeout, memory=Forgetful()
        )

    # --- models -----------------------------------------------------------------------------------------------

    def get_recommendations(
        self, parameters: Any, *, model_id: Any = None, deserialize_response: bool = True
    ) -> Recommendations | Response:
        """What to recommend; the plain answer where `deserialize_response` is false."""
        answer = self.api(parameters, api_function="predict", model_id=model_id)
        return Recommendations(rows(answer), answer) if deserialize_response else self._last()

    get_item_recommendations = get_user_recommendations = get_recommendations

    def get_recommendation_descriptions(
        self, parameters: Any, *, model_id: Any = None, deserialize_response: bool = True
    ) -> Recommendations | Response:
        """The same with descriptions."""
        asked = {**parameters, "human_readable": True}
        return self.get_recommendations(asked, model_id=model_id, deserialize_response=deserialize_response)

    def get_lifetime_value(self, parameters: Any, *, model_id: Any = None) -> Any:
        """What customers are worth: the answer's JSON."""
        return self.api(parameters, api_function="customervalue", model_id=model_id)

    def get_segmentation(self, parameters: Any = "", *, model_id: Any = None) -> Any:
        """Where customers belong: the answer's JSON."""
        return self.api(parameters, api_function="segmentation", model_id=model_id)

    def api(
        self, parameters: Any = "", *, http_method: str = "POST", api_function: str = "", model_id: Any = None
    ) -> Any:
        """Any function of a model: the answer's JSON. A GET sends no parameters."""
        if http_method not in ("GET", "POST"):
            raise ValueError(f"http_method: {http_method!r} is neither GET nor POST")
        if not api_function:
            raise ValueError("api_function: name a function of the model, such as predict")
        encoded(parameters)
        return self._hold(lambda: self._sink.call(api_function, parameters, model_id, method=http_method))

    # --- data -------------------------------------------------------------------------------------------------

    def send_user_data(self, data_string: Any = None, *, file_path: Any = None, model_id: Any = None) -> Sent:
        """Creates or updates users. Data is text in either format, bytes, records, or an iterator of these."""
        return self._send("users", data_string, file_path, model_id)

    def send_item_data(self, data_string: Any = None, *, file_path: Any = None, model_id: Any = None) -> Sent:
        """Creates or updates items."""
        return self._send("items", data_string, file_path, model_id)

    def send_transaction_data(self, data_string: Any = None, *, file_path: Any = None, model_id: Any = None) -> Sent:
        """Creates or updates transactions."""
        return self._send("transactions", data_string, file_path, model_id)

    def send_feedback_data(self, data_string: Any = None, *, file_path: Any = None, model_id: Any = None) -> Sent:
        """Records feedback."""
        return self._send("feedback", data_string, file_path, model_id)

    def _send(self, kind: str, data: Any, file_path: Any, model_id: Any) -> Sent:
        model = self._sink.model(model_id)
        if data is None and file_path is None:
            raise ValueError("give data_string or file_path")
        if data is None:
            return self._upload(kind, Path(file_path), model)
        records, array = given(data)
        sink = self._array if array else self._sink
        sent = requests = 0
        for batch in batches(records):
            self._hold(partial(sink.batch, kind, Payloads(batch), model))
            sent, requests = sent + len(batch), requests + 1
        if array and not requests:
            self._hold(lambda: sink.batch(kind, Payloads([]), model))
            requests = 1
        return Sent(sent, requests, self._last().status if requests else None)

    def _upload(self, kind: str, path: Path, model: str) -> Sent:
        file = spooled(path)
        if not file.payloads:
            return Sent(0, 0, None)
        self._hold(lambda: self._sink.upload(kind, file, model_id=model))
        return Sent(file.payloads, 2, self._last().status)

    # --- reports ----------------------------------------------------------------------------------------------

    def get_ltv_report_dates(
        self, *, zipped: bool = False, latest: bool = False, sub_type: str | None = None, model_id: Any = None
    ) -> list[str]:
        """When lifetime value reports were made, newest first."""
        return self._dates("ltv", sub_type, model_id, zipped=zipped, latest=latest)

    def get_segmentation_report_dates(
        self, *, zipped: bool = False, latest: bool = False, sub_type: str | None = None, model_id: Any = None
    ) -> list[str]:
        """When segmentation reports were made, newest first."""
        return self._dates("segmentation", sub_type, model_id, zipped=zipped, latest=latest)

    def get_latest_ltv_report(
        self, download_file_path: Any, *, sub_type: str | None = None, zipped: bool = True, model_id: Any = None,
        stream_download: bool = True,
    ) -> Path:  # fmt: skip
        """Brings the newest lifetime value report. It is always streamed, and replaces another file at once."""
        return self._report("ltv", download_file_path, sub_type, model_id, zipped=zipped)

    def get_latest_segmentation_report(
        self, download_file_path: Any, *, sub_type: str | None = None, zipped: bool = True, model_id: Any = None,
        stream_download: bool = True,
    ) -> Path:  # fmt: skip
        """Brings the newest segmentation report. It is always streamed, and replaces another file at once."""
        return self._report("segmentation", download_file_path, sub_type, model_id, zipped=zipped)

    def _dates(self, report: str, sub_type: str | None, model_id: Any, **flags: bool) -> list[str]:
        dates: list[str] = self._hold(lambda: self._sink.report_dates(report, sub_type, model_id, **flags))
        return dates

    def _report(self, report: str, path: Any, sub_type: str | None, model_id: Any, *, zipped: bool) -> Path:
        target = Path(path).absolute()

        def steps() -> Generator[Any, Any, Any]:
            key = yield from self._sink.newest_report(report, sub_type, model_id, zipped=zipped)
            return (yield from self._sink.download(key, str(target), model_id))

        with tempfile.TemporaryDirectory() as folder:
            self._hold(Fetching(steps, Path(folder), target.parent).conversation)
        return target

    # --- how --------------------------------------------------------------------------------------------------

    def _hold(self, steps: Callable[[], Generator[Any, Any, Any]]) -> Any:
        try:
            return self._patient.hold(steps)
        except GivenUp as error:
            raise _kind(error)(error.code, error.reason, error.response) from error

    def _last(self) -> Response:
        assert self._patient.last is not None, "a conversation that ended well had an answer"
        return self._patient.last

    getRecommendations = get_recommendations
    getItemRecommendations = getUserRecommendations = get_recommendations
    getRecommendationDescriptions = get_recommendation_descriptions
    getLifetimeValue = get_lifetime_value
    getSegmentation = get_segmentation
    sendUserData = send_user_data
    sendItemData = send_item_data
    sendTransactionData = send_transaction_data
    sendFeedbackData = send_feedback_data
    getLTVReportDates = get_ltv_report_dates
    getSegmentationReportDates = get_segmentation_report_dates
    getLatestLTVReport = get_latest_ltv_report
    getLatestSegmentationReport = get_latest_segmentation_report


def _kind(error: GivenUp) -> type[LumidatumError]:
    if error.code == "not-found":
        return NotFound
    if error.code in ("http-401", "http-403"):
        return NotAllowed
    return Unavailable if error.code == "unreachable" else Refused
