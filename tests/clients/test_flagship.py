"""The real `flagship` 2.1.5 runs unchanged against the pretend Flagship, and decides as we do."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.model import Response, WireRequest
from engine.plugin import Secret
from engine.python.flagship import Config, Event, EventCategory, Item, Page, Screen, Transaction, start
from engine.runtime.clock import FakeClock
from engine.sandbox.server import serve
from engine.sandbox.world import World
from engine.vendors.buckets import compile_file, murmur, utf8, visitor_context
from tests.clients import flagship_cases as cases
from tests.clients.running import HERE, python
from tests.sandbox.helpers import Standing
from tests.vendors.flagship.files import rule, targeted
from tests.vendors.flagship.running import Shop

pytestmark = pytest.mark.clients

LONG = bool(os.environ.get("CLIENTS_LONG"))
VISITORS, FUNCTIONS = (100_000, 1_000_000) if LONG else (5_000, 20_000)
HEADERS = ("x-api-key", "x-sdk-client", "x-sdk-version", "content-type", "if-modified-since")
Call = tuple[str, str, dict[str, str], Any]


def sdk(folder: Path, *arguments: Any) -> list[Any]:
    """What the SDK tells, a line each. It runs in an empty directory: it keeps its file there."""
    done = subprocess.run(
        [python("flagship"), HERE / "flagship_sdk.py", *map(str, arguments)],
        capture_output=True, text=True, timeout=3600, check=False, cwd=folder, env={"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


class Listening(World):
    """A world that remembers requests as they come, the headers that matter with them."""

    def __init__(self) -> None:
        super().__init__(Standing(), (), {"flagship": {"rates": False, "rules": "python-2.1"}})
        self.calls: list[Call] = []

    def answer(self, request: WireRequest, *more: Any) -> Response:
        self.calls.append(call(request))
        return super().answer(request, *more)


def call(request: WireRequest) -> Call:
    """Method, path as the vendor sees it, headers that matter, body."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    shown = {n: v.reveal() if isinstance(v, Secret) else v for n, v in headers.items() if n in HEADERS}
    path = "/" + request.url.split("//", 1)[1].split("/", 1)[1].removeprefix("flagship/")
    return request.method, path, shown, json.loads(request.body) if request.body else None


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Listening]:
    folder = tmp_path_factory.mktemp("sdk")
    with serve(Listening()) as server:
        urls = {
            name.removeprefix("flagship_"): url for name, url in server.urls.items() if name.startswith("flagship")
        }
        (told,) = sdk(folder, "scenario", json.dumps(urls))
    assert isinstance(server.world, Listening)
    return told, server.world


def one_visitor(client: Any, number: int) -> Any:
    """The same calls as `flagship_sdk.one_visitor`."""
    context = {"country": "FR" if number % 2 else "US", "orders": number, "fs_hidden": "x", "score": 1.5, "vip": True}
    visitor = client.create_visitor(f"visitor-{number}", False, context)
    visitor.synchronize_modifications()
    colour = visitor.get_modification("btn-color", "blue", True)
    visitor.activate_modification("checkout")
    if number % 3 == 0:
        visitor.authenticate(f"customer-{number}")
        visitor.synchronize_modifications()
        visitor.activate_modification("checkout")
    visitor.send_hit(
        Page(f"https://shop.test/{number}").with_ip("1.2.3.4").with_locale("fr-fr").with_session_number(2)
    )
    visitor.send_hit(Screen("home").with_resolution(640, 480))
    visitor.send_hit(Event(EventCategory.USER_ENGAGEMENT, "click").with_event_label("l").with_event_value(number + 1))
    order = Transaction(f"t{number}", "purchases").with_total_revenue(420.5).with_currency("EUR").with_item_count(1)
    visitor.send_hit(order.with_shipping_cost(4.5).with_taxes(1.5).with_payment_method("cb").with_coupon_code("C"))
    visitor.send_hit(Item(f"t{number}", "Thing", "sku").with_price(2.5).with_item_quantity(1).with_item_category("c"))
    visitor.unauthenticate()
    visitor.update_context(("orders", number + 1), True)
    owners = visitor._held.info.values()
    held = [[one["campaignId"], one["variationGroupId"], one["variationId"]] for one in owners]
    return {"held": held, "colour": colour, "info": visitor.get_modification_info("btn-color")}


def test_visitors_from_python_make_the_same_requests_and_hold_the_same(scenario: tuple[Any, Listening]) -> None:
    told, world = scenario
    ours = Listening()
    held = {}
    for mode, name in (("decision_api", "API"), ("bucketing", "BUCKETING")):
        client = start(
            "env", "key-1", Config(mode=mode, polling_interval=0), exchange=lambda request, _: ours.handle(request),
            clock=FakeClock(), chance=Random(1),
        )  # fmt: skip
        held[name] = [one_visitor(client, number) for number in range(12)]
    assert held["BUCKETING"] == told["BUCKETING"]
    for mine, its in zip(held["API"], told["API"], strict=True):
        # What a later answer no longer gives, the SDK keeps, at its old place (12.2, item 5).
        assert sorted(one for one in its.pop("held") if one in mine["held"]) == sorted(mine.pop("held"))
        assert mine == its
    assert ours.calls == world.calls
    assert len(ours.calls) > 200
    assert ours.vendors["flagship"].state() == world.vendors["flagship"].state()


PARTS = """
version: 1
name: shop
connections: {ab: {type: flagship, env_id: env, api_key: key-1, mode: %s}}
sources: {people: {type: file, path: people.jsonl, key: id}}
lookups:
  flags:
    type: flagship.decide
    connection: ab
    context_event: always
    activate: [btn-color, checkout]
    with:
      visitor_id: "{{ record.id }}"
      context: {country: "{{ record.country }}", orders: "{{ record.orders }}", fs_hidden: x, score: 1.5, vip: true}
sinks: {fs: {type: flagship, connection: ab}}
mappings:
  pages:
    from: people
    to: fs.page
    fields: {visitor_id: "{{ record.id }}", location: "https://shop.test/{{ record.orders }}", ip: 1.2.3.4, locale: fr-fr, session_number: 2}
  screens: {from: people, to: fs.screen, fields: {visitor_id: "{{ record.id }}", location: home, resolution: [640, 480]}}
  events:
    from: people
    to: fs.event
    when: "{{ flags.values.checkout }}"
    fields: {visitor_id: "{{ record.id }}", category: USER_ENGAGEMENT, action: click, label: l, value: "{{ record.orders + 1 }}"}
  orders:
    from: people
    to: fs.transaction
    fields: {visitor_id: "{{ record.id }}", transaction_id: "t{{ record.orders }}", affiliation: purchases, revenue: 420.5, currency: EUR,
             item_count: 1, shipping_cost: 4.5, taxes: 1.5, payment_method: cb, coupon_code: C}
  items:
    from: people
    to: fs.item
    fields: {visitor_id: "{{ record.id }}", transaction_id: "t{{ record.orders }}", product_name: Thing, product_sku: sku, price: 2.5,
             item_quantity: 1, item_category: c}
"""


@pytest.mark.parametrize("mode", ["decision_api", "bucketing"])
def test_the_parts_of_a_pipeline_make_the_same_requests(
    scenario: tuple[Any, Listening], tmp_path: Path, mode: str
) -> None:
    """For those who never log in; the SDK's last synchronisation, after a changed context, is its own."""
    numbers = [number for number in range(12) if number % 3]
    shop = Shop(tmp_path, PARTS % mode)
    people = [{"id": f"visitor-{n}", "country": "FR" if n % 2 else "US", "orders": n} for n in numbers]
    shop.write("people.jsonl", "".join(json.dumps(one) + "\n" for one in people))
    assert shop.run().exit == 0
    calls = scenario[1].calls
    start_of_second = next(at for at, one in enumerate(calls) if one[0] == "GET")
    calls = calls[:start_of_second] if mode == "decision_api" else calls[start_of_second:]
    for number in numbers:
        theirs = of_visitor(calls, f"visitor-{number}")
        ours = of_visitor(list(map(call, shop.requests)), f"visitor-{number}")
        last = 2 if mode == "decision_api" else 1  # the campaigns and context calls of the last synchronisation
        assert sorted(ours, key=repr) == sorted(theirs[:-last], key=repr), number


def of_visitor(calls: list[Call], name: str) -> list[Call]:
    return [one for one in calls if one[3] and name in (one[3].get("vid"), one[3].get("visitorId"))]


@pytest.mark.parametrize("seed", [1, 2] if LONG else [1, 2, 3])
def test_it_decides_as_we_do(tmp_path: Path, seed: int) -> None:
    """10 campaigns. Characters beyond U+FFFF are left to the recordings: the SDK hashes them wrongly."""
    document = cases.file(seed)
    (tmp_path / "file.json").write_text(json.dumps(document), "utf-8")
    path = cases.written(tmp_path / "visitors.jsonl", cases.visitors(VISITORS, seed))
    decider = compile_file(document)
    theirs = sdk(tmp_path, "decide", tmp_path / "file.json", path)
    assert len(theirs) == VISITORS
    given = 0
    for one, wanted in zip(cases.visitors(VISITORS, seed), theirs, strict=True):
        found = decider.decide(one["v"], visitor_context(one["x"]).values).assignments
        ids = [[a["campaignId"], a["variationGroupId"], a["variationId"]] for a in found]
        assert ids == wanted, one
        given += len(ids)
    assert given > VISITORS


def test_its_hash_and_its_targeting_are_ours(tmp_path: Path) -> None:
    theirs = sdk(tmp_path, "functions", cases.written(tmp_path / "cases.jsonl", cases.functions(FUNCTIONS, 7)))
    deciders: dict[str, Any] = {}
    assert len(theirs) == FUNCTIONS
    for case, wanted in zip(cases.functions(FUNCTIONS, 7), theirs, strict=True):
        if "text" in case:
            assert murmur(utf8(case["text"])) == wanted, case
            continue
        key = repr(case["rule"])
        if key not in deciders:
            deciders[key] = compile_file(
                targeted(rule(case["rule"]["operator"], case["rule"]["key"], case["rule"]["value"]))
            )
        assert bool(deciders[key].decide("v", case["context"]).chosen) is wanted, case
