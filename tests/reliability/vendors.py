"""F7 to F17: what vendors and networks do, over every vendor of the registry, on simulated time.

Each pipeline meets each fault on a third of its requests (what lasts is on all of them). The runs are the real
runtime; the pretend vendors and the cases are those of the outage tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.model import Response, WireRequest
from engine.sandbox.faults import announced, fault, in_process
from tests.reliability.row import Row, Size, timed
from tests.runtime.limits import measure_limits
from tests.runtime.runs import USERS, World, customers
from tests.runtime.test_outage import CASES, DOWN, Weather

PASSING: list[tuple[str, str, dict[str, Any]]] = [
    ("F7", "429, Retry-After in seconds", {"status": 429, "retry_after": 3}),
    ("F7", "429, Retry-After as a date", {"status": 429, "retry_after": "Tue, 14 Nov 2023 22:13:30 GMT",
                                          "headers": {"Date": "Tue, 14 Nov 2023 22:13:20 GMT"}}),
    ("F7", "429, Retry-After is no time", {"status": 429, "retry_after": "soon"}),
    ("F7", "429 alone", {"status": 429}),
    ("F9", "500", {"status": 500}),
    ("F9", "502 with a gateway's page", {"status": 502, "body": "<html>bad gateway</html>"}),
    ("F9", "503", {"status": 503}),
    ("F9", "504", {"status": 504}),
    ("F10", "reset before processing", {"reset": "before"}),
    ("F10", "reset after processing", {"reset": "after"}),
    ("F10", "500 after processing", {"status": 500, "after": True}),
    ("F10", "no answer in time", {"delay": 1000}),
    ("F11", "answer drips too slowly", {"drip": 1000}),
    ("F12", "200 with an HTML page", {"html": True, "headers": {"content-type": "text/html"}}),
    ("F12", "200 cut short", {"cut": 7}),
    ("F12", "200 with broken JSON", {"invalid_json": True}),
    ("F12", "200 and nothing", {"empty": True}),
]  # fmt: skip
BODY_MATTERS = {"cut", "invalid_json", "empty"}  # no fault where the vendor's success has no body to read
LASTING: list[tuple[str, str, dict[str, Any], str]] = [
    ("F7", "429, Retry-After of an hour", {"status": 429, "retry_after": 3600}, "unreachable"),
    ("F16", "401 in the middle of a run", {"status": 401}, "http-401"),
    ("F16", "403 in the middle of a run", {"status": 403}, "http-403"),
    ("F17", "redirect to another host", {"redirect": "https://trap.test/"}, "redirect"),
]
Handle = Callable[[WireRequest], Response]


def spoiling(shop: Any, says: Mapping[str, Any]) -> tuple[Handle, Any]:
    """The shop's vendors behind a fault."""
    trouble = fault(dict(says))

    def handle(request: WireRequest) -> Response:
        ask = lambda: shop.world.handle(request)  # noqa: E731
        answer = trouble.apply(ask) if trouble.strikes("", "/") else ask
        return in_process(announced(answer()))

    return handle, trouble


def passing(folder: Path, size: Size) -> Iterator[Row]:
    """Faults that pass: everything arrives, nothing is a dead letter."""
    for number, name, says in PASSING:
        row = Row(number, name)
        with timed(row):
            for at, ((kind, vendor), make) in enumerate(CASES.items()):
                if kind == "sources" and BODY_MATTERS & says.keys():
                    continue  # a report is a body of its own: see its own tests
                _pass(row, _at(folder, f"{number}{name}{at}"), make, says, f"{kind} {vendor}")
        row.note = f"{row.trials} kinds of pipeline, all vendors"
        yield row


def _pass(row: Row, folder: Path, make: Callable[[Path], Any], says: Mapping[str, Any], who: str) -> None:
    shop = make(folder)
    handle, trouble = spoiling(shop, {"nth": list(range(2, 3000, 3)) if getattr(shop, "after", 2) else [1], **says})
    outcome = shop.run(handle=handle)
    row.trials += 1
    row.check(trouble.fired, f"{who}: the fault never struck")
    row.lost += not shop.whole()
    row.misfiled += outcome.report["dead_letters"]["count"]
    row.check(outcome.exit == 0, f"{who}: exit {outcome.exit}: {outcome.error}")


def lasting(folder: Path, size: Size) -> Iterator[Row]:
    """Faults that no waiting mends: the run halts with exit 3, nothing is a dead letter, the next start goes on."""
    for number, name, says, code in LASTING:
        row = Row(number, name)
        with timed(row):
            for at, ((kind, vendor), make) in enumerate(CASES.items()):
                _halt(row, _at(folder, f"{number}{name}{at}"), make, says, code, f"{kind} {vendor}")
        row.note = f"halts with exit 3, goes on afterwards; {row.trials} kinds of pipeline"
        yield row


def _halt(row: Row, folder: Path, make: Callable[[Path], Any], says: Mapping[str, Any], code: str, who: str) -> None:
    shop = make(folder)
    handle, _ = spoiling(shop, says)
    weather, seen = {"seen": 0}, []

    def ask(request: WireRequest) -> Response:
        weather["seen"] += 1
        if "trap.test" in request.url:
            row.wrong.append(f"{who}: the trap was asked")
        answer = handle(request) if weather["seen"] > getattr(shop, "after", 2) else shop.world.handle(request)
        seen.append(answer.status)
        return answer

    outcome = shop.run(handle=ask)
    row.trials += 1
    row.check(outcome.exit == 3, f"{who}: exit {outcome.exit}, not 3: {outcome.error}")
    row.check(getattr(outcome.error, "code", "") == code, f"{who}: {getattr(outcome.error, 'code', '')}, not {code}")
    row.check(sum(status >= 300 for status in seen) <= 64, f"{who}: asked {len(seen)} times")
    row.misfiled += outcome.report["dead_letters"]["count"]
    done = shop.run()
    row.check(done.exit == 0, f"{who}: then exit {done.exit}: {done.error}")
    row.lost += not shop.whole()


def outages(folder: Path, size: Size) -> Iterator[Row]:
    """F9: five minutes without the vendor, in one run, by what is seen of it."""
    for how in DOWN:
        row = Row("F9", f"five minutes of outage; {how}")
        asked = 0
        with timed(row):
            for at, ((kind, vendor), make) in enumerate(CASES.items()):
                shop = make(_at(folder, f"outage{how}{at}"))
                weather = Weather(shop, how, after=getattr(shop, "after", 2))
                outcome = shop.run(handle=weather.handle)
                row.trials += 1
                asked = max(asked, weather.refused)
                row.check(outcome.exit in (0, 3), f"{kind} {vendor}: exit {outcome.exit}: {outcome.error}")
                row.check(weather.refused, f"{kind} {vendor}: the vendor was never down")
                row.misfiled += outcome.report["dead_letters"]["count"]
                if outcome.exit == 3:
                    row.note = "halted, then resumed; "
                    shop.run()
                row.lost += not shop.whole()
        row.note += f"at most {asked} requests while it lasted; {row.trials} kinds of pipeline"
        yield row


def limits(folder: Path, size: Size) -> Iterator[Row]:
    """F8: at the real limits, on simulated time: one process, two and three of one key."""
    folder.mkdir(parents=True, exist_ok=True)
    began = Row("F8", "")
    with timed(began):
        found = measure_limits(folder)
    for one in found:
        row = Row("F8", f"`{one.endpoint}` at its limit of {one.allowed:g} a second; processes: {one.processes}")
        row.trials, row.lost, row.seconds = one.requests, one.lost, began.seconds / len(found)
        row.note = f"{one.refused:.1%} answered 429, {one.used:.1%} of the allowed rate used"
        row.check(one.refused <= 0.01, f"{one.refused:.1%} answered 429")
        row.check(one.used >= 0.9, f"{one.used:.1%} used")
        yield row


def _at(folder: Path, name: str) -> Path:
    place = folder / "".join(letter if letter.isalnum() else "-" for letter in name)
    place.mkdir(parents=True)
    return place


# --- what Iterable refuses in part: the only vendor whose bulk answers name payloads ----------------------------------

ROWS = 1000
BAD = {n: f"{n},not-an-address-{n},30" for n in range(17, ROWS, 50)}
JSON = {"content-type": "application/json"}


def refusals(folder: Path, size: Size) -> Iterator[Row]:
    """F13 to F15: answers that refuse some, or all because of one, or because of their size."""
    whole = USERS.replace("type: iterable,", "type: iterable, batch: {max_records: 100},")
    typed = USERS.replace('"{{ record.age | int }}"', '"{{ record.age | int(record.age) }}"')
    cases = [
        ("F13", "200 that names the failed", USERS, BAD, {}),
        ("F13", "200 whose counts do not add up", USERS, {}, {"nth": [1], "status": 200, "headers": JSON,
         "body": {"successCount": 1, "failCount": 0}}),
        ("F14", "400 for the batch because of one field's type", typed, {n: f"{n},user{n}@shop.test,old" for n in BAD}, {}),
        ("F15", "413 for what is too large", whole, {}, {"first": 3, "status": 413}),
    ]  # fmt: skip
    for at, (number, name, text, bad, says) in enumerate(cases):
        row = Row(number, name)
        with timed(row):
            world = World(_at(folder, f"refused{at}"), text, [says] if says else [])
            world.write("customers.csv", customers(ROWS, bad))
            outcome = world.run()
            row.trials = ROWS
            lines = {letter["origin"]["line"] for letter in world.letters}
            row.misfiled = len(lines ^ {n + 2 for n in bad})
            have = {person.email for person in world.vendor.people.everybody}
            row.lost = len({f"user{n}@shop.test" for n in range(ROWS) if n not in bad} - have)
            row.check(outcome.exit == (1 if bad else 0), f"exit {outcome.exit}: {outcome.error}")
        row.note = f"{len(bad)} bad ones among {ROWS:,}; {len(world.requests)} requests"
        yield row
