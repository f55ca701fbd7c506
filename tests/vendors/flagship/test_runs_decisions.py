"""Whole runs that decide: in both modes, over faults, polls, panic and several starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.model import Response
from engine.runtime.transport import Dry
from engine.sandbox.flagship_file import DEMO
from engine.vendors.buckets import compile_file, visitor_context
from tests.vendors.flagship.files import campaign, file, group, rule, variation
from tests.vendors.flagship.running import ROWS, SEEN, Shop, customers, flags


def decided(number: int, document: Any = DEMO) -> list[Any]:
    context = {"country": "FR" if number % 2 else "US", "orders": number % 9}
    return compile_file(document).decide(f"c{number}", visitor_context(context).values).assignments  # type: ignore[return-value]


def only(**values: Any) -> Any:
    """A file whose one campaign gives everybody these values."""
    return file(campaign("c", group("g", variation("v", 100, **values))))


# --- bucketing -----------------------------------------------------------------------------------------------------


def test_offline_assignment_needs_one_request_in_all(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags())
    shop.write("customers.csv", customers(1500))
    assert shop.run().exit == 0
    rows = shop.out()
    assert [row["assignments"] for row in rows] == [decided(number) for number in range(1500)]
    assert {row["flags"].get("btn-color") for row in rows} == {None, "red"}
    assert [(one.method, one.url) for one in shop.requests] == [("GET", "https://cdn.flagship.io/env/bucketing.json")]
    assert "x-api-key" not in shop.headers("cdn")[0]


def test_a_later_run_asks_for_what_is_newer_and_uses_its_copy(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags())
    shop.write("customers.csv", customers(50))
    shop.run()
    before = shop.out()
    shop.run()
    assert "if-modified-since" in shop.headers("cdn")[1] and "if-none-match" in shop.headers("cdn")[1]
    assert shop.out() == before
    gone = shop.run(handle=lambda request: Response(500))
    assert gone.exit == 0 and shop.out() == before
    assert any("the copy that is there stays in use" in note for note in gone.report["warnings"])


@pytest.mark.parametrize(
    ("answer", "code"),
    [(Response(404), "no-bucketing-file"), (Response(400), "no-bucketing-file"), (Response(304), "unreachable"),
     (Response(500), "unreachable"), (Response(200, {}, b""), "unreachable"), (Response(200, {}, b'{"cam'), "unreachable"),
     (Response(200, {}, b"[]"), "unreachable")],
    ids=["404", "400", "304", "500", "empty", "cut", "array"],
)  # fmt: skip
def test_without_a_file_the_run_halts_and_loses_nothing(tmp_path: Path, answer: Response, code: str) -> None:
    shop = Shop(tmp_path, flags())
    shop.write("customers.csv", customers(20))
    halted = shop.run(handle=lambda request: answer)
    assert (halted.exit, halted.report["error"]["code"]) == (3, code)
    assert shop.letters == []
    assert shop.run().exit == 0 and len(shop.out()) == 20


def test_a_file_that_comes_late_is_waited_for(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags(), [{"path": "/env/bucketing.json", "first": 3, "cut": 40}])
    shop.write("customers.csv", customers(20))
    assert shop.run().exit == 0 and len(shop.out()) == 20


def test_what_is_wrong_with_the_file_is_named_and_not_fatal(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags())
    odd = file(
        campaign("bad", group("g1", variation("v"), any_of=[[rule("SOUNDS_LIKE", "country", "FR")]])),
        campaign("worse", {"id": "g2", "variations": []}),
        {"variationGroups": []},
        campaign("good", group("g3", variation("on", 100, on=True))),
    )
    shop.flagship.publish("env", odd, "Thu, 01 Jan 2026 00:00:00 GMT")
    shop.write("customers.csv", customers(5))
    outcome = shop.run()
    assert outcome.exit == 0 and [row["flags"] for row in shop.out()] == [{"on": True}] * 5
    told = " ".join(outcome.report["warnings"])
    assert "unknown-operator" in told and "SOUNDS_LIKE" in told and "malformed-group" in told and "has no id" in told


def test_the_file_is_asked_for_again_during_a_long_run(tmp_path: Path) -> None:
    """Hits take time here; a poll after a minute finds a new file, and a poll that fails changes nothing."""
    shop = Shop(tmp_path, flags(ROWS + SEEN), [{"path": "/", "vendor": "flagship", "delay": 0.4}])
    shop.flagship.publish("env", only(n=1), "Thu, 01 Jan 2026 00:00:00 GMT")
    shop.write("customers.csv", customers(6000))

    def handle(request: Any) -> Response:
        if shop.clock.now() > 100:
            shop.flagship.publish("env", only(n=2), "Thu, 01 Jan 2026 00:02:00 GMT")
        if "cdn" in request.url and 50 < shop.clock.now() < 90:
            return Response(503)
        return shop.world.handle(request)

    outcome = shop.run(handle=handle)
    assert outcome.exit == 0
    values = [row["flags"]["n"] for row in shop.out()]
    assert values == sorted(values) and set(values) == {1, 2}
    assert any("503" in note for note in outcome.report["warnings"])


@pytest.mark.parametrize("cache", ["state", "{file: visitors.jsonl}"])
def test_assignments_survive_changed_allocations_across_runs(tmp_path: Path, cache: str) -> None:
    halves = file(campaign("c", group("g", variation("v1", 50, n=1), variation("v2", 50, n=2))))
    moved = file(campaign("c", group("g", variation("v1", 0, n=1), variation("v2", 100, n=2))))
    shop = Shop(tmp_path, flags(lookup=f"visitor_cache: {cache}"))
    shop.flagship.publish("env", halves, "Thu, 01 Jan 2026 00:00:00 GMT")
    shop.write("customers.csv", customers(80))
    shop.run()
    before = [row["flags"]["n"] for row in shop.out()]
    assert set(before) == {1, 2}
    shop.flagship.publish("env", moved, "Fri, 02 Jan 2026 00:00:00 GMT")
    shop.run()
    assert [row["flags"]["n"] for row in shop.out()] == before
    shop.run(flags())
    assert {row["flags"]["n"] for row in shop.out()} == {2}
    if "file" in cache:
        lines = (tmp_path / "visitors.jsonl").read_text().splitlines()
        assert len(lines) == 80 and '{"version":1,"data":{"vId":"c0","vaIds":[' in lines[0]


@pytest.mark.parametrize("cache", ["state", "{file: visitors.jsonl}"])
def test_by_the_servers_rules_a_deleted_variation_that_is_remembered_gives_nothing(
    tmp_path: Path, cache: str
) -> None:
    everybody = {"bucketRanges": [{"r": [0, 100]}]}
    both = file({**campaign("c", group("g", variation("v1", 50, n=1), variation("v2", 50, n=2))), **everybody})
    one = file({**campaign("c", group("g", variation("v2", 100, n=2))), **everybody})
    shop = Shop(tmp_path, flags(lookup=f"visitor_cache: {cache}\n    rules: server"))
    shop.flagship.publish("env", both, "Thu, 01 Jan 2026 00:00:00 GMT")
    shop.write("customers.csv", customers(40))
    shop.run()
    before = [row["flags"].get("n") for row in shop.out()]
    assert set(before) == {1, 2}
    shop.flagship.publish("env", one, "Fri, 02 Jan 2026 00:00:00 GMT")
    shop.run()
    assert [row["flags"].get("n") for row in shop.out()] == [None if n == 1 else 2 for n in before]


def test_a_half_written_line_of_the_visitors_file_is_passed_over(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags(lookup="visitor_cache: {file: visitors.jsonl}"))
    shop.write("visitors.jsonl", '{"version":1,"data":{"vId":"c0","vaIds":["button-red"]}}\n7\n{"version":1,"da')
    shop.write("customers.csv", customers(3))
    assert shop.run().exit == 0
    assert shop.out()[0]["assignments"][0]["variationId"] == "button-red"


def test_a_missing_visitor_id_and_a_bad_context_value(tmp_path: Path) -> None:
    text = flags().replace('orders: "{{ record.orders | int }}"', 'orders: "{{ record.orders | int(none) }}"')
    shop = Shop(tmp_path, text)
    shop.write("customers.csv", "id,country,orders\nc1,FR,5\n,FR,5\nc3,FR,none\n")
    outcome = shop.run()
    assert outcome.exit == 1
    (letter,) = shop.letters
    assert (letter["origin"]["line"], letter["stage"]) == (3, "lookup") and "visitor_id" in letter["reason"]
    assert [row["id"] for row in shop.out()] == ["c1", "c3"]
    assert "offer" in str(shop.out()[0]) and "offer" not in str(shop.out()[1])
    assert any("context key 'orders'" in note for note in outcome.report["warnings"])


def test_a_login_goes_on_with_what_the_device_had_where_the_file_says_so(tmp_path: Path) -> None:
    """`rules: server`, section 14: the anonymous id's assignment is reused after the login."""

    def halves(first: int) -> Any:
        variations = (variation("v1", first, n=1), variation("v2", 100 - first, n=2))
        return file(campaign("c", group("g", *variations)), accountSettings={"enabledXPC": True})

    rules = flags(lookup="visitor_cache: state\n    rules: server")
    shop = Shop(tmp_path, rules.replace("{{ record.id }}", "d-{{ record.id }}", 1))
    shop.flagship.publish("env", halves(50), "Thu, 01 Jan 2026 00:00:00 GMT")
    shop.write("customers.csv", customers(60))
    shop.run()
    devices = [row["flags"]["n"] for row in shop.out()]
    assert set(devices) == {1, 2}
    shop.flagship.publish("env", halves(0), "Fri, 02 Jan 2026 00:00:00 GMT")
    both = 'visitor_id: "{{ record.id }}", anonymous_id: "d-{{ record.id }}"'
    shop.run(rules.replace('visitor_id: "{{ record.id }}"', both, 1))
    assert [row["flags"]["n"] for row in shop.out()] == devices


# --- context events and activations ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "sent"), [("never", [0, 0, 0]), ("changed", [10, 0, 1]), ("always", [10, 10, 10])]
)
def test_context_events(tmp_path: Path, setting: str, sent: list[int]) -> None:
    shop = Shop(tmp_path, flags(lookup=f"context_event: {setting}"))
    counts = []
    for changed in (False, False, True):
        text = customers(10)
        shop.write("customers.csv", text.replace("c3,FR", "c3,BE") if changed else text)
        shop.requests.clear()
        assert shop.run().exit == 0
        counts.append(len(shop.sent("/env/events")))
    assert counts == sent
    assert all("x-api-key" not in headers for headers in shop.headers("/events"))


def test_flags_are_activated_when_they_are_read(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags(lookup="activate: [btn-color, btn-text, nothing]"))
    shop.write("customers.csv", customers(10))
    assert shop.run().exit == 0
    assert len(shop.flagship.activations) == 20  # two flags of one variation: two readings
    shop.flagship.activations.clear()
    shop.run(flags(lookup="activate: [btn-color, btn-text]\n    once: true"))
    assert len(shop.flagship.activations) == 10
    wanted = {(f"c{n}", decided(n)[0]["variationId"]) for n in range(10)}
    assert {(one["vid"], one["vaid"]) for one in shop.flagship.activations} == wanted


def test_defaults_stand_in_and_other_kinds_can_give_them_too(tmp_path: Path) -> None:
    lookup = "defaults: {btn-color: blue, btn-text: 5, extra: [1]}\n    type_mismatch: default"
    shop = Shop(tmp_path, flags(lookup=lookup))
    shop.write("customers.csv", customers(40))
    shop.run()
    values = [row["flags"] for row in shop.out()]
    assert {one["btn-color"] for one in values} == {"blue", "red"}
    assert all((one["btn-text"], one["extra"]) == (5, [1]) for one in values)


# --- the Decision API --------------------------------------------------------------------------------------------


API = ", mode: decision_api"


def test_visitors_are_asked_of_the_decision_api_once_each(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags(account=API))
    shop.write("customers.csv", customers(60) + customers(60).split("\n", 1)[1])
    assert shop.run().exit == 0
    assert [row["assignments"] for row in shop.out()] == [decided(number) for number in [*range(60), *range(60)]]
    asked = shop.sent("/campaigns/")
    assert len(asked) == 60 and asked[0]["trigger_hit"] is False and asked[0]["context"]["sdk_city"] == ""
    assert {headers["x-api-key"] for headers in shop.headers("/campaigns/")} == {"k"}
    assert {headers["x-sdk-version"] for headers in shop.headers("/campaigns/")} == {"2.1.5"}
    assert shop.requests[0].url.endswith("/v2/env/campaigns/?exposeAllKeys=true&sendContextEvent=false")


API_FAULTS = [
    [{"ratio": 0.3, "seed": 1, "status": 429, "retry_after": 1}],
    [{"ratio": 0.3, "seed": 2, "status": 503}],
    [{"ratio": 0.3, "seed": 3, "delay": 5}],  # longer than the 2 s that campaigns have
    [{"ratio": 0.3, "seed": 4, "reset": "after"}],
    [{"ratio": 0.3, "seed": 5, "cut": 9}],
    [{"ratio": 0.3, "seed": 6, "html": True}],
]


@pytest.mark.parametrize("faults", API_FAULTS, ids=str)
def test_a_bad_hour_of_the_decision_api_changes_no_decision(tmp_path: Path, faults: list[Any]) -> None:
    shop = Shop(tmp_path, flags(account=API), faults)
    shop.write("customers.csv", customers(80))
    assert shop.run().exit == 0
    assert [row["assignments"] for row in shop.out()] == [decided(number) for number in range(80)]
    assert len(shop.sent("/campaigns/")) > 80, "the fault never fired"


def test_the_vendors_rate_is_kept(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags(account=API))
    shop.write("customers.csv", customers(1000))
    assert shop.run().exit == 0
    assert shop.clock.now() > 998 / 200


def test_no_content_means_no_campaigns(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags(account=API))
    shop.write("customers.csv", customers(3))
    assert shop.run(handle=lambda request: Response(204)).exit == 0
    assert [row["assignments"] for row in shop.out()] == [[], [], []]


def test_a_refused_key_of_a_lookup_halts(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags(account=API).replace("api_key: k", "api_key: invalid"))
    shop.write("customers.csv", customers(3))
    halted = shop.run()
    assert halted.exit == 3 and shop.letters == []


@pytest.mark.parametrize(
    ("account", "same"), [(API, True), (", mode: bucketing", False), (", mode: bucketing, rules: server", True)]
)
def test_a_decision_group_is_decided_for_as_one(tmp_path: Path, account: str, same: bool) -> None:
    text = flags(account=account).replace(
        'visitor_id: "{{ record.id }}"', 'visitor_id: "{{ record.id }}", decision_group: g', 1
    )
    shop = Shop(tmp_path, text)
    shop.write("customers.csv", customers(40))
    assert shop.run().exit == 0
    assert (len({row["flags"].get("btn-color") for row in shop.out()}) == 1) is same


def test_a_dry_run_shows_every_question_and_goes_on_without_campaigns(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags(account=API, lookup="context_event: always"))
    shop.write("customers.csv", customers(3))
    shown: list[Any] = []
    assert shop.run(dry=True, transport=lambda _, clock: Dry(shown.append)).exit == 0
    assert sorted(one.url.rsplit("/", 1)[1][:6] for one in shown) == ["?expos"] * 3 + ["events"] * 3
    assert not (tmp_path / "out.jsonl").exists() and shop.requests == []


# --- experience continuity ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("device", "authenticated", "asked"),
    [("d1", "none", {"visitorId": "c0", "anonymousId": "d1"}), ("", "none", {"visitorId": "c0"}),
     ("d1", "false", {"visitorId": "d1"}), ("d1", "true", {"visitorId": "c0", "anonymousId": "d1"})],
)  # fmt: skip
def test_ids_of_a_login(tmp_path: Path, device: str, authenticated: str, asked: dict[str, str]) -> None:
    ids = f'visitor_id: "{{{{ record.id }}}}", anonymous_id: "{device}", authenticated: "{{{{ {authenticated} }}}}"'
    text = flags(account=API, lookup="context_event: always").replace('visitor_id: "{{ record.id }}"', ids, 1)
    shop = Shop(tmp_path, text)
    shop.write("customers.csv", customers(1))
    assert shop.run().exit == 0
    (said,) = shop.sent("/campaigns/")
    assert {name: value for name, value in said.items() if name.endswith("Id")} == asked
    assert shop.sent("/events")[0]["visitorId"] == asked["visitorId"]


def test_a_login_without_a_device_gets_the_same_anonymous_id_at_every_run(tmp_path: Path) -> None:
    text = flags(account=API).replace(
        'visitor_id: "{{ record.id }}"', 'visitor_id: "{{ record.id }}", authenticated: true', 1
    )
    shop = Shop(tmp_path, text)
    shop.write("customers.csv", customers(2))
    shop.run()
    shop.run()
    ids = [said["anonymousId"] for said in shop.sent("/campaigns/")]
    assert ids[:2] == ids[2:] and ids[0] != ids[1] and all(len(one) == 19 and one.isdigit() for one in ids)
