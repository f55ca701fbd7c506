"""Pieces of the Flagship parts by themselves: identities, addresses, memory, answers, settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.plugin import InvalidPipeline, RecordError, Response, Secret, Unreadable
from engine.python.flagship import Kept as KeptInState
from engine.python.flagship import start
from engine.vendors import flagship_memory
from engine.vendors.buckets import Decision
from engine.vendors.flagship import Flagship
from engine.vendors.flagship_answers import read_campaigns
from engine.vendors.flagship_decide import Decide
from engine.vendors.flagship_memory import FileCache, memory
from engine.vendors.flagship_payloads import mended, queue_time
from engine.vendors.flagship_wire import Who, device_of, endpoints, who
from tests.vendors.flagship.scripted import Cache, Server, campaign

# --- who ----------------------------------------------------------------------------------------------------------


def test_the_table_of_a_login() -> None:
    """Section 9 of the contract, row by row."""
    device = Who("device")
    logged_in = device.authenticated("ada")
    assert logged_in == Who("ada", "device")
    assert logged_in.authenticated("bob") == Who("bob", "device")
    assert logged_in.unauthenticated() == device
    assert device.unauthenticated() == device
    assert logged_in.in_campaigns == {"visitorId": "ada", "anonymousId": "device"}
    assert logged_in.in_activation == {"vid": "ada", "aid": "device"}
    assert device.in_activation == {"vid": "device"}


@pytest.mark.parametrize(
    ("said", "found"),
    [(("ada",), Who("ada")), (("ada", None), Who("ada")), (("ada", ""), Who("ada")), (("ada", "d"), Who("ada", "d")),
     (("ada", "d", True), Who("ada", "d")), (("ada", "d", False), Who("d")), (("ada", "", False), Who("ada")),
     (("", "d", False), Who("d")), (("ada", None, True), Who("ada", device_of("ada")))],
)  # fmt: skip
def test_who_a_record_is_about(said: Any, found: Who) -> None:
    assert who(*said) == found


@pytest.mark.parametrize("said", [("",), ("", "d"), (5,), (None,), ("ada", 5), ("", "", False)])
def test_ids_that_are_none(said: Any) -> None:
    with pytest.raises(RecordError):
        who(*said)


def test_generated_ids_have_19_digits_and_are_the_visitors_own() -> None:
    ids = {device_of(f"visitor-{number}") for number in range(2000)} | {device_of("\ud800"), device_of("")}
    assert len(ids) == 2002 and all(len(one) == 19 and one.isdigit() for one in ids)


# --- addresses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", ["", "a/b", "a b", "../x", "é?"[1:], "a\n"])
def test_an_environment_that_cannot_be_in_an_address(env_id: str) -> None:
    with pytest.raises(InvalidPipeline):
        endpoints(env_id, None)


def test_addresses_may_end_in_a_slash() -> None:
    places = endpoints("env", None, decision_url="http://a/v2/", bucketing_url="http://b/", collect_url="http://c/x")
    assert places.campaigns(Who("v"), {}).path.startswith("http://a/v2/env/campaigns/?")
    assert places.file({}).path == "http://b/env/bucketing.json"
    assert places.hit({}).path == "http://c/x"


def test_the_key_is_in_the_question_for_campaigns_alone_and_never_shown() -> None:
    places = endpoints("env", Secret("s3cret"))
    requests = [
        places.campaigns(Who("v"), {}), places.context_event(Who("v"), {}), places.activation({}), places.hit({}),
        places.hits([{}]), places.activations([{}]), places.file({}),
    ]  # fmt: skip
    assert ["x-api-key" in request.headers for request in requests] == [True] + [False] * 6
    assert "s3cret" not in repr(requests) + repr(places)


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "why"),
    [({}, "api_key is missing"), ({"mode": "bucketing", "polling_interval": 0.5}, "at least 1s"),
     ({"mode": "bucketing", "rules": "x"}, "rules"), ({"mode": "bucketing", "visitor_cache": "disk"}, "visitor_cache is off"),
     ({"mode": "bucketing", "visitor_cache": {"file": "/no/such/folder/x.jsonl"}}, "does not exist"),
     ({"mode": "bucketing", "visitor_cache": {"plugin": "none"}}, "no plugin 'none'"), ({"mode": "x"}, "mode")],
)  # fmt: skip
def test_a_lookup_with_wrong_settings(settings: Any, why: str) -> None:
    with pytest.raises(InvalidPipeline, match=why):
        Decide(env_id="env", **settings)


@pytest.mark.parametrize("settings", [{"on_violation": "ignore"}, {"mode": "x"}, {"polling_interval": 0.5}])
def test_a_sink_with_wrong_settings(settings: Any) -> None:
    with pytest.raises(InvalidPipeline):
        Flagship(env_id="env", **settings)


def test_only_bucketing_polls_and_zero_reads_once() -> None:
    assert Decide(env_id="e", api_key=Secret("k")).refresh is None
    assert Decide(env_id="e", mode="bucketing").refresh == 60.0
    assert Decide(env_id="e", mode="bucketing", polling_interval=0).refresh is None


# --- memory ---------------------------------------------------------------------------------------------------------


def test_a_cache_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "mine"

        def load(self) -> Any:
            return Cache

    monkeypatch.setattr(
        flagship_memory, "entry_points", lambda group: [Point()] if group == flagship_memory.GROUP else []
    )
    found = memory("env", {"plugin": "mine", "entries": {"v": {"version": 1, "data": {"vId": "v", "vaIds": ["x"]}}}})
    assert found is not None
    with pytest.raises(StopIteration) as stop:
        next(found.lookup("v"))
    assert stop.value.value == ["x"]


def test_a_file_of_visitors_grows_only_where_something_is_new(tmp_path: Path) -> None:
    path = tmp_path / "visitors.jsonl"
    entry = {"version": 1, "data": {"vId": "é", "vaIds": [1, "x"]}}
    cache = FileCache(str(path))
    assert cache.lookup("é") is None
    cache.save("é", entry)
    cache.save("é", entry)
    cache.save("é", {**entry, "data": {"vId": "é", "vaIds": []}})
    assert [json.loads(line)["data"]["vaIds"] for line in path.read_text("utf-8").splitlines()] == [[1, "x"], []]
    assert FileCache(str(path)).lookup("é")["data"]["vaIds"] == []


def test_what_the_state_holds_and_cannot_be_read_is_no_entry() -> None:
    found = memory("env", "state")
    assert found is not None
    steps = found.lookup("v")
    next(steps)
    with pytest.raises(StopIteration) as stop:
        steps.send(b"{half")
    assert stop.value.value is None


def test_nothing_is_held_of_visitors_who_are_done_with() -> None:
    """A run of millions must not remember them all."""
    found = memory("env", "state")
    assert found is not None
    for name, save in (("a", True), ("b", False)):
        steps = found.lookup(name, save_follows=save)
        next(steps)
        with pytest.raises(StopIteration):
            steps.send(None)
    assert list(found._read) == ["a"]
    steps = found.save("a", Decision())
    next(steps)
    assert not found._read


def test_an_entry_that_is_there_already_is_not_written_again() -> None:
    found = memory("env", "state")
    assert found is not None
    steps = found.save("v", Decision())
    next(steps)
    with pytest.raises(StopIteration):
        steps.send(b'{"version":1,"data":{"vId":"v","vaIds":[]}}')


def test_scripts_keep_the_file_in_a_directory(tmp_path: Path) -> None:
    kept = KeptInState(tmp_path)
    kept.remember("a", b"1")
    assert (KeptInState(tmp_path).recall("a"), kept.recall("b")) == (b"1", None)
    server = Server({"cdn": [{"status": 200, "body": {"campaigns": []}}]})
    start("env", "key", state=tmp_path, exchange=server.exchange).stop()


# --- answers, payloads ------------------------------------------------------------------------------------------------


def answer(said: Any) -> Response:
    return Response(200, {}, json.dumps(said).encode())


def test_a_campaign_that_lacks_something_is_named_and_skipped() -> None:
    whole = campaign(1, a=1)
    odd = [
        {}, 7, None, [], {**whole, "variation": None}, {**whole, "variation": {"id": "v"}},
        {**whole, "variation": {"id": "v", "modifications": {"value": {}}}},
        {**whole, "variation": {"id": "v", "modifications": {"type": "JSON", "value": []}}},
        {"id": 1, "variation": whole["variation"]}, {**whole, "id": {}}, {**whole, "variationGroupId": None},
        {**whole, "variation": {"id": [], "modifications": {"type": "JSON", "value": {}}}},
    ]  # fmt: skip
    decision = read_campaigns(answer({"campaigns": [*odd, whole]}))
    assert [one["campaignId"] for one in decision.assignments] == ["1"]
    assert [problem.where for problem in decision.problems] == [f"campaigns[{number}]" for number in range(len(odd))]


@pytest.mark.parametrize("said", [5, "text", True])
def test_a_bare_value_proves_nothing(said: Any) -> None:
    with pytest.raises(Unreadable):
        read_campaigns(answer(said))


@pytest.mark.parametrize("said", [{"campaigns": None}, {"campaigns": {}}, {}, None])
def test_no_list_of_campaigns_is_named_and_means_none(said: Any) -> None:
    decision = read_campaigns(answer(said))
    assert decision.assignments == [] and decision.problems and not decision.panic


@pytest.mark.parametrize(
    ("moment", "waited"),
    [(1_700_000_000_000, 5000), ("2023-11-14T22:13:20Z", 5000), ("2023-11-14T23:13:20+01:00", 5000),
     ("2023-11-14 22:13:20", 5000), ("2023-11-14T22:13:30Z", 0), ("2023-11-14T22:13:20.250Z", 4750)],
)  # fmt: skip
def test_how_long_a_hit_has_waited(moment: Any, waited: int) -> None:
    assert queue_time({"occurred_at": moment, "a": 1}, 1_700_000_005.0) == {"queue_time": waited, "a": 1}


@pytest.mark.parametrize("moment", ["", "noon", None, True, 1.5, []])
def test_a_moment_that_is_none(moment: Any) -> None:
    with pytest.raises(RecordError, match="occurred_at"):
        queue_time({"occurred_at": moment}, 0.0)


def test_what_is_plain_is_put_right() -> None:
    assert mended({"visitor_id": 7, "label": None, "value": 0, "transaction_id": True}, drop=False) == {
        "visitor_id": "7", "value": 0, "transaction_id": True,
    }  # fmt: skip
    assert mended({"label": 5, "action": 5, "unknown": 1}, drop=True) == {"action": 5, "unknown": 1}
    assert mended("text", drop=True) == "text"
