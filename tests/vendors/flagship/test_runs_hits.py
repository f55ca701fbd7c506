"""Whole runs that send hits, activations and contexts: order, limits, panic, late hits, batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.model import Response
from tests.vendors.flagship.running import ROWS, SEEN, Shop, customers, flags

ORDERS = """
version: 1
name: shop
sources: {orders: {type: file, path: orders.jsonl, key: id}}
sinks: {fs: {type: flagship, env_id: env, concurrency: 8%s}}
mappings:
  transactions:
    from: orders
    to: fs.transaction
    fields:
      visitor_id: "{{ record.customer }}"
      anonymous_id: "{{ record.device }}"
      transaction_id: "{{ record.id }}"
      affiliation: purchases
      revenue: "{{ record.total }}"
      item_count: "{{ record.lines | length }}"
      currency: EUR
      occurred_at: "{{ record.at }}"
  items:
    from: orders
    to: fs.item
    each: "{{ record.lines }}"
    fields:
      visitor_id: "{{ record.customer }}"
      anonymous_id: "{{ record.device }}"
      transaction_id: "{{ record.id }}"
      product_name: "{{ item.name }}"
      product_sku: "{{ item.sku }}"
      price: "{{ item.price }}"
      item_quantity: 1
"""


def orders(count: int) -> str:
    rows = []
    for n in range(count):
        lines = ", ".join(f'{{"name": "Thing {k}", "sku": "s{k}", "price": {k}.5}}' for k in range(n % 4))
        device = f"d{n % 7}" if n % 3 == 0 else ""
        rows.append(
            f'{{"id": "o{n}", "customer": "c{n % 7}", "device": "{device}", "total": {n}, '
            f'"at": "2023-11-14T22:13:{n % 20:02d}Z", "lines": [{lines}]}}\n'
        )
    return "".join(rows)


def sets(hits: list[Any]) -> set[tuple[str, ...]]:
    return {(hit["t"], hit["tid"], hit.get("ic", "")) for hit in hits}


WANTED = {("TRANSACTION", f"o{n}", "") for n in range(120)} | {
    ("ITEM", f"o{n}", f"s{k}") for n in range(120) for k in range(n % 4)
}
HIT_FAULTS: list[list[Any]] = [
    [],
    [{"ratio": 0.3, "seed": 1, "status": 503}],
    [{"ratio": 0.3, "seed": 2, "status": 429, "retry_after": 1}],
    [{"ratio": 0.3, "seed": 3, "reset": "before"}],
    [{"ratio": 0.3, "seed": 4, "reset": "after"}],
    [{"ratio": 0.3, "seed": 5, "delay": 40}],
]


@pytest.mark.parametrize(
    "batch", ["", ", batch: true", ", batch: {max_records: 3}"], ids=["single", "batch", "threes"]
)
@pytest.mark.parametrize("faults", HIT_FAULTS, ids=str)
def test_items_follow_their_transactions_whatever_happens(tmp_path: Path, faults: list[Any], batch: str) -> None:
    """The pretend vendor refuses an item whose transaction has not come: order is what makes this a success."""
    shop = Shop(tmp_path, ORDERS % batch, faults)
    shop.write("orders.jsonl", orders(120))
    outcome = shop.run()
    assert outcome.exit == 0 and shop.letters == []
    assert sets(shop.flagship.hits) == WANTED
    assert not faults or outcome.report["sinks"]["fs"]["retries"] > 0, "the fault never fired"
    if batch:
        assert len(shop.requests) < len(WANTED) * (1.0 if not faults else 2.0)
    elif not faults:
        assert len(shop.requests) == len(WANTED) == len(shop.flagship.hits)


def test_ids_swap_after_a_login_and_late_hits_say_how_late(tmp_path: Path) -> None:
    shop = Shop(tmp_path, ORDERS % "")
    shop.write("orders.jsonl", orders(2))
    shop.run()
    logged_in, anonymous = (hit for hit in shop.flagship.hits if hit["t"] == "TRANSACTION")
    assert (logged_in["vid"], logged_in["cuid"]) == ("d0", "c0")
    assert anonymous["vid"] == "c1" and "cuid" not in anonymous
    assert (logged_in["qt"], anonymous["qt"]) == (20_000, 19_000)


def test_a_batch_says_its_environment_and_each_hit_its_wait(tmp_path: Path) -> None:
    text = flags(SEEN).replace("{type: flagship, connection: ab}", "{type: flagship, connection: ab, batch: true}")
    shop = Shop(tmp_path, text.replace("action: seen", "action: seen, label: x"))
    shop.write("customers.csv", customers(250))
    assert shop.run().exit == 0
    batches = shop.sent("events.flagship.io")
    assert sum(len(one["h"]) for one in batches) == 250 and len(batches) < 12
    assert all((one["t"], one["ds"], one["cid"]) == ("BATCH", "APP", "env") for one in batches)
    assert all(hit["qt"] == 0 for one in batches for hit in one["h"])


# --- limits ---------------------------------------------------------------------------------------------------------

LIMITED = """
version: 1
name: shop
sources: {hits: {type: file, path: hits.jsonl}}
sinks: {fs: {type: flagship, env_id: env, on_violation: %s}}
mappings: {events: {from: hits, to: fs.event, fields: "{{ record }}"}}
"""
EVENT = '"visitor_id": "v", "category": "ACTION_TRACKING", "action": "a"'


def limited(tmp_path: Path, policy: str, *rows: str) -> tuple[Shop, Any]:
    shop = Shop(tmp_path, LIMITED % policy)
    shop.write("hits.jsonl", "".join(f"{{{row}}}\n" for row in rows))
    return shop, shop.run()


LONG = '"label": "' + "é" * 300 + '"'


def test_a_hit_that_breaks_a_limit_is_rejected_with_its_field(tmp_path: Path) -> None:
    shop, outcome = limited(tmp_path, "reject", f"{EVENT}, {LONG}", EVENT, f'{EVENT}, "label": 5', '"category": "X"')
    assert outcome.exit == 1 and len(shop.flagship.hits) == 1
    told = {letter["origin"]["line"]: (letter["code"], letter["reason"]) for letter in shop.letters}
    assert told[1] == ("hit-length", "event hit: label has 600 bytes, more than 500.")
    assert told[3][0] == "invalid-payload" and "label" in told[3][1]
    assert told[4][0] == "invalid-payload"


def test_a_text_can_be_cut_instead(tmp_path: Path) -> None:
    shop, outcome = limited(tmp_path, "truncate", f"{EVENT}, {LONG}")
    assert outcome.exit == 0 and shop.flagship.hits[0]["el"] == "é" * 250
    assert any("label" in note and "cut" in note for note in outcome.report["warnings"])


def test_an_optional_field_can_be_dropped_instead(tmp_path: Path) -> None:
    rows = (f"{EVENT}, {LONG}", f'{EVENT}, "label": 5', f"{EVENT.replace(chr(34) + 'a' + chr(34), '5')}")
    shop, outcome = limited(tmp_path, "drop_field", *rows)
    assert outcome.exit == 1 and ["el" in hit for hit in shop.flagship.hits] == [False, False]
    assert [letter["origin"]["line"] for letter in shop.letters] == [3]


def test_an_event_value_that_is_none_is_left_out_with_a_warning(tmp_path: Path) -> None:
    shop, outcome = limited(
        tmp_path, "reject", f'{EVENT}, "value": 0', f'{EVENT}, "value": "9"', f'{EVENT}, "value": 9'
    )
    assert outcome.exit == 0 and [hit.get("ev") for hit in shop.flagship.hits] == [None, None, 9]
    assert sum(outcome.report["warnings"].values()) == 2


def test_nulls_say_nothing_and_numbers_as_ids_become_their_digits(tmp_path: Path) -> None:
    row = EVENT.replace('"visitor_id": "v"', '"visitor_id": 7, "anonymous_id": null, "label": null')
    shop, outcome = limited(tmp_path, "reject", row)
    assert outcome.exit == 0 and shop.flagship.hits[0]["vid"] == "7" and "el" not in shop.flagship.hits[0]


@pytest.mark.parametrize("row", [EVENT.replace('"v"', '""'), EVENT.replace('"v"', "null"), '"action": "a"'])
def test_a_hit_without_a_visitor_is_a_dead_letter(tmp_path: Path, row: str) -> None:
    shop, outcome = limited(tmp_path, "reject", row, EVENT)
    assert outcome.exit == 1 and len(shop.letters) == len(shop.flagship.hits) == 1


@pytest.mark.parametrize("moment", ['"yesterday"', '"2026-13-01"', "-1.5"])
def test_a_moment_that_is_none_is_rejected(tmp_path: Path, moment: str) -> None:
    shop, outcome = limited(tmp_path, "reject", f'{EVENT}, "occurred_at": {moment}')
    assert outcome.exit == 1 and "occurred_at" in shop.letters[0]["reason"]


def test_of_a_batch_only_the_bad_hit_is_rejected(tmp_path: Path) -> None:
    shop = Shop(tmp_path, LIMITED.replace("%s", "reject, batch: true"))
    shop.write("hits.jsonl", "".join(f"{{{EVENT}{', ' + LONG if n == 4 else ''}}}\n" for n in range(9)))
    assert shop.run().exit == 1
    assert [letter["origin"]["line"] for letter in shop.letters] == [5]
    assert len(shop.flagship.hits) == 8 and len(shop.requests) == 1


# --- activations and contexts ------------------------------------------------------------------------------------


EXPOSED = """
  shown:
    from: customers
    to: fs.activate
    when: "{{ 'btn-color' in flags.info }}"
    fields:
      visitor_id: "{{ record.id }}"
      variation_group_id: "{{ flags.info['btn-color'].variationGroupId }}"
      variation_id: "{{ flags.info['btn-color'].variationId }}"
  known:
    from: customers
    to: fs.context
    fields: {visitor_id: "{{ record.id }}", context: {country: "{{ record.country }}", fs_users: secret, odd: "{{ none }}"}}
"""


@pytest.mark.parametrize("batch", ["", ", batch: true"])
def test_activation_after_exposure_and_contexts(tmp_path: Path, batch: str) -> None:
    text = flags(ROWS + EXPOSED).replace(
        "{type: flagship, connection: ab}", f"{{type: flagship, connection: ab{batch}}}"
    )
    shop = Shop(tmp_path, text)
    shop.write("customers.csv", customers(40))
    outcome = shop.run()
    assert outcome.exit == 0
    wanted = {(row["id"], row["assignments"][0]["variationId"]) for row in shop.out()}
    assert {(one["vid"], one["vaid"]) for one in shop.flagship.activations} == wanted
    assert len(shop.flagship.activations) == len(shop.flagship.contexts) == 40
    assert all(one["data"]["country"] in ("FR", "US") for one in shop.flagship.contexts)
    assert any("context key 'odd'" in note for note in outcome.report["warnings"])
    assert all(headers["x-sdk-client"] == "python" for headers in shop.headers("/activate"))


def test_an_activation_that_the_vendor_refuses_says_why(tmp_path: Path) -> None:
    shop = Shop(tmp_path, flags(EXPOSED.replace("\"{{ flags.info['btn-color'].variationId }}\"", "gone")))
    shop.write("customers.csv", customers(1))
    refused = Response(400, {}, b'{"message": "{\\"status\\": \\"error\\"}"}')
    outcome = shop.run(handle=lambda r: refused if "activate" in r.url else shop.world.handle(r))
    assert outcome.exit == 1 and "HTTP 400" in shop.letters[0]["reason"]


# --- panic -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["bucketing", "decision_api"])
def test_panic_suppresses_hits_and_counts_them(tmp_path: Path, mode: str) -> None:
    shop = Shop(
        tmp_path,
        flags(
            ROWS + SEEN.replace("action: seen", "action: \"{{ 'seen' if flags.panic else 's' }}\""), f", mode: {mode}"
        ),
    )
    shop.flagship.panic = True
    shop.write("customers.csv", customers(30))
    outcome = shop.run()
    assert outcome.exit == 0 and shop.letters == [] and shop.flagship.hits == []
    assert outcome.report["mappings"]["seen"]["dropped"] == 30
    assert sum(count for note, count in outcome.report["warnings"].items() if "panic" in note) == 30
    assert [(row["panic"], row["flags"], row["assignments"]) for row in shop.out()] == [(True, {}, [])] * 30
    shop.flagship.panic = False
    again = shop.run()
    assert again.report["mappings"]["seen"]["delivered"] == 30 == len(shop.flagship.hits)


def test_a_sink_alone_obeys_the_file_and_follows_its_polls(tmp_path: Path) -> None:
    text = flags(SEEN).replace("{type: flagship, connection: ab}", "{type: flagship, connection: ab, concurrency: 1}")
    shop = Shop(tmp_path, text, [{"path": "/", "vendor": "flagship", "delay": 1}])
    shop.write("customers.csv", customers(200))

    def handle(request: Any) -> Response:
        shop.flagship.panic = 70 < shop.clock.now() < 150
        return shop.world.handle(request)

    outcome = shop.run(handle=handle)
    counts = outcome.report["mappings"]["seen"]
    assert outcome.exit == 0 and counts["dropped"] > 0 and counts["delivered"] > 60
    assert counts["dropped"] + counts["delivered"] == 200


# --- kills ----------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """A kill, as far as a process can die inside itself: nothing is tidied up."""


def mortal(shop: Shop, exchanges: int, *, before: bool) -> Any:
    """The pretend world for so many exchanges; the last is killed before the vendor does its work, or after it."""
    left = iter(range(exchanges, -1, -1))

    def handle(request: Any) -> Response:
        last = next(left) == 1
        if last and before:
            raise Killed
        answer = shop.world.handle(request)
        if last:
            raise Killed
        return answer

    return handle


@pytest.mark.parametrize("batch", ["", ", batch: {max_records: 4}"])
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_exchange_no_hit_is_lost_and_items_still_follow(tmp_path: Path, seed: int, batch: str) -> None:
    shop = Shop(tmp_path, ORDERS % batch, [{"ratio": 0.1, "seed": seed, "status": 503}])
    shop.write("orders.jsonl", orders(120))
    lives = 0
    while lives < 60:
        try:
            outcome = shop.run(handle=mortal(shop, shop.chance.randint(3, 40), before=bool(lives % 2)))
            break
        except Killed:
            lives += 1
    assert lives > 1 and outcome.exit == 0 and shop.letters == []
    assert sets(shop.flagship.hits) == WANTED
    assert sum(outcome.report["mappings"][name]["delivered"] for name in ("transactions", "items")) == len(WANTED)
    assert len(shop.flagship.hits) - len(WANTED) <= lives * 8 * 4, "a kill repeats at most what was in flight"
