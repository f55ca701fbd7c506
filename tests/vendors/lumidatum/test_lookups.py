"""Model calls per record: both shapes of answers, equal questions once, failures as wanted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.model import Response, WireRequest
from tests.vendors.lumidatum.runs import Shop

ROWS = "id\n" + "".join(f"{n % 5}\n" for n in range(20))


def text(*, lookup: str = "recommendations", more: str = "", value: str = "{{ found }}") -> str:
    return f"""
sources:
  rows: {{type: file, path: rows.csv}}
lookups:
  found:
    type: lumidatum.{lookup}
    connection: lumi
    with: {{customer_id: "{{{{ record.id | int }}}}"}}
    {more}
sinks:
  out: {{type: file, path: out.jsonl}}
mappings:
  all: {{from: rows, to: out, fields: {{id: "{{{{ record.id }}}}", found: "{value}"}}}}
"""


def shop_with_items(folder: Path, pipeline: str, faults: list[Any] | None = None) -> Shop:
    shop = Shop(folder, pipeline, faults)
    for n in range(4):
        shop.vendor.model(123).store("items", {"id": n, "title": f"Item {n}"})
    shop.write("rows.csv", ROWS)
    return shop


def test_equal_questions_are_asked_once_and_order_is_kept(tmp_path: Path) -> None:
    shop = shop_with_items(tmp_path, text())
    assert shop.run().exit == 0
    assert len(shop.sent) == 5
    out = shop.output("out.jsonl")
    assert [row["id"] for row in out] == [str(n % 5) for n in range(20)]
    first = out[0]["found"]
    assert first["rows"] == [
        {"id": name, "score": score, "description": None} for name, score in first["raw"]["recommendations"]
    ]


@pytest.mark.parametrize(("cache", "kept"), [("{size: 10}", True), ("{size: 0}", False)])
def test_a_cache_lasts_for_the_run(cache: str, kept: bool, tmp_path: Path) -> None:
    shop = shop_with_items(tmp_path, text(more=f"cache: {cache}"))
    shop.write("rows.csv", "id\n" + "1\n" * 3000)
    assert shop.run().exit == 0
    assert (len(shop.sent) == 1) is kept
    assert len(shop.output("out.jsonl")) == 3000


def test_descriptions_come_in_the_other_shape(tmp_path: Path) -> None:
    shop = shop_with_items(tmp_path, text(lookup="recommendation_descriptions", value="{{ found.rows }}"))
    assert shop.run().exit == 0
    assert all(json.loads(body)["human_readable"] is True for body in shop.bodies)
    row = shop.output("out.jsonl")[0]["found"][0]
    assert row == {"id": row["id"], "score": None, "description": f"Item {row['id']}"}


@pytest.mark.parametrize(
    ("answer", "rows"),
    [
        ([[7, 1.0], [8, 0.5]], [(7, 1.0, None), (8, 0.5, None)]),
        ({"recommendations": [{"product_id": 7, "product_description": "x"}]}, [(7, None, "x")]),
        ({"recommendations": []}, []),
        ([7, "8"], [(7, None, None), ("8", None, None)]),
    ],
)
def test_shapes_that_were_seen(answer: Any, rows: list[Any], tmp_path: Path) -> None:
    shop = shop_with_items(tmp_path, text(value="{{ found.rows }}"))
    assert shop.run(lambda _: Response(200, {}, msgspec.json.encode(answer))).exit == 0
    found = [(row["id"], row["score"], row["description"]) for row in shop.output("out.jsonl")[0]["found"]]
    assert found == rows


@pytest.mark.parametrize("lookup", ["lifetime_value", "segmentation"])
def test_other_answers_are_handed_on_as_they_are(lookup: str, tmp_path: Path) -> None:
    answer = {"anything": [1, {"deep": None}]}
    shop = shop_with_items(tmp_path, text(lookup=lookup))
    assert shop.run(lambda _: Response(200, {}, msgspec.json.encode(answer))).exit == 0
    assert shop.output("out.jsonl")[0]["found"] == answer
    function = {"lifetime_value": "customervalue", "segmentation": "segmentation"}[lookup]
    assert shop.paths[0] == ("POST", f"https://www.lumidatum.com/api/{function}/123")


def picky(shop: Shop) -> Any:
    def handle(request: WireRequest) -> Response:
        if json.loads(request.body)["customer_id"] == 3:  # type: ignore[arg-type]
            return Response(400, {}, b'{"error": "Unknown customer."}')
        return shop.world.handle(request)

    return handle


def test_a_record_whose_question_is_refused_is_named(tmp_path: Path) -> None:
    shop = shop_with_items(tmp_path, text())
    assert shop.run(picky(shop)).exit == 1
    assert [letter["origin"]["line"] for letter in shop.letters] == [5, 10, 15, 20]
    assert {letter["stage"] for letter in shop.letters} == {"lookup"}
    assert all("Unknown customer." in letter["reason"] for letter in shop.letters)
    assert len(shop.output("out.jsonl")) == 16


def test_or_null_stands_for_it(tmp_path: Path) -> None:
    shop = shop_with_items(tmp_path, text(more="on_error: null", value="{{ found.rows if found else [] }}"))
    assert shop.run(picky(shop)).exit == 0
    out = shop.output("out.jsonl")
    assert [row["found"] == [] for row in out] == [row["id"] == "3" for row in out]


def test_or_it_halts(tmp_path: Path) -> None:
    shop = shop_with_items(tmp_path, text(more="on_error: halt"))
    outcome = shop.run(picky(shop))
    assert outcome.exit == 3 and "Unknown customer." in str(outcome.error)


def test_an_answer_of_no_known_shape_is_no_recommendation(tmp_path: Path) -> None:
    shop = shop_with_items(tmp_path, text())
    assert shop.run(lambda _: Response(200, {}, b'{"recommendations": 5}')).exit == 1
    assert {letter["code"] for letter in shop.letters} == {"unexpected-answer"}


def test_an_html_page_is_asked_again(tmp_path: Path) -> None:
    shop = shop_with_items(tmp_path, text(), [{"vendor": "lumidatum", "first": 2, "html": True}])
    assert shop.run().exit == 0
    assert len(shop.sent) == 7


def test_a_wrong_model_halts(tmp_path: Path) -> None:
    shop = shop_with_items(tmp_path, text(more="model_id: 9"))
    outcome = shop.run()
    assert outcome.exit == 3 and "model id" in str(outcome.error)
