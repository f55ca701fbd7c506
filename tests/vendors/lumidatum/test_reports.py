"""Reports out of Lumidatum: found, fetched, unpacked, read; cut, packed too well, or not there."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from engine.model import Response, WireRequest
from engine.runtime.unpacking import FREE
from tests.vendors.lumidatum.runs import Killed, Shop, authorization

KEY = "reports/123/LTV/2017-07-21T194816Z.csv"
STORED = f"https://storage.lumidatum.test/{KEY}"
SALES = [{"id": f"s{n}", "user_id": n % 3, "total": 10.5 * n} for n in range(1, 10)]


def text(*, source: str = "", kind: str = "lumidatum_report", fields: str = "") -> str:
    fields = fields or '{id: "{{ record.customer_id }}", ltv: "{{ record.ltv | float }}", at: "{{ meta.timestamp }}"}'
    return f"""
sources:
  report: {{type: {kind}, connection: lumi, report: ltv{source and ", " + source}}}
sinks:
  out: {{type: file, path: out.jsonl}}
mappings:
  all: {{from: report, to: out, fields: {fields}}}
"""


def shop_with_sales(folder: Path, pipeline: str, faults: list[Any] | None = None, **settings: Any) -> Shop:
    shop = Shop(folder, pipeline, faults, **settings)
    for sale in SALES:
        shop.vendor.model(123).store("transactions", sale)
    return shop


def table(rows: int) -> bytes:
    return b"customer_id,ltv\n" + b"".join(b"%d,%d.25\n" % (n, n) for n in range(rows))


def zipped(content: bytes, *names: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names or ("ltv.csv",):
            archive.writestr(name, content)
    return out.getvalue()


def put(shop: Shop, content: bytes, key: str = KEY) -> None:
    shop.vendor.put_report(123, key, content)


@pytest.mark.parametrize("packed", ["true", "false"])
def test_rows_carry_the_date_of_the_report(packed: str, tmp_path: Path) -> None:
    shop = shop_with_sales(tmp_path, text(source=f"zipped: {packed}"))
    assert shop.run().exit == 0
    assert [row["id"] for row in shop.output("out.jsonl")] == ["1", "2", "0"]
    assert {row["at"] for row in shop.output("out.jsonl")} == {"2017-07-21T19:48:16Z"}
    assert [method for method, _ in shop.paths] == ["GET", "POST", "GET"]
    assert [authorization(one) is None for one in shop.sent] == [False, False, True]
    assert list((tmp_path / ".engine" / "fetched").rglob("*.*")) == []


@pytest.mark.parametrize("pack", [bytes, zipped, gzip.compress], ids=["plain", "zip", "gzip"])
@pytest.mark.parametrize("name", [KEY, KEY + ".zip"])
def test_what_comes_is_told_by_its_content(pack: Any, name: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(source=f"zipped: {str(name.endswith('zip')).lower()}"))
    put(shop, pack(table(1000)), name)
    assert shop.run().exit == 0
    assert len(shop.output("out.jsonl")) == 1000


def test_sub_types(tmp_path: Path) -> None:
    shop = shop_with_sales(tmp_path, text(source="sub_type: high_value"))
    shop.vendor.model(123).store("transactions", {"id": "big", "user_id": "rich", "total": 900})
    assert shop.run().exit == 0
    assert [row["id"] for row in shop.output("out.jsonl")] == ["rich"]
    assert "sub_type=high_value" in shop.sent[0].url


def test_no_report_yet_fails_or_is_empty(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text())
    outcome = shop.run()
    assert outcome.exit == 3
    assert "Requested item does not exist." in str(outcome.error)
    shop = Shop(tmp_path, text(source="on_missing: empty"))
    assert shop.run(fresh=True).exit == 0
    assert shop.output("out.jsonl") == []


def test_a_kept_file_replaces_the_old_one_at_once(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(source="zipped: false, save_to: kept/ltv.csv"))
    (tmp_path / "kept").mkdir()
    shop.write("kept/ltv.csv", "old")
    put(shop, table(5000))

    def watching(request: WireRequest) -> Response:
        assert (tmp_path / "kept/ltv.csv").read_text() == "old"
        return shop.world.handle(request)

    assert shop.run(watching).exit == 0
    assert (tmp_path / "kept/ltv.csv").read_bytes() == table(5000)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["ltv.csv"]
    assert len(shop.output("out.jsonl")) == 5000


@pytest.mark.parametrize("cut", [0, 1, 20_000])
def test_a_cut_download_goes_on_where_it_was_cut(cut: int, tmp_path: Path) -> None:
    shop = Shop(
        tmp_path, text(source="zipped: false, save_to: ltv.csv"), [{"vendor": "storage", "nth": [1], "cut": cut}]
    )
    shop.write("ltv.csv", "old")
    put(shop, table(5000))
    assert shop.run().exit == 0
    assert (tmp_path / "ltv.csv").read_bytes() == table(5000)
    again = shop.sent[-1]
    assert again.url == shop.sent[-2].url
    assert again.headers.get("Range") == (f"bytes={cut}-" if cut else None)


def test_a_download_that_never_ends_leaves_the_old_file(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(source="zipped: false, save_to: ltv.csv"), [{"vendor": "storage", "cut": 10}])
    shop.write("ltv.csv", "old")
    put(shop, table(5))
    shop.vendor.storage.handle = lambda _: Response(200, {}, b"x" * 20)  # type: ignore[method-assign] # no ETag: anew
    outcome = shop.run()
    assert outcome.exit == 3
    assert "10 of 20 bytes" in str(outcome.error)
    assert (tmp_path / "ltv.csv").read_text() == "old"


def test_a_kill_before_a_whole_download_has_its_name_does_not_stop_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path, text(source="zipped: false"))
    put(shop, table(5000))

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("engine.runtime.readers.os.replace", killed)
        shop.run()
    assert shop.run().exit == 0
    assert len(shop.output("out.jsonl")) == 5000
    assert "Range" in shop.sent[-2].headers and "Range" not in shop.sent[-1].headers


def test_a_report_that_changed_meanwhile_is_brought_anew(tmp_path: Path) -> None:
    def changing(request: WireRequest) -> Response:
        answer = shop.world.handle(request)
        if request.url.startswith(STORED):
            put(shop, table(50))
        return answer

    shop = Shop(tmp_path, text(source="zipped: false"), [{"vendor": "storage", "nth": [1], "cut": 100}])
    put(shop, table(5000))
    assert shop.run(changing).exit == 0
    assert "Range" in shop.sent[-1].headers
    assert len(shop.output("out.jsonl")) == 50


def test_a_signature_that_expired_is_asked_for_anew_once(tmp_path: Path) -> None:
    expired = {
        "vendor": "storage",
        "status": 403,
        "body": "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
    }
    shop = shop_with_sales(tmp_path, text(), [{**expired, "nth": [1]}])
    assert shop.run().exit == 0
    assert [method for method, _ in shop.paths] == ["GET", "POST", "GET", "POST", "GET"]
    shop = shop_with_sales(tmp_path, text(), [expired])
    outcome = shop.run(fresh=True)
    assert outcome.exit == 3 and "Request has expired" in str(outcome.error)
    assert len(shop.sent) == 5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped(b"0" * (FREE + 5)), "unpacks to more than"),
        (gzip.compress(b"0" * (FREE + 5)), "unpacks to more than"),
        (zipped(table(3), "a.csv", "b.csv"), "holds 2 files"),
        (zipped(table(3))[:60], "is damaged"),
        (gzip.compress(table(300))[:-20], "is damaged"),
        (b"PK\x05\x06" + bytes(18), "holds 0 files"),
    ],
    ids=["zip-bomb", "gzip-bomb", "two", "cut-zip", "cut-gzip", "none"],
)
def test_hostile_archives_are_refused(content: bytes, words: str, tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(source="zipped: false"))
    put(shop, content)
    outcome = shop.run()
    assert outcome.exit == 3
    assert words in str(outcome.error)
    assert not (tmp_path / "out.jsonl").exists()


def test_names_in_an_archive_are_no_paths(tmp_path: Path) -> None:
    shop = Shop(tmp_path, text(source="zipped: false"))
    put(shop, zipped(table(3), "../../evil.csv"))
    assert shop.run().exit == 0
    assert not list(tmp_path.parent.rglob("evil.csv"))


def test_a_column_that_is_not_there_is_found_before_anything_is_written(tmp_path: Path) -> None:
    shop = shop_with_sales(tmp_path, text(fields='{id: "{{ record.customer }}"}'))
    outcome = shop.run()
    assert outcome.exit == 2
    assert "customer" in str(outcome.error)
    assert not (tmp_path / "out.jsonl").exists()


def test_a_resumed_run_reads_the_report_it_began_with(tmp_path: Path) -> None:
    pipeline = text(source="zipped: false").replace(
        "out: {type: file, path: out.jsonl}", "out: {type: lumidatum, connection: lumi, via: inline}"
    ).replace("to: out", "to: out.users").replace("ltv | float", "ltv")  # fmt: skip
    shop = Shop(tmp_path, pipeline)
    put(shop, table(9000))

    def mortal(request: WireRequest) -> Response:
        if len(shop.sent) == 6:
            raise Killed
        return shop.world.handle(request)

    with pytest.raises(Killed):
        shop.run(mortal)
    put(shop, b"customer_id,ltv\nnew,1\n", "reports/123/LTV/2018-01-01T000000Z.csv")
    before = len(shop.sent)
    outcome = shop.run()
    assert outcome.exit == 0 and outcome.report["resumed"]
    assert {method for method, _ in shop.paths[before:]} == {"POST"}  # nothing is listed or fetched again
    assert sorted(int(row["id"]) for row in shop.table("users")) == list(range(9000))


def test_dates_are_records_newest_first(tmp_path: Path) -> None:
    shop = shop_with_sales(tmp_path, text(kind="lumidatum_report_dates", fields='{at: "{{ record.timestamp }}"}'))
    assert shop.run().exit == 0
    dates = [row["at"] for row in shop.output("out.jsonl")]
    assert dates == ["2017-07-21T19:48:16Z", "2017-07-14T19:40:02Z", "2017-07-07T19:41:55Z"]


def test_only_new_dates_are_read_where_the_source_is_appended_to(tmp_path: Path) -> None:
    shop = shop_with_sales(
        tmp_path, text(kind="lumidatum_report_dates", source="mode: append", fields='{at: "{{ record.timestamp }}"}')
    )
    assert shop.run().report["sources"]["report"]["read"] == 3
    for date in ("2017-07-07T194155Z", "2017-07-14T194002Z", "2017-07-21T194816Z", "2017-07-28T000000Z"):
        put(shop, b"customer_id,ltv\n", f"reports/123/LTV/{date}.csv")
    outcome = shop.run()
    assert outcome.exit == 0
    assert [row["at"] for row in shop.output("out.jsonl")] == ["2017-07-28T00:00:00Z"]


def test_an_html_page_is_no_listing(tmp_path: Path) -> None:
    shop = shop_with_sales(tmp_path, text(), [{"vendor": "lumidatum", "nth": [1, 2], "html": True}])
    assert shop.run().exit == 0
    assert len(shop.sent) == 5
