"""A vendor that is down: few ask whether it is back, nothing is lost, nothing dead-lettered; or the run halts in time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.errors import NoAnswer
from engine.model import Response, WireRequest
from engine.plugin import Vendor
from engine.registry import Registry
from engine.runtime.pace import SharedBucket
from tests.runtime.runs import USERS, World, customers
from tests.runtime.talking import Talks, names, ok
from tests.vendors.flagship import running as flagship
from tests.vendors.lumidatum import runs as lumidatum
from tests.vendors.lumidatum import test_lookups as questions
from tests.vendors.lumidatum import test_reports as reports
from tests.vendors.lumidatum import test_sink as data

FIVE_MINUTES = 300.0
PROBES = 18  # in five minutes, at the default `retry`: 0.25 + 0.5 + … + 16 s, then 30 s at least
LANES, IN_A_ROW = 16, 5

DOWN: dict[str, Callable[[], Response]] = {}


def down(word: str) -> Callable[[Callable[[], Response]], Callable[[], Response]]:
    def keep(answer: Callable[[], Response]) -> Callable[[], Response]:
        DOWN[word] = answer
        return answer

    return keep


@down("refused")
def _refused() -> Response:
    raise NoAnswer("cannot connect")


@down("503")
def _unavailable() -> Response:
    return Response(503, {}, b"<html>a bad hour</html>")


@down("gateway-page")
def _page() -> Response:
    return Response(200, {"content-type": "text/html"}, b"<html>back soon</html>")


@down("hangs")
def _hangs() -> Response:
    return Response(200, {}, b"{}", delay=1e6)


class Weather:
    """A vendor that is down for a while, from its third request on."""

    def __init__(self, shop: Any, how: str, seconds: float = FIVE_MINUTES, after: int = 2) -> None:
        self.shop, self.how, self.seconds, self.after = shop, how, seconds, after
        self.since: float | None = None
        self.seen = self.refused = 0

    def handle(self, request: WireRequest) -> Response:
        now = self.shop.clock.now()
        self.seen += 1
        if self.since is None and self.seen > self.after:
            self.since = now
        if self.since is not None and now < self.since + self.seconds:
            self.refused += 1
            return DOWN[self.how]()
        return self.shop.world.handle(request)


# --- every vendor of the registry ----------------------------------------------------------------------------


def users(folder: Path) -> Any:
    text = USERS.replace("crm: {type: iterable", "crm: {type: iterable, batch: {max_records: 10}") + (
        f"delivery: {{concurrency: {LANES}}}\n"
    )
    shop = World(folder, text)
    shop.write("customers.csv", customers(2000))
    shop.whole = lambda: len(shop.vendor.people.everybody) == 2000
    return shop


def hits(folder: Path) -> Any:
    text = flagship.flags(flagship.SEEN, account="").replace("fs: {", f"fs: {{concurrency: {LANES}, ")
    shop = flagship.Shop(folder, text)
    shop.write("customers.csv", flagship.customers(300))
    shop.whole = lambda: len([one for one in shop.world.received if b"seen" in one.body]) >= 300
    return shop


def decisions(folder: Path) -> Any:
    shop = flagship.Shop(folder, flagship.flags(account=", mode: decision_api"))
    shop.write("customers.csv", flagship.customers(300))
    shop.whole = lambda: len((folder / "out.jsonl").read_text().splitlines()) == 300
    return shop


def batches(folder: Path) -> Any:
    shop = lumidatum.Shop(folder, data.text(sink=f"via: inline, concurrency: {LANES}, batch: {{max_records: 10}}"))
    shop.write("rows.jsonl", lumidatum.jsonl(2000))
    shop.whole = lambda: sorted({row["id"] for row in shop.table("users")}) == list(range(2000))
    return shop


def asked(lookup: str) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        shop = questions.shop_with_items(folder, questions.text(lookup=lookup))
        shop.write("rows.csv", "id\n" + "".join(f"{n}\n" for n in range(200)))
        shop.whole = lambda: len(shop.output("out.jsonl")) == 200
        return shop

    return make


def fetched(kind: str) -> Callable[[Path], Any]:
    def make(folder: Path) -> Any:
        fields = '{id: "{{ meta.timestamp }}"}' if kind == "lumidatum_report" else "{id: '{{ record }}'}"
        shop = reports.shop_with_sales(folder, reports.text(kind=kind, fields=fields))
        shop.after, shop.whole = 0, lambda: len(shop.output("out.jsonl")) > 0
        return shop

    return make


CASES: dict[tuple[str, str], Callable[[Path], Any]] = {
    ("sinks", "iterable"): users,
    ("sinks", "flagship"): hits,
    ("sinks", "lumidatum"): batches,
    ("lookups", "flagship.decide"): decisions,
    **{("lookups", f"lumidatum.{name}"): asked(name) for name in (
        "recommendations", "recommendation_descriptions", "lifetime_value", "segmentation")},
    **{("sources", name): fetched(name) for name in ("lumidatum_report", "lumidatum_report_dates")},
}  # fmt: skip


def test_every_vendor_of_the_registry_has_its_outage():
    registry = Registry.builtin()
    vendors = {
        (kind, name)
        for kind in ("sinks", "lookups", "sources")
        for name in registry.names(kind)
        if isinstance(plugin := registry.load(kind, name), type) and issubclass(plugin, Vendor)
    }
    assert vendors == set(CASES)


@pytest.mark.parametrize("how", DOWN)
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_five_minutes_are_waited_out_in_one_run(tmp_path, case, how):
    shop = CASES[case](tmp_path)
    weather = Weather(shop, how, after=getattr(shop, "after", 2))
    outcome = shop.run(handle=weather.handle)
    assert outcome.exit == 0, outcome.report
    assert shop.whole()
    assert shop.letters == []
    assert weather.refused >= 3, "the outage was there"
    assert weather.refused <= LANES + IN_A_ROW + PROBES
    assert shop.clock.now() >= FIVE_MINUTES


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_shorter_patience_halts_in_time_and_the_next_start_goes_on(tmp_path, case):
    shop = CASES[case](tmp_path)
    if case[0] == "sources":
        pytest.skip("a reader's patience is no setting")
    kind = {"iterable": "{type: iterable,", "flagship": "{type: flagship,", "lumidatum": "{type: lumidatum,"}
    word = kind[case[1].partition(".")[0]]
    if case[0] == "lookups":
        shop.text = shop.text.replace("    with: {", "    retry: {give_up_after: 60s}\n    with: {")
    elif case[1] == "flagship":
        shop.text = shop.text.replace(
            f"fs: {{concurrency: {LANES},", f"fs: {{concurrency: {LANES}, retry: {{give_up_after: 60s}},"
        )
    else:
        lead, _, sink = shop.text.rpartition(word)
        shop.text = f"{lead}{word} retry: {{give_up_after: 60s}},{sink}"
    assert "give_up_after" in shop.text
    weather = Weather(shop, "503")
    outcome = shop.run(handle=weather.handle)
    assert outcome.exit == 3 and outcome.report["error"]["code"] == "unreachable"
    assert shop.clock.now() <= weather.since + 61.0, "since the first failure of the account, not of each request"
    assert weather.refused <= LANES + IN_A_ROW + PROBES
    shop.clock.sleep(FIVE_MINUTES)
    again = shop.run()
    assert again.exit == 0 and again.report["resumed"]
    assert shop.whole() and shop.letters == []


def test_the_run_says_whom_it_waits_for(tmp_path):
    class Told:
        def __init__(self):
            self.said, self.waits = [], []

        def say(self, text):
            self.said.append(text)

        def progress(self, progress):
            self.waits += progress.waits

    shop, told = users(tmp_path), Told()
    assert shop.run(handle=Weather(shop, "503").handle, observer=told).exit == 0
    assert len(told.said) == 1 and told.said[0].startswith("crm has not answered usably for ")
    assert "HTTP 503" in told.said[0] and "giving up in" in told.said[0]
    assert len(told.waits) > 100
    assert any("asking again in" in text for text in told.waits)


# --- what is asked while it is down --------------------------------------------------------------------------------


def test_while_it_is_down_one_asks_and_all_get_their_turn():
    asked: list[str] = []

    def handle(request):
        asked.append(names(request)[0])
        return Response(503) if talks.clock.now() < 200 else ok()

    talks = Talks(handle, lanes=8)
    talks.action.max_records = 1
    talks.offer(*(f"n{i}" for i in range(8)))
    talks.run()
    assert set(talks.log.fates.values()) == {"delivered"}
    failed = [moment for moment in talks.times if moment < 200]
    assert len(failed) <= 8 + PROBES
    asking = asked[8 : len(failed)]
    assert len(set(asking[:6])) == 6, "another one each time: one bad request must not speak for the vendor"


def test_one_request_that_always_fails_holds_nobody_else():
    """It may be the request that is bad, not the vendor."""

    def handle(request):
        return Response(500) if "n0" in names(request) else ok()

    talks = Talks(handle, lanes=4, give_up_after=120.0)
    talks.action.max_records = 1
    talks.offer(*(f"n{i}" for i in range(60)))
    talks.run()
    assert talks.log.fates == {f"n{i}": "delivered" for i in range(1, 60)} or len(talks.log.fates) >= 40
    assert talks.courier.halted.code == "unreachable"
    others = [moment for moment, sent in zip(talks.times, talks.sent, strict=True) if sent != ["n0"]]
    assert max(others) < 5.0


def test_a_success_forgives():
    answers = iter([Response(503)] * (IN_A_ROW - 1) + [ok()] + [Response(503)] * (IN_A_ROW - 1) + [ok()] * 9)
    talks = Talks(lambda _: next(answers), lanes=4)
    talks.action.max_records = 1
    talks.offer(*(f"n{i}" for i in range(8)))
    talks.run()
    assert set(talks.log.fates.values()) == {"delivered"}
    assert talks.courier.waits == []


def test_a_halt_of_one_who_waits_ends_the_run_for_all():
    talks = Talks(lambda _: Response(503), lanes=8, give_up_after=100.0)
    talks.action.max_records = 1
    talks.offer(*(f"n{i}" for i in range(30)))
    talks.run()
    assert talks.courier.halted.code == "unreachable" and talks.log.fates == {}
    assert talks.clock.now() <= 100.0


def test_429_is_no_outage():
    calls = []

    def handle(request):
        calls.append(1)
        return Response(429, {"retry-after": "1"}) if len(calls) < 30 else ok()

    talks = Talks(handle, lanes=4)
    talks.action.max_records = 1
    talks.offer(*(f"n{i}" for i in range(4)))
    talks.run()
    assert set(talks.log.fates.values()) == {"delivered"}
    assert talks.clock.now() <= 40.0


def test_shared_buckets_are_used_by_default_only_where_requests_leave_the_process(tmp_path):
    seen: list[bool] = []

    def look(work):
        seen.append(isinstance(work.plan.sinks["crm"].actions["update_user"].bucket, SharedBucket))

    shop = users(tmp_path)
    shop.run(prepare=look)
    shop.run(prepare=look, share_pace=True, fresh=True)
    shop.run(prepare=look, share_pace=True, dry=True)
    assert seen == [False, True, False]
