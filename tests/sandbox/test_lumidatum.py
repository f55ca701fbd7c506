"""The pretend Lumidatum and its storage: checks, models, data, reports, signatures, as the service's contract has them."""

from __future__ import annotations

import io
import json
import zipfile
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from engine.model import form
from engine.plugin import Response, Secret, WireRequest
from engine.runtime.clock import FakeClock
from engine.sandbox.lumidatum import PretendLumidatum
from engine.sandbox.multipart import BadForm, FormReader
from engine.sandbox.server import BODY_CAP, serve
from engine.sandbox.world import World

TOKEN = "Token 0123456789abcdef"
HOST = "https://www.lumidatum.com"


class Caller:
    """Speaks to one pretend Lumidatum that knows the models 1 and 2."""

    def __init__(self, **settings: Any) -> None:
        self.clock = FakeClock()
        settings = {"tokens": [TOKEN], "models": [1, "2"], "demo": False, **settings}
        self.vendor = PretendLumidatum(self.clock, **settings)

    def ask(self, method: str, path: str, said: Any = None, *, token: Any = TOKEN, **headers: str) -> Response:
        body = said if isinstance(said, bytes) else b"" if said is None else json.dumps(said).encode()
        return self.vendor.handle(WireRequest(method, HOST + path, {"Authorization": token, **headers}, body))

    def send(self, kind: str, body: bytes, model: str = "1") -> Response:
        return self.ask("POST", f"/api/data?model_id={model}&data_type={kind}", body)

    def presign(self, **said: Any) -> Response:
        asked = {"model_id": "1", "data_type": "users", "file_name": "u.json", "file_size": 9, **said}
        return self.ask("POST", "/api/data", asked)

    def upload(self, grant: Any, content: bytes, tmp_path: Any, **more: Any) -> Response:
        path = tmp_path / "upload"
        path.write_bytes(content)
        body, kind = form({**grant["fields"], **more}, str(path), len(content))
        return self.vendor.storage.handle(WireRequest("POST", grant["url"], {"Content-Type": kind}, body))

    def table(self, kind: str, model: str = "1") -> Any:
        return self.vendor.state()["models"][model][kind]


@pytest.fixture
def lumi() -> Caller:
    return Caller()


# --- who may, and what there is --------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", TOKEN.lower(), TOKEN + " ", "Bearer x", TOKEN.removeprefix("Token ")])
def test_the_token_is_compared_byte_for_byte(lumi: Caller, token: str) -> None:
    answer = lumi.ask("POST", "/api/predict/1", {}, token=token)
    assert (answer.status, answer.json()) == (401, {"detail": "Invalid token."})
    assert answer.headers["www-authenticate"] == "Token"
    assert lumi.ask("POST", "/api/predict/1", {}, token=Secret(TOKEN)).status == 200


def test_any_token_but_invalid_and_any_model_but_missing_in_the_sandbox() -> None:
    lumi = Caller(tokens=None, models=None)
    assert lumi.ask("POST", "/api/predict/77", {}, token="x").status == 200
    assert lumi.ask("POST", "/api/predict/77", {}, token="invalid").status == 401
    assert lumi.ask("POST", "/api/predict/missing", {}, token="x").status == 404


@pytest.mark.parametrize("path", ["/api/predict/3", "/api/predict/1%2F..%2F2", "/api/unknown/1", "/api", "/"])
def test_what_does_not_exist(lumi: Caller, path: str) -> None:
    answer = lumi.ask("POST", path, {})
    assert (answer.status, answer.json()) == (404, {"error": "Requested item does not exist."})


# --- data --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [b'{"id": 1}\n{"id": 2}', b'{"id": 1}\r\n{"id": 2}\r\n', b' [\n{"id": 1}, {"id": 2}]\n']
)
def test_both_formats_are_told_by_the_first_character(lumi: Caller, body: bytes) -> None:
    assert lumi.send("users", body).status == 201
    assert lumi.table("users") == [{"id": 1}, {"id": 2}]


def test_records_are_updated_by_their_ids(lumi: Caller) -> None:
    lumi.send("users", b'{"user_id": 5, "a": 1}\n{"user_id": 5, "b": 2}')
    lumi.send("feedback", b'{"user_id": 5}\n{"user_id": 5}')
    assert lumi.table("users") == [{"user_id": 5, "a": 1, "b": 2}]
    assert len(lumi.table("feedback")) == 2


@pytest.mark.parametrize(
    ("body", "place"), [(b'{"id": 1}\n{oops}\n', "line 2"), (b"5", "line 1"), (b'[{"id": 1}, 2]', "element 2")]
)
def test_one_bad_line_refuses_them_all_by_name(lumi: Caller, body: bytes, place: str) -> None:
    answer = lumi.send("users", body)
    assert answer.status == 400
    assert place in answer["error"]
    assert lumi.table("users") == []


def test_a_kind_that_does_not_exist(lumi: Caller) -> None:
    assert lumi.send("people", b"{}").status == 400
    assert lumi.presign(data_type="people").status == 400


# --- uploads -----------------------------------------------------------------------------------------------------------


def test_an_upload_is_taken_in_and_its_outcome_told(lumi: Caller, tmp_path: Any) -> None:
    answer = lumi.presign()
    assert answer.status == 201
    assert lumi.upload(answer.json(), b'{"id": 7}', tmp_path).status == 204
    assert lumi.table("users") == [{"id": 7}]
    assert lumi.vendor.files == [{"file": "u.json", "kind": "users", "records": 1, "error": None}]
    bad = lumi.presign(file_size=17).json()
    assert lumi.upload(bad, b'{"id": 8}\n[1, 22]', tmp_path).status == 204
    assert lumi.vendor.files[-1] == {"file": "u.json", "kind": "users", "records": 1, "error": "line 2 is no object"}


@pytest.mark.parametrize(
    "said", [{"file_name": 5}, {"file_name": ""}, {"file_size": "9"}, {"file_size": -1}, {"file_size": True}]
)
def test_a_presign_is_checked(lumi: Caller, said: dict[str, Any]) -> None:
    assert lumi.presign(**said).status == 400


@pytest.mark.parametrize("model", [1, "1", 2])
def test_a_model_may_be_a_number_or_a_text(lumi: Caller, model: Any) -> None:
    assert lumi.presign(model_id=model).status == 201


def code(answer: Response) -> tuple[int, str]:
    return answer.status, answer.text.partition("<Code>")[2].partition("</Code>")[0]


def test_a_policy_is_for_one_file_of_that_size_with_those_fields(lumi: Caller, tmp_path: Any) -> None:
    grant = lumi.presign().json()
    assert code(lumi.upload(grant, b'{"id": 77}', tmp_path)) == (400, "EntityTooLarge")
    assert code(lumi.upload(grant, b"{}", tmp_path)) == (400, "EntityTooSmall")
    assert code(lumi.upload(grant, b'{"id": 7}', tmp_path, acl="public")) == (403, "AccessDenied")
    assert code(lumi.upload(grant, b'{"id": 7}', tmp_path, extra="x")) == (403, "AccessDenied")
    assert lumi.upload(grant, b'{"id": 7}', tmp_path).status == 204
    assert code(lumi.upload(grant, b'{"id": 7}', tmp_path)) == (403, "AccessDenied")


def test_a_policy_expires(lumi: Caller, tmp_path: Any) -> None:
    grant = lumi.presign().json()
    lumi.clock.sleep(3601)
    answer = lumi.upload(grant, b'{"id": 7}', tmp_path)
    assert code(answer) == (403, "AccessDenied") and "expired" in answer.text


def test_storage_takes_no_token(lumi: Caller) -> None:
    answer = lumi.vendor.storage.handle(WireRequest("GET", "https://x/y", {"authorization": TOKEN}, b""))
    assert code(answer) == (400, "InvalidArgument")


def test_a_plain_put_where_it_was_asked_for(lumi: Caller) -> None:
    grant = lumi.presign(presigned_url_http_method="PUT").json()
    assert "fields" not in grant
    assert lumi.vendor.storage.handle(WireRequest("PUT", grant["url"], {}, b'{"id": 7}')).status == 200
    assert lumi.table("users") == [{"id": 7}]


def test_the_older_presign(lumi: Caller) -> None:
    answer = lumi.ask("POST", "/api/data?model_id=1&data_type=items&file_name=i.json&file_size=9")
    assert answer.status == 201 and answer["fields"]["key"] == "uploads/1/i.json"


# --- forms -------------------------------------------------------------------------------------------------------------


def a_form(*parts: tuple[str, bytes], mark: bytes = b"xyz") -> bytes:
    found = b"".join(
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n' % (mark, name.encode(), content)
        for name, content in parts
    )
    return found + b"--%b--\r\n" % mark


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_a_form_is_read_however_it_comes_in(step: int) -> None:
    body = a_form(("key", b"k"), ("file", b"one\r\n--xy\r\ntwo\r\n"))
    out = io.BytesIO()
    read = FormReader(
        "multipart/form-data; boundary=xyz", (body[n : n + step] for n in range(0, len(body), step)), out
    )
    assert (read.fields, out.getvalue(), read.size) == ({"key": "k"}, b"one\r\n--xy\r\ntwo\r\n", 16)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data; boundary=xyz", a_form(("key", b"k"))),
        ("multipart/form-data; boundary=xyz", a_form(("file", b"f"), ("key", b"k"))),
        ("multipart/form-data; boundary=xyz", a_form(("file", b"f"))[:-12]),
        ("multipart/form-data; boundary=xyz", b"x" + a_form(("file", b"f"))),
        ("multipart/form-data; boundary=xyz", b""),
        ("multipart/form-data; boundary=xyz", a_form(("key", b"k" * 70_000), ("file", b"f"))),
    ],
)
def test_what_is_no_form(kind: str, body: bytes) -> None:
    with pytest.raises(BadForm):
        FormReader(kind, [body], io.BytesIO())


# --- reports -----------------------------------------------------------------------------------------------------------


def listing(lumi: Caller, **query: Any) -> Response:
    asked = {"model_id": 1, "report_type": "LTV", "zipped": False, "latest": False, "return_dates": False, **query}
    return lumi.ask("GET", "/api/data?" + "&".join(f"{name}={value}" for name, value in asked.items()))


def sell(lumi: Caller) -> None:
    lumi.send("transactions", b'{"id": 1, "user_id": "a", "total": 250}\n{"id": 2, "user_id": "b", "total": 3}')


@pytest.mark.parametrize(("yes", "no"), [("True", "False"), ("true", "false")])
def test_what_a_listing_answers(lumi: Caller, yes: str, no: str) -> None:
    sell(lumi)
    flags = lambda latest, dates: {"latest": latest, "return_dates": dates, "zipped": no}  # noqa: E731
    assert len(listing(lumi, **flags(no, yes))["report_timestamps"]) == 3
    assert listing(lumi, **flags(yes, yes))["latest_report_timestamp"] == "2017-07-21T19:48:16Z"
    assert listing(lumi, **flags(yes, no))["latest_key_name"] == "reports/1/LTV/2017-07-21T194816Z.csv"
    assert len(listing(lumi, **flags(no, no))["available_key_names"]) == 3
    assert len(listing(lumi, zipped=yes)["available_key_names"]) == 2


@pytest.mark.parametrize("sub_type", ["", "None"])
def test_no_sub_type_may_be_said_in_two_ways(lumi: Caller, sub_type: str) -> None:
    sell(lumi)
    assert listing(lumi, sub_type=sub_type).status == 200
    assert listing(lumi, sub_type="high_value")["available_key_names"][0].startswith("reports/1/LTV/high_value/")
    assert listing(lumi, sub_type="other").status == 404


def test_nothing_was_loaded_so_there_is_no_report(lumi: Caller) -> None:
    assert listing(lumi).status == 404
    assert listing(lumi, model_id=3).status == 404


def fetch(lumi: Caller, key: str, **headers: str) -> Response:
    grant = lumi.ask("POST", "/api/data", {"model_id": "1", "key_name": key, "is_download": True})
    if grant.status >= 300:
        return grant
    return lumi.vendor.storage.handle(WireRequest("GET", grant["url"], headers, b""))


def test_a_report_is_made_from_what_was_loaded(lumi: Caller) -> None:
    sell(lumi)
    plain = fetch(lumi, "reports/1/LTV/2017-07-21T194816Z.csv")
    assert plain.body == b"customer_id,ltv\na,250.00\nb,3.00\n"
    packed = fetch(lumi, "reports/1/LTV/2017-07-21T194816Z.csv.zip")
    assert zipfile.ZipFile(io.BytesIO(packed.body)).read("ltv.csv") == plain.body
    assert (
        fetch(lumi, "reports/1/SEG/high_value/2017-07-21T194816Z.csv").body == b"customer_id,segment\na,high_value\n"
    )


@pytest.mark.parametrize(
    "key", [None, "", "reports/1/LTV/2016-01-01T000000Z.csv", "reports/2/LTV/2017-07-21T194816Z.csv", 5]
)
def test_no_link_to_a_key_that_does_not_exist(lumi: Caller, key: Any) -> None:
    sell(lumi)
    assert fetch(lumi, key).status == 404


def test_ranges_are_honoured(lumi: Caller) -> None:
    sell(lumi)
    key = "reports/1/LTV/2017-07-21T194816Z.csv"
    whole = fetch(lumi, key)
    part = fetch(lumi, key, Range="bytes=5-", **{"If-Range": whole.headers["etag"]})
    assert (part.status, part.body) == (206, whole.body[5:])
    assert part.headers["content-range"] == f"bytes 5-{len(whole.body) - 1}/{len(whole.body)}"
    assert fetch(lumi, key, Range="bytes=5-", **{"If-Range": '"other"'}).status == 200
    assert fetch(lumi, key, Range="bytes=9999-").status == 416


def test_a_link_expires_and_cannot_be_bent(lumi: Caller) -> None:
    sell(lumi)
    said = {"model_id": "1", "key_name": "reports/1/LTV/2017-07-21T194816Z.csv", "is_download": True}
    url = lumi.ask("POST", "/api/data", said)["url"]
    bent = lumi.vendor.storage.handle(WireRequest("GET", url.replace("LTV", "SEG"), {}, b""))
    assert code(bent) == (403, "SignatureDoesNotMatch")
    lumi.clock.sleep(3601)
    assert code(lumi.vendor.storage.handle(WireRequest("GET", url, {}, b""))) == (403, "AccessDenied")


def test_packed_downloads_may_say_so() -> None:
    import gzip

    lumi = Caller(storage={"content_encoding": "gzip"})
    lumi.vendor.put_report(1, "reports/1/LTV/2017-07-21T194816Z.csv", gzip.compress(b"a\n"))
    assert fetch(lumi, "reports/1/LTV/2017-07-21T194816Z.csv").headers["content-encoding"] == "gzip"


# --- models ------------------------------------------------------------------------------------------------------------


def test_models_answer_the_same_again(lumi: Caller) -> None:
    lumi.send("items", b"\n".join(b'{"id": %d, "title": "T%d"}' % (n, n) for n in range(20)))
    asked = {"customer_id": "anyone", "num_of_recs": 5, "exc_prod_ids": [3]}
    first = lumi.ask("POST", "/api/predict/1", asked).json()
    assert first == lumi.ask("POST", "/api/predict/1", asked).json()
    assert len(first["recommendations"]) == 5
    assert first != lumi.ask("POST", "/api/predict/1", {**asked, "customer_id": "other"}).json()
    assert lumi.ask("POST", "/api/predict/1", b"{bad").status == 400
    assert lumi.ask("DELETE", "/api/predict/1").status == 405
    assert lumi.ask("GET", "/api/segmentation/1").status == 200


# --- on ports ----------------------------------------------------------------------------------------------------------


def test_storage_is_another_origin_and_takes_more_than_the_api(tmp_path: Any) -> None:
    settings = {"lumidatum": {"tokens": [TOKEN], "models": [1], "demo": False}}
    content = b'{"id": 1, "v": "' + b"x" * (BODY_CAP + 10) + b'"}'
    with serve(World(FakeClock(), settings=settings)) as server:
        api, storage = urlsplit(server.urls["lumidatum"]), urlsplit(server.urls["storage"])
        assert (api.hostname, storage.hostname) == ("127.0.0.1", "127.0.0.1") and api.port != storage.port
        said = {"model_id": "1", "data_type": "users", "file_name": "u.json", "file_size": len(content)}
        with closing(HTTPConnection("127.0.0.1", api.port, timeout=10)) as connection:
            headers = {"Authorization": TOKEN, "Content-Type": "application/json; charset=UTF-8"}
            connection.request("POST", "/lumidatum/api/data", json.dumps(said), headers)
            grant = json.loads(connection.getresponse().read())
        assert grant["url"].startswith(server.urls["storage"])
        (tmp_path / "u.json").write_bytes(content)
        body, kind = form(grant["fields"], str(tmp_path / "u.json"), len(content))
        with closing(HTTPConnection("127.0.0.1", storage.port, timeout=10)) as connection:
            told = {"Content-Type": kind, "Content-Length": str(len(body))}
            connection.request("POST", "/app-data", body.chunks(), told)
            taken = connection.getresponse()
            assert (taken.status, taken.read()) == (204, b"")
            connection.request("GET", "/nothing")
            assert connection.getresponse().status == 403
        assert server.world.vendors["lumidatum"].files[0]["records"] == 1
