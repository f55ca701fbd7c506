"""Data into Lumidatum: batches, files, models, and what is bad in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.model import Response, WireRequest
from engine.runners.local import PlanFailed
from tests.vendors.lumidatum.recorder import multipart
from tests.vendors.lumidatum.runs import Killed, Shop, jsonl

DATA = ("POST", "https://www.lumidatum.com/api/data")
STORAGE = ("POST", "https://storage.lumidatum.test/app-data")
EXPIRED = "<Error><Code>AccessDenied</Code><Message>Invalid according to Policy: Policy expired.</Message></Error>"


def text(*, sink: str = "", mapping: str = "", action: str = "users", source: str = "rows.jsonl") -> str:
    return f"""
sources:
  rows: {{type: file, path: {source}}}
sinks:
  lumi: {{type: lumidatum, connection: lumi{sink and ", " + sink}}}
mappings:
  all: {{from: rows, to: lumi.{action}, fields: "{{{{ record }}}}"{mapping and ", " + mapping}}}
"""


def sizes(shop: Shop) -> list[int]:
    return [len(body.split(b"\n")) for body in shop.bodies]


# --- inline -------------------------------------------------------------------------------------------------------


def test_records_go_in_batches_bounded_by_count(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: inline, concurrency: 1"))
    shop.write("rows.jsonl", jsonl(2500))
    assert shop.run().exit == 0
    assert sizes(shop) == [1000, 1000, 500]
    assert [row["id"] for row in shop.table("users")] == list(range(2500))
    assert {request.url for request in shop.sent} == {
        "https://www.lumidatum.com/api/data?model_id=123&data_type=users"
    }
    assert {request.headers["Content-Type"] for request in shop.sent} == {"application/json"}


def test_and_by_bytes(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: inline, concurrency: 1"))
    shop.write("rows.jsonl", jsonl(50, v="x" * 100_000))
    assert shop.run().exit == 0
    assert max(map(len, shop.bodies)) <= 1024 * 1024
    assert len(shop.bodies) == 5
    assert len(shop.table("users")) == 50


def test_the_bounds_can_be_moved(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: inline, concurrency: 1, batch: {max_records: 2000, max_bytes: 8MiB}"))
    shop.write("rows.jsonl", jsonl(2500, v="x" * 1000))
    assert shop.run().exit == 0
    assert sizes(shop) == [2000, 500]


@pytest.mark.parametrize("kind", ["users", "items", "transactions", "feedback"])
def test_arrays_are_sent_where_wanted(kind: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: inline, format: array", action=kind))
    shop.write("rows.jsonl", '{"id": 1, "n": "Łódź\\n"}\n{"id": 2}\n')
    assert shop.run().exit == 0
    assert json.loads(shop.bodies[0]) == [{"id": 1, "n": "Łódź\n"}, {"id": 2}]
    assert len(shop.table(kind)) == 2


# --- models -------------------------------------------------------------------------------------------------------


def test_the_model_may_be_the_mappings_or_the_records(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: inline, concurrency: 1", mapping='model_id: "{{ record.m }}"'))
    shop.write("rows.jsonl", '{"id": 1, "m": 123}\n{"id": 2, "m": "456"}\n{"id": 3, "m": 123}\n')
    assert shop.run().exit == 0
    assert [row["id"] for row in shop.table("users")] == [1, 3]
    assert [row["id"] for row in shop.table("users", "456")] == [2]
    shop = Shop(tmp_path, text(sink="via: inline", mapping="model_id: 456"))
    assert shop.run(fresh=True).exit == 0
    assert len(shop.table("users", "456")) == 3


def test_records_of_an_unknown_model_are_named_and_the_rest_is_delivered(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: inline, concurrency: 1", mapping='model_id: "{{ record.m }}"'))
    shop.write(
        "rows.jsonl", '{"id": 1, "m": 123}\n{"id": 2, "m": 9}\n{"id": 3, "m": ""}\n{"id": 4, "m": 9}\n{"id": 5}\n'
    )
    outcome = shop.run()
    assert outcome.exit == 1
    assert [row["id"] for row in shop.table("users")] == [1]
    told = {letter["origin"]["line"]: (letter["code"], letter["reason"]) for letter in shop.letters}
    assert sorted(told) == [2, 3, 4, 5]
    assert told[2][0] == told[4][0] == "unknown-model"
    assert "Requested item does not exist." in told[2][1]
    assert told[3][0] == "no-model"
    assert "m" in told[5][1]


def test_a_wrong_model_of_the_account_halts(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: inline, model_id: 9"))
    shop.write("rows.jsonl", jsonl(3))
    outcome = shop.run()
    assert outcome.exit == 3
    assert "Requested item does not exist." in str(outcome.error) and "model id" in str(outcome.error)
    assert shop.letters == []


def test_no_model_at_all_is_found_before_anything_is_sent(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: inline"))
    shop.text = shop.text.replace(", model_id: 123", "")
    shop.write("rows.jsonl", jsonl(3))
    with pytest.raises(PlanFailed, match="model_id"):
        shop.run()
    assert shop.sent == []


def test_other_sinks_take_no_model(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(mapping="model_id: 1"))
    shop.text = shop.text.replace("type: lumidatum, connection: lumi}\nm", "type: discard}\nm").replace(
        "lumi.users", "lumi"
    )
    shop.write("rows.jsonl", jsonl(1))
    with pytest.raises(PlanFailed, match="takes no model_id"):
        shop.run()


# --- bad records --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("via", ["inline", "file", "auto"])
def test_of_100_000_records_the_bad_are_named_and_the_rest_arrives(via: str, tmp_path: Path) -> None:
    bad = {7: "5", 500: "[1, 2]", 40_000: '{"id": 1, "v": NaN}', 77_777: '"text"', 99_999: '{"id": 2, "v": -Infinity}',
           100_000: "null"}  # fmt: skip
    lines = [f'{{"id": {n}}}' for n in range(1, 100_001)]
    for number, line in bad.items():
        lines[number - 1] = line
    shop = Shop(tmp_path, text(sink=f"via: {via}"))
    shop.write("rows.jsonl", "\n".join(lines) + "\n")
    outcome = shop.run()
    assert outcome.exit == 1
    assert sorted(letter["origin"]["line"] for letter in shop.letters) == sorted(bad)
    assert {letter["origin"]["line"]: letter["record"].strip() for letter in shop.letters} == bad
    assert len(shop.table("users")) == 100_000 - len(bad)
    assert outcome.report["mappings"]["all"]["delivered"] == 100_000 - len(bad)


def test_a_number_that_is_none_is_refused_with_its_record(tmp_path: Path) -> None:
    shop = Shop(
        tmp_path,
        text(sink="via: inline", source="rows.csv").replace(
            '"{{ record }}"', '{id: "{{ record.id }}", v: "{{ record.v | float }}"}'
        ),
    )
    shop.write("rows.csv", "id,v\n1,2.5\n2,nan\n3,inf\n4,1e999\n5,1\n")
    assert shop.run().exit == 1
    assert [row["id"] for row in shop.table("users")] == ["1", "5"]
    assert sorted(letter["key"] or letter["record"]["id"] for letter in shop.letters) == ["2", "3", "4"]


def test_what_the_service_refuses_is_found_by_halves(tmp_path: Path) -> None:
    def picky(request: WireRequest) -> Response:
        if b'"id":13}' in request.body:  # type: ignore[operator]
            return Response(400, {}, b'{"error": "Invalid data."}')
        return shop.world.handle(request)

    shop = Shop(tmp_path, text(sink="via: inline"))
    shop.write("rows.jsonl", jsonl(100))
    assert shop.run(picky).exit == 1
    (letter,) = shop.letters
    assert letter["origin"]["line"] == 14
    assert "Invalid data." in letter["reason"]
    assert len(shop.table("users")) == 99


# --- one file -----------------------------------------------------------------------------------------------------


def test_a_file_is_gathered_and_uploaded_as_a_form(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: file", action="transactions"))
    shop.write("rows.jsonl", jsonl(2500, note="a\nb"))
    outcome = shop.run()
    assert outcome.exit == 0
    assert shop.paths == [DATA, STORAGE]
    asked = json.loads(shop.bodies[0])
    parts = multipart(shop.bodies[1], shop.sent[1].headers["Content-Type"])  # type: ignore[arg-type]
    assert [name for name, _ in parts] == [
        "key",
        "AWSAccessKeyId",
        "acl",
        "policy",
        "signature",
        "Content-Type",
        "file",
    ]
    content = parts[-1][1]
    assert (asked["model_id"], asked["data_type"], asked["file_size"]) == ("123", "transactions", len(content))
    assert [json.loads(line)["id"] for line in content.splitlines()] == list(range(2500))
    assert outcome.report["mappings"]["all"]["delivered"] == 2500
    assert shop.vendor.files[0]["records"] == 2500
    assert list((tmp_path / ".engine").rglob("*.part")) == []


def test_a_file_for_each_model(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: file", mapping='model_id: "{{ record.m }}"'))
    shop.write("rows.jsonl", "".join(f'{{"id": {n}, "m": {[123, 456][n % 2]}}}\n' for n in range(10)))
    assert shop.run().exit == 0
    assert sorted(shop.paths) == sorted([DATA, STORAGE] * 2)
    assert (len(shop.table("users")), len(shop.table("users", "456"))) == (5, 5)
    names = [json.loads(body)["file_name"] for body in shop.bodies if body.startswith(b"{")]
    assert len(set(names)) == 2


def test_without_fields_it_is_put(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: file"), presign="put")
    shop.write("rows.jsonl", jsonl(3))
    assert shop.run().exit == 0
    assert shop.paths == [DATA, ("PUT", "https://storage.lumidatum.test/put")]
    assert len(shop.table("users")) == 3


def test_nothing_to_send_is_no_file(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: file"))
    shop.write("rows.jsonl", "")
    assert shop.run().exit == 0
    assert shop.sent == []


def test_auto_sends_the_first_inline_and_the_rest_as_a_file(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: auto, inline_up_to: 1500, concurrency: 1"))
    shop.write("rows.jsonl", jsonl(4000))
    assert shop.run().exit == 0
    assert shop.paths == [DATA, DATA, DATA, STORAGE]
    assert sizes(shop)[:2] == [1000, 500]
    assert [row["id"] for row in shop.table("users")] == list(range(4000))


def test_a_little_is_inline_by_itself(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text())
    shop.write("rows.jsonl", jsonl(10))
    assert shop.run().exit == 0
    assert shop.paths == [DATA]


@pytest.mark.parametrize(
    ("fault", "paths"),
    [
        ({"vendor": "storage", "nth": [1], "status": 403, "body": EXPIRED}, [DATA, STORAGE, DATA, STORAGE]),
        ({"vendor": "storage", "nth": [1], "status": 503, "body": "<Error><Code>SlowDown</Code></Error>"}, [DATA, STORAGE, STORAGE]),
        ({"vendor": "storage", "nth": [1], "reset": "before"}, [DATA, STORAGE, STORAGE]),
        ({"vendor": "lumidatum", "nth": [1], "html": True}, [DATA, DATA, STORAGE]),
        ({"vendor": "lumidatum", "nth": [1], "status": 429, "retry_after": 30}, [DATA, DATA, STORAGE]),
    ],
    ids=["expired", "slow-down", "reset", "html", "throttled"],
)  # fmt: skip
def test_an_upload_survives(fault: dict[str, Any], paths: list[Any], tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: file"), [fault])
    shop.write("rows.jsonl", jsonl(20))
    outcome = shop.run()
    assert outcome.exit == 0, outcome.report
    assert shop.paths == paths
    assert len(shop.table("users")) == 20


def test_a_policy_that_expires_twice_halts_with_the_words_of_storage(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: file"), [{"vendor": "storage", "status": 403, "body": EXPIRED}])
    shop.write("rows.jsonl", jsonl(20))
    outcome = shop.run()
    assert outcome.exit == 3
    assert shop.paths == [DATA, STORAGE, DATA, STORAGE]
    assert "Policy expired" in str(outcome.error)
    assert outcome.report["mappings"]["all"]["delivered"] == 0


def test_a_refused_upload_keeps_its_file_and_the_next_start_sends_it(tmp_path: Path) -> None:
    denied = {"vendor": "storage", "nth": [1], "status": 403, "body": "<Error><Code>AccessDenied</Code></Error>"}
    shop = Shop(tmp_path, text(sink="via: file"), [denied])
    shop.write("rows.jsonl", jsonl(20))
    outcome = shop.run()
    assert outcome.exit == 3 and "AccessDenied" in str(outcome.error)
    outcome = shop.run()
    assert outcome.exit == 0 and outcome.report["resumed"]
    assert outcome.report["mappings"]["all"]["delivered"] == 20
    assert shop.vendor.files == [{"file": "shop-users.json", "kind": "users", "records": 20, "error": None}]


@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_kill_at_any_request_loses_nothing(after: int, tmp_path: Path) -> None:
    def mortal(request: WireRequest) -> Response:
        if len(shop.sent) == after:
            raise Killed
        return shop.world.handle(request)

    shop = Shop(tmp_path, text(sink="via: auto, inline_up_to: 1000, concurrency: 1"))
    shop.write("rows.jsonl", jsonl(5000))
    try:
        shop.run(mortal)
    except Killed:
        outcome = shop.run()
        assert outcome.exit == 0
        assert outcome.report["mappings"]["all"]["delivered"] == 5000
    else:
        assert after > len(shop.sent)
    assert sorted(row["id"] for row in shop.table("users")) == list(range(5000))
    uploaded = [one for one in shop.vendor.files if one["records"]]
    assert {one["records"] for one in uploaded} <= {4000, 5000}
    assert all(one["error"] is None for one in uploaded)


def test_a_limit_leaves_the_file_for_the_next_start(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(sink="via: file"))
    shop.write("rows.jsonl", jsonl(30))
    shop.run(limit=10)
    assert shop.sent == []
    outcome = shop.run()
    assert outcome.exit == 0
    assert [row["id"] for row in shop.table("users")] == list(range(30))
