"""One suite for every action of every vendor: what the engine promises holds whatever it speaks with.

A vendor joins by an entry in `SINKS`, each of its actions by a line in `PAYLOADS`. A payload bears its number as a
mark (`m000042`), so that what goes out can be told without knowing the vendor's words.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.model import Response, Stream, WireRequest
from engine.plugin import Vendor
from engine.registry import Registry
from tests.runtime.runs import World

KEY = "test-key-0123456789"  # what the pretend world has in its environment
SECRET = '"${ITERABLE_API_KEY}"'
SINKS = {
    "iterable": f"type: iterable, api_key: {SECRET}",
    "flagship": f"type: flagship, env_id: env, api_key: {SECRET}",
    "lumidatum": f"type: lumidatum, token: {SECRET}, model_id: 7, via: inline",
}
REWRITTEN = {"flagship": 60}  # bytes by which a payload may grow in the vendor's words; its limit has room for them
ITEM = {"id": "1", "name": "n", "price": 1, "quantity": 1}


def mark(number: int) -> str:
    return f"m{number:06d}"


def person(number: int) -> dict[str, Any]:
    return {"email": f"{mark(number)}@x.test"}


def hit(**more: str) -> Callable[[int], dict[str, Any]]:
    """A hit of one of a few visitors; the member whose value is `*` bears the mark."""

    def made(number: int) -> dict[str, Any]:
        marked = {name: mark(number) if value == "*" else value for name, value in more.items()}
        return {"visitor_id": f"v{number % 7}", **marked}

    return made


def row(number: int) -> dict[str, Any]:
    return {"id": number, "name": mark(number)}


PAYLOADS: dict[tuple[str, str], Callable[[int], dict[str, Any]]] = {
    ("iterable", "update_user"): lambda n: {**person(n), "dataFields": {"n": n}},
    ("iterable", "update_email"): lambda n: {"currentUserId": f"u{n}", "newEmail": person(n)["email"]},
    ("iterable", "merge_users"): lambda n: {"sourceUserId": f"u{n}", "destinationEmail": person(n)["email"]},
    ("iterable", "delete_user"): person,
    ("iterable", "register_device_token"): lambda n: {
        **person(n),
        "device": {"token": "t", "platform": "GCM", "applicationName": "a"},
    },
    ("iterable", "track_event"): lambda n: {**person(n), "eventName": "Seen"},
    ("iterable", "track_purchase"): lambda n: {"user": person(n), "items": [ITEM], "total": 1},
    ("iterable", "update_cart"): lambda n: {"user": person(n), "items": [ITEM]},
    ("iterable", "subscribe"): lambda n: {**person(n), "listId": 5},
    ("iterable", "unsubscribe"): lambda n: {**person(n), "listId": 5},
    ("iterable", "update_subscriptions"): lambda n: {**person(n), "emailListIds": [1]},
    ("iterable", "upsert_catalog_item"): lambda n: {"catalogName": "c", "id": f"i{n}", "value": {"t": mark(n)}},
    ("flagship", "page"): hit(location="https://x.test/", title="*"),
    ("flagship", "screen"): hit(location="home", title="*"),
    ("flagship", "event"): hit(category="USER_ENGAGEMENT", action="*"),
    ("flagship", "transaction"): hit(transaction_id="*", affiliation="sales"),
    ("flagship", "item"): hit(transaction_id="*", product_name="Shoe", product_sku="S"),
    ("flagship", "activate"): hit(variation_group_id="g", variation_id="*"),
    ("flagship", "context"): lambda n: {"visitor_id": f"v{n % 7}", "context": {"m": mark(n)}},
    ("lumidatum", "users"): row,
    ("lumidatum", "items"): row,
    ("lumidatum", "transactions"): row,
    ("lumidatum", "feedback"): row,
}
EVERY = pytest.mark.parametrize(("sink", "action"), PAYLOADS, ids=[".".join(pair) for pair in PAYLOADS])
REGISTRY = Registry.builtin()
COUNT = 60


def test_every_action_is_in_the_table() -> None:
    vendors = {name: REGISTRY.load("sinks", name) for name in REGISTRY.names("sinks")}
    there = {(n, a) for n, kind in vendors.items() if issubclass(kind, Vendor) for a in kind.actions()}
    assert set(PAYLOADS) == there


# --- a run and its requests ------------------------------------------------------------------------------


def whole(request: WireRequest) -> bytes:
    return b"".join(request.body.chunks()) if isinstance(request.body, Stream) else request.body


def marks(request: WireRequest) -> list[int]:
    """The payloads of a request, in order."""
    return [int(found) for found in re.findall(rb"m(\d{6})", request.url.encode() + whole(request))]


def taken(request: WireRequest) -> Response:
    """A success that every vendor's words are in."""
    said = {"successCount": len(marks(request)), "failCount": 0, "msg": "", "code": "Success"}
    return Response(200, {}, json.dumps(said).encode())


class Case:
    """A pipeline with one mapping to the action, over rows that each hold a payload and whose it is."""

    def __init__(self, folder: Path, sink: str, action: str, rows: int = COUNT, **options: str) -> None:
        self.world = World(folder)
        settings = ", ".join([SINKS[sink], *(f"{name}: {value}" for name, value in options.items())])
        self.text = f"""
version: 1
name: shop
sources: {{rows: {{type: file, path: rows.jsonl, key: n}}}}
sinks: {{there: {{{settings}}}}}
mappings:
  all: {{from: rows, to: there.{action}, key: "{{{{ record.who }}}}", when: "{{{{ record.wanted }}}}", fields: "{{{{ record.p }}}}"}}
"""
        self.action = REGISTRY.load("sinks", sink).actions()[action]
        self.write([PAYLOADS[sink, action](n) for n in range(rows)])

    def write(self, payloads: list[Any], *, wanted: bool = True) -> None:
        rows = [{"n": n, "who": f"w{n % 7}", "wanted": wanted, "p": payload} for n, payload in enumerate(payloads)]
        self.world.write("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def run(self, handle: Callable[[WireRequest], Response] = taken) -> Any:
        return self.world.run(self.text, handle=handle, secrets=(KEY,))  # as the command line does

    def counts(self, outcome: Any) -> tuple[int, int]:
        """Delivered, and dead letters."""
        return outcome.report["mappings"]["all"]["delivered"], outcome.report["dead_letters"]["count"]


# --- promises --------------------------------------------------------------------------------------------


@EVERY
def test_everything_arrives_once_and_in_order_per_key_through_a_bad_hour(
    sink: str, action: str, tmp_path: Path
) -> None:
    case, chance, stored = Case(tmp_path, sink, action, concurrency="3"), Random(5), []

    def handle(request: WireRequest) -> Response:
        if chance.random() < 0.3:
            return Response(503, {"retry-after": "1"} if chance.random() < 0.5 else {}, b"<html>")
        stored.extend(marks(request))
        return taken(request)

    outcome = case.run(handle)
    assert (outcome.exit, *case.counts(outcome)) == (0, COUNT, 0)
    assert sorted(stored) == list(range(COUNT))
    for who in range(7):
        assert [n for n in stored if n % 7 == who] == list(range(who, COUNT, 7))


@EVERY
def test_a_repeat_has_the_same_bytes(sink: str, action: str, tmp_path: Path) -> None:
    case, seen = Case(tmp_path, sink, action, rows=20), Counter[Any]()

    def handle(request: WireRequest) -> Response:
        said = (request.method, request.url, repr(sorted(request.headers.items())), whole(request))
        seen[said] += 1
        return Response(429, {"retry-after": "2"}) if seen[said] == 1 else taken(request)

    assert case.run(handle).exit == 0
    assert set(seen.values()) == {2}


@EVERY
def test_a_poisonous_payload_is_alone_in_the_dead_letters(sink: str, action: str, tmp_path: Path) -> None:
    case, poison, stored = Case(tmp_path, sink, action), {11, 12, 40}, []

    def handle(request: WireRequest) -> Response:
        if poison & set(marks(request)):
            return Response(400, {}, b'{"code": "GenericError", "msg": "something is wrong with it"}')
        stored.extend(marks(request))
        return taken(request)

    outcome = case.run(handle)
    assert (outcome.exit, *case.counts(outcome)) == (1, COUNT - 3, 3)
    assert sorted(stored) == sorted(set(range(COUNT)) - poison)
    assert {letter["key"] for letter in case.world.letters} == poison
    assert {letter["origin"]["line"] for letter in case.world.letters} == {n + 1 for n in poison}


@EVERY
def test_a_refused_key_halts_and_the_position_is_kept(sink: str, action: str, tmp_path: Path) -> None:
    case = Case(tmp_path, sink, action)
    outcome = case.run(lambda request: Response(401, {}, b'{"code": "Unauthorized"}'))
    assert (outcome.exit, *case.counts(outcome)) == (3, 0, 0)
    assert len(case.world.requests) <= 4, "no more than were in flight"
    outcome = case.run()
    assert (outcome.exit, outcome.report["resumed"], *case.counts(outcome)) == (0, True, COUNT, 0)


class Killed(BaseException):
    """The process is gone at this instant."""


@EVERY
@pytest.mark.parametrize("done", [False, True], ids=["before", "after"])
def test_a_kill_at_any_exchange_loses_nothing(sink: str, action: str, done: bool, tmp_path: Path) -> None:
    """Killed at every third exchange, before the vendor did its work or after: until the run comes to its end."""
    case, stored = Case(tmp_path, sink, action, batch="{max_records: 4}", concurrency="2"), []

    def one_life() -> Any:
        left = iter(range(2))

        def handle(request: WireRequest) -> Response:
            last = next(left, None) is None
            if not last or done:
                stored.extend(marks(request))
            if last:
                raise Killed
            return taken(request)

        return case.run(handle)

    outcome, kills = None, 0
    while outcome is None and kills < 100:
        try:
            outcome = one_life()
        except Killed:
            kills += 1
    assert outcome is not None
    assert (outcome.exit, *case.counts(outcome)) == (0, COUNT, 0)
    assert set(stored) == set(range(COUNT))
    assert kills > 2
    assert len(stored) - COUNT <= kills * 2 * 4, "again at most what was in flight"


@EVERY
def test_the_key_is_in_nothing_that_is_written(sink: str, action: str, tmp_path: Path) -> None:
    case = Case(tmp_path, sink, action, rows=20)

    def handle(request: WireRequest) -> Response:
        sent = f"{request.url} {[str(value) for value in request.headers.values()]}"
        assert KEY not in sent, "only the transport reveals it"
        if 3 in marks(request):
            return Response(400, {"x-key": KEY}, json.dumps({"msg": f"{KEY} was refused", "code": "Odd"}).encode())
        return taken(request)

    outcome = case.run(handle)
    assert case.counts(outcome) == (19, 1)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("dead" in path.parts for path in files)
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []
    assert KEY not in json.dumps(outcome.report)


@EVERY
def test_nothing_is_sent_for_nothing(sink: str, action: str, tmp_path: Path) -> None:
    case = Case(tmp_path, sink, action, rows=0)
    assert (case.run().exit, case.world.requests) == (0, [])
    case.write([PAYLOADS[sink, action](n) for n in range(10)], wanted=False)
    outcome = case.run()
    assert (outcome.exit, outcome.report["mappings"]["all"]["filtered"], case.world.requests) == (0, 10, [])
    case.write(["no object", ["nor this"]])
    outcome = case.run()
    assert (outcome.exit, *case.counts(outcome), case.world.requests) == (1, 0, 2, [])


@EVERY
@pytest.mark.parametrize("most", [1, 7, 1000])
def test_no_request_has_more_payloads_than_it_may(sink: str, action: str, most: int, tmp_path: Path) -> None:
    case = Case(tmp_path, sink, action, batch=f"{{max_records: {most}}}", concurrency="1")
    assert case.run().exit == 0
    most = min(most, case.action.max_records)
    sizes = [len(marks(request)) for request in case.world.requests]
    assert max(sizes) <= most
    assert len(sizes) == math.ceil(COUNT / most), "and none has fewer than it could"


@EVERY
def test_no_request_has_more_bytes_than_it_may(sink: str, action: str, tmp_path: Path) -> None:
    case = Case(tmp_path, sink, action, rows=120, batch="{max_records: 1000, max_bytes: 2500}", concurrency="1")
    outcome = case.run()
    assert (outcome.exit, *case.counts(outcome)) == (0, 120, 0)
    for request in case.world.requests:
        assert len(whole(request)) <= 2500 + REWRITTEN.get(sink, 0) * len(marks(request))
    assert case.action.max_records == 1 or len(case.world.requests) > 1
