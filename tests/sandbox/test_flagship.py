"""The pretend Flagship: it decides, serves its file, and refuses what the contract forbids."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.plugin import Response, Secret, WireRequest
from engine.sandbox.flagship import BURST, RATE, PretendFlagship
from engine.sandbox.flagship_file import DEMO
from engine.sandbox.server import serve
from engine.sandbox.world import World
from engine.vendors.buckets import compile_file, visitor_context
from tests.sandbox.helpers import Standing

DECISION, CDN, COLLECT = "https://decision.flagship.io", "https://cdn.flagship.io", "https://ariane.abtasty.com/"
HIT = {"cid": "env", "vid": "v", "ds": "APP"}
CAMPAIGNS = "/v2/env/campaigns/?exposeAllKeys=true&sendContextEvent=false"


class Caller:
    def __init__(self, **settings: Any) -> None:
        self.clock = Standing()
        self.vendor = PretendFlagship(self.clock, **settings)

    def post(self, path: str, said: Any, key: str | Secret = "k", base: str = DECISION) -> Response:
        body = said if isinstance(said, bytes) else msgspec.json.encode(said)
        return self.vendor.handle(WireRequest("POST", base + path, {"x-api-key": key}, body))

    def get(self, path: str = "/env/bucketing.json", **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.vendor.handle(WireRequest("GET", CDN + path, named, b""))

    def campaigns(self, visitor: str = "v", **context: Any) -> Any:
        return self.post(CAMPAIGNS, {"visitorId": visitor, "trigger_hit": False, "context": context}).json()

    def hit(self, **fields: Any) -> Response:
        return self.post("", {**HIT, **fields}, base=COLLECT)


def test_it_decides_as_its_file_says_with_the_same_code() -> None:
    caller, decider = Caller(), compile_file(DEMO, "server")
    for number in range(200):
        context = {"country": "FR" if number % 2 else "US", "orders": number % 7}
        wanted = decider.decide(f"v{number}", visitor_context(context).values)
        told = caller.campaigns(f"v{number}", **context)["campaigns"]
        given = [(one["id"], one["variationGroupId"], one["variation"]["id"]) for one in told]
        assert given == [(a["campaignId"], a["variationGroupId"], a["variationId"]) for a in wanted.assignments]


def test_keys_of_sibling_variations_are_null() -> None:
    both = {"v1": 100, "v2": 0}
    variations = [
        {"id": name, "allocation": share, "modifications": {"type": "JSON", "value": {name: 1}}}
        for name, share in both.items()
    ]
    everybody = {"targetingGroups": [{"targetings": [{"operator": "EQUALS", "key": "fs_all_users", "value": ""}]}]}
    groups = [{"id": "g", "targeting": everybody, "variations": variations}]
    caller = Caller(file={"campaigns": [{"id": "c", "bucketRanges": [{"r": [0, 100]}], "variationGroups": groups}]})
    told = caller.campaigns()["campaigns"][0]["variation"]["modifications"]["value"]
    assert told == {"v1": 1, "v2": None}


@pytest.mark.parametrize("key", ["", "invalid"])
def test_a_wrong_key_is_refused(key: str) -> None:
    assert Caller().post(CAMPAIGNS, {"visitorId": "v"}, key=key).status == 401


@pytest.mark.parametrize(
    ("said", "why"),
    [({"visitorId": "v", "extra": 1}, "unknown field 'extra'"), ({}, "visitorId"), ({"visitorId": 5}, "visitorId"),
     ({"visitorId": "v", "context": {"fs_users": "v"}}, "fs_users must never leave"),
     ({"visitorId": "v", "context": {"a": None}}, "a is no text"), ({"visitorId": "v", "context": []}, "an object"),
     ({"visitorId": "v", "anonymousId": 1}, "anonymousId")],
)  # fmt: skip
def test_wrong_questions_are_refused_with_the_reason(said: Any, why: str) -> None:
    answer = Caller().post(CAMPAIGNS, said)
    assert answer.status == 400 and why in answer["message"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    assert Caller().post("/v2/activate", body).status == 400


def test_campaigns_are_throttled_after_a_burst() -> None:
    caller = Caller()
    statuses = [caller.post(CAMPAIGNS, {"visitorId": "v"}).status for _ in range(int(BURST) + 1)]
    assert statuses == [200] * int(BURST) + [429]
    caller.clock.moment += 1
    statuses = [caller.post(CAMPAIGNS, {"visitorId": "v"}).status for _ in range(int(RATE) + 1)]
    assert statuses.count(429) == 1


# --- the file ----------------------------------------------------------------------------------------------------


def test_the_file_has_a_date_and_a_tag_and_is_given_once() -> None:
    caller = Caller()
    first = caller.get()
    assert first.status == 200 and first.json() == msgspec.to_builtins(DEMO)
    assert caller.get(If_None_Match=first.headers["etag"]).status == 304
    assert caller.get(If_Modified_Since=first.headers["last-modified"]).status == 304
    caller.vendor.publish("env", {"campaigns": []}, "Wed, 07 Jan 2026 08:00:00 GMT")
    newer = caller.get(If_Modified_Since=first.headers["last-modified"], If_None_Match=first.headers["etag"])
    assert (newer.status, newer.json()) == (200, {"campaigns": []})
    assert caller.get("/other/bucketing.json", If_None_Match=first.headers["etag"]).status == 304
    assert caller.campaigns()["campaigns"] == []


def test_the_panic_switch_is_in_answers_and_in_the_file() -> None:
    caller = Caller()
    normal = caller.get()
    assert caller.post("/_panic/on", {}).status == 204
    assert caller.campaigns() == {"visitorId": "v", "campaigns": [], "panic": True}
    panicking = caller.get(If_None_Match=normal.headers["etag"])
    assert (panicking.status, panicking.json()) == (200, {"panic": True})
    caller.post("/_panic/off", {})
    assert "panic" not in caller.campaigns()


# --- activations, contexts, hits ------------------------------------------------------------------------------------

SEEN = {"cid": "env", "vid": "v", "caid": "g", "vaid": "x"}


def test_activations_one_by_one_and_together() -> None:
    caller = Caller()
    assert caller.post("/v2/activate", SEEN).status == 204
    assert (
        caller.post("/v2/activate", {"cid": "env", "batch": [{**SEEN, "aid": None}, {**SEEN, "aid": "d"}]}).status
        == 204
    )
    assert [one.get("aid") for one in caller.vendor.activations] == [None, None, "d"]


@pytest.mark.parametrize("missing", ["cid", "vid", "caid", "vaid"])
def test_the_reason_of_a_refused_activation_is_json_in_json(missing: str) -> None:
    answer = Caller().post("/v2/activate", {name: value for name, value in SEEN.items() if name != missing})
    assert answer.status == 400
    assert msgspec.json.decode(answer["message"]) == {"status": "error", "errors": {missing: "Field is mandatory."}}


@pytest.mark.parametrize("batch", [[], [SEEN] * 101, "x", [{**SEEN, "aid": 5}]])
def test_wrong_batches_of_activations_leave_nothing(batch: Any) -> None:
    caller = Caller()
    assert caller.post("/v2/activate", {"cid": "env", "batch": batch}).status == 400
    assert caller.vendor.activations == []


def test_contexts() -> None:
    caller = Caller()
    good = {"type": "CONTEXT", "visitorId": "v", "data": {"a": 1}}
    assert caller.post("/v2/env/events", good).status == 204
    for wrong in (
        {**good, "type": "X"},
        {**good, "anonymousId": "d"},
        {**good, "data": {"fs_a": 1}},
        {**good, "data": 5},
    ):
        assert caller.post("/v2/env/events", wrong).status == 400
    assert caller.vendor.contexts == [{**good, "env": "env"}]


TRANSACTION = {"t": "TRANSACTION", "tid": "t1", "ta": "k", "tr": 1.5, "icn": 2, "tc": "EUR"}
ITEM = {"t": "ITEM", "tid": "t1", "in": "n", "ic": "s", "ip": 1, "iq": 2}
GOOD = [
    {"t": "PAGEVIEW", "dl": "https://a.test/", "sr": "640x480", "sn": 1, "ul": "fr", "qt": 5, "cuid": "c"},
    {"t": "SCREENVIEW", "dl": ""}, {"t": "EVENT", "ec": "Action Tracking", "ea": "a", "ev": 1}, TRANSACTION, ITEM,
]  # fmt: skip


def test_good_hits_are_taken_and_an_item_only_after_its_transaction() -> None:
    caller = Caller()
    assert caller.hit(**ITEM).status == 400
    assert [caller.hit(**hit).status for hit in GOOD] == [200] * 5
    assert caller.hit(**{**ITEM, "vid": "other"}).status == 400
    assert len(caller.vendor.hits) == 5
    together = {
        "t": "BATCH",
        "ds": "APP",
        "cid": "env",
        "h": [{**HIT, **hit, "vid": "w"} for hit in (TRANSACTION, ITEM)],
    }
    assert caller.post("", together, base="https://events.flagship.io/").status == 200
    assert caller.post("", {**together, "h": together["h"][::-1], "cid": "env"}, base=COLLECT).status == 200
    assert len(caller.vendor.hits) == 9


@pytest.mark.parametrize(
    ("hit", "why"),
    [({"t": "X"}, "no type"), ({"t": "PAGEVIEW"}, "dl is missing"), ({"t": "PAGEVIEW", "dl": "/x"}, "dl"),
     ({"t": "PAGEVIEW", "dl": "http://a b"}, "dl"), ({"t": "SCREENVIEW", "dl": "x" * 2049}, "dl"),
     ({"t": "SCREENVIEW", "dl": "s", "sr": "640"}, "sr"), ({"t": "SCREENVIEW", "dl": "s", "sr": "1x12345678901"}, "sr"),
     ({"t": "SCREENVIEW", "dl": "s", "ul": "é" * 11}, "ul"), ({"t": "SCREENVIEW", "dl": "s", "zz": 1}, "has no zz"),
     ({"t": "SCREENVIEW", "dl": "s", "ds": "WEB"}, "ds"), ({"t": "SCREENVIEW", "dl": "s", "vid": ""}, "vid"),
     ({"t": "EVENT", "ec": "action", "ea": "a"}, "ec"), ({"t": "EVENT", "ec": "Action Tracking", "ea": "a", "ev": 0}, "ev"),
     ({"t": "EVENT", "ec": "Action Tracking", "ea": "a", "ev": True}, "ev"),
     ({**TRANSACTION, "tr": "1.5"}, "tr"), ({**TRANSACTION, "tc": "x" * 11}, "tc"), ({**TRANSACTION, "icn": 1.5}, "icn")],
)  # fmt: skip
def test_hits_that_break_a_rule_are_refused_with_the_field(hit: Any, why: str) -> None:
    caller = Caller()
    answer = caller.hit(**hit)
    assert answer.status == 400 and why in answer["message"]
    assert caller.vendor.hits == []


def test_a_batch_is_taken_whole_or_not_at_all() -> None:
    caller = Caller()
    hits = [{**HIT, "t": "SCREENVIEW", "dl": "s"}, {**HIT, "t": "SCREENVIEW"}]
    for wrong in (hits, [], "x"):
        assert caller.post("", {"t": "BATCH", "h": wrong}, base=COLLECT).status == 400
    assert caller.vendor.hits == []


def test_routes_that_do_not_exist() -> None:
    assert Caller().post("/v3/env/flags", {}).status == 404
    assert Caller().get("/bucketing.json").status == 404


# --- in the world ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [DECISION, "http://127.0.0.1:8700/flagship"])
def test_it_is_found_by_its_hosts_and_on_a_port(base: str) -> None:
    world = World(Standing(), ({"path": "/v2/activate", "nth": [2], "status": 503},))
    request = WireRequest("POST", f"{base}/v2/activate", {}, msgspec.json.encode(SEEN))
    assert [world.handle(request).status for _ in range(3)] == [204, 503, 204]
    assert [(one.vendor, one.path) for one in world.received] == [("flagship", "/v2/activate")] * 2


def test_its_addresses_are_those_of_the_settings() -> None:
    with serve(World(Standing())) as server:
        at = f"{server.root}/flagship"
        names = {name: url for name, url in server.urls.items() if name.startswith("flagship")}
        assert names == {
            "flagship_decision": f"{at}/v2", "flagship_bucketing": at, "flagship_collect": f"{at}/", "flagship_batch": f"{at}/",
        }  # fmt: skip
