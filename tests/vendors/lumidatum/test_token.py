"""The token goes to Lumidatum's own origin, and to nothing else in the world."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.model import Response, WireRequest
from engine.python.lumidatum import LumidatumClient, LumidatumError
from engine.runtime.clock import SystemClock
from engine.sandbox.server import serve
from engine.sandbox.world import World
from tests.vendors.lumidatum.recorder import Recorder, over_http
from tests.vendors.lumidatum.runs import TOKEN, Shop, authorization, jsonl

SECRET = TOKEN.removeprefix("Token ")
EVERYTHING = """
sources:
  rows: {type: file, path: rows.jsonl}
  report: {type: lumidatum_report, connection: lumi, report: ltv, save_to: kept.zip}
lookups:
  recs: {type: lumidatum.recommendations, connection: lumi, with: {customer_id: "{{ record.id }}"}}
sinks:
  file: {type: lumidatum, connection: lumi, via: file}
  inline: {type: lumidatum, connection: lumi, via: inline}
  out: {type: file, path: out.jsonl}
mappings:
  a: {from: rows, to: file.users, fields: {id: "{{ record.id }}", bad: "{{ record.bad }}"}}
  b: {from: rows, to: inline.items, model_id: "{{ record.m | default(9) }}", fields: {id: "{{ record.id }}"}}
  c: {from: report, to: out, fields: {id: "{{ record.customer_id }}"}}
  d: {from: rows, to: out, fields: {id: "{{ recs.rows }}"}}
"""


def world_of(folder: Path, *faults: object) -> Shop:
    shop = Shop(folder, EVERYTHING, list(faults), demo=True)
    shop.write("rows.jsonl", jsonl(20))
    return shop


def test_it_is_sent_to_the_api_and_never_to_storage(tmp_path: Path) -> None:
    shop = world_of(tmp_path)
    assert shop.run().exit == 1  # records without `bad`, and of a model that does not exist
    hosts = {(request.url.split("/")[2], authorization(request)) for request in shop.sent}
    assert hosts == {("www.lumidatum.com", TOKEN), ("storage.lumidatum.test", None)}


def test_nothing_that_is_written_holds_it(tmp_path: Path) -> None:
    shop = world_of(tmp_path)
    outcome = shop.run()
    assert shop.letters
    assert SECRET not in str(outcome.report)
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path


def test_an_answer_that_repeats_it_is_masked(tmp_path: Path) -> None:
    def echoing(request: WireRequest) -> Response:
        if b'"id":7}' in (request.body if isinstance(request.body, bytes) else b""):
            return Response(400, {}, f'{{"error": "bad, {TOKEN}"}}'.encode())
        return shop.world.handle(request)

    shop = world_of(tmp_path)
    shop.run(echoing)
    letters = (tmp_path / ".engine" / "dead" / "shop.jsonl").read_text()
    assert "bad, " in letters and SECRET not in letters


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_takes_it_elsewhere(status: int, tmp_path: Path) -> None:
    shop = world_of(
        tmp_path, {"vendor": "lumidatum", "status": status, "headers": {"location": "https://evil.test/api"}}
    )
    assert shop.run().exit == 3
    assert {request.url.split("/")[2] for request in shop.sent} == {"www.lumidatum.com"}


@pytest.mark.parametrize("url", ["http://storage.example/app", "ftp://x/y", "file:///etc/passwd", "//x/y"])
def test_an_upload_goes_to_no_unsafe_address(url: str, tmp_path: Path) -> None:
    def crooked(request: WireRequest) -> Response:
        if request.url.endswith("/api/data") and request.method == "POST":
            return Response(201, {}, f'{{"url": "{url}", "fields": {{"key": "k"}}}}'.encode())
        return shop.world.handle(request)

    shop = world_of(tmp_path)
    assert shop.run(crooked).exit == 3
    assert {request.url.split("/")[2] for request in shop.sent} == {"www.lumidatum.com"}


def test_a_signed_address_at_the_apis_own_origin_gets_none_either(tmp_path: Path) -> None:
    def near(request: WireRequest) -> Response:
        if request.url == "https://www.lumidatum.com/api/data":
            return Response(201, {}, b'{"url": "https://www.lumidatum.com/_storage/x", "fields": {"key": "k"}}')
        if "/_storage/" in request.url:
            return Response(204)
        return shop.world.handle(request)

    shop = Shop(tmp_path, EVERYTHING.split("  b:")[0].replace("report: {type", "unused: {type"))
    shop.write("rows.jsonl", jsonl(2, bad=1))
    assert shop.run(near).exit == 0
    assert [authorization(one) for one in shop.sent] == [TOKEN, None]


def test_plain_http_is_for_loopback() -> None:
    with pytest.raises(Exception, match="in the clear"):
        LumidatumClient(TOKEN, 1, "http://lumidatum.example")
    LumidatumClient(TOKEN, 1, "http://lumidatum.example", insecure=True)
    LumidatumClient(TOKEN, 1, "http://127.0.0.1:1")


def test_netrc_and_proxies_of_the_environment_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password wrong\n")
    netrc.chmod(0o600)
    trap = Recorder([])
    with trap.on_loopback():
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, trap.roots["api"])
            monkeypatch.setenv(name.upper(), trap.roots["api"])
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.delenv("NO_PROXY", raising=False)
        with serve(World(SystemClock(), settings={"lumidatum": {"tokens": [TOKEN]}})) as server:
            transport, clock = over_http()
            client = LumidatumClient(TOKEN, 123, server.urls["lumidatum"], transport=transport, clock=clock)
            assert client.get_recommendations({"customer_id": 1}).rows
            (tmp_path / "data.json").write_text('{"id": 1}\n')
            assert client.send_user_data(file_path=tmp_path / "data.json").records == 1
            assert client.get_latest_ltv_report(tmp_path / "x.zip").stat().st_size > 100
            transport.close()
    assert trap.requests == []


def test_errors_do_not_tell_it(tmp_path: Path) -> None:
    transport, clock = over_http()
    client = LumidatumClient(TOKEN, 123, "http://127.0.0.1:9", transport=transport, clock=clock)
    with pytest.raises(LumidatumError) as error:
        client.get_recommendations({})
    transport.close()
    assert SECRET not in str(error.value) + repr(error.value) + repr(vars(error.value))
    assert os.environ.get("LUMIDATUM_TOKEN") is None
