"""Whole runs over the pretend Iterable: what is delivered, refused, counted, resumed. No test waits."""

import re
import textwrap
from dataclasses import replace

import pytest

from engine.errors import NoAnswer, Refused
from engine.model import Response
from engine.runners.local import PlanFailed
from tests.runtime.runs import USERS, World, customers


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def emails(world):
    return {person["email"] for person in world.vendor.state()["users"]}


def test_everything_arrives(world):
    world.write("customers.csv", customers(2500))
    outcome = world.run()
    assert outcome.exit == 0 and outcome.report["status"] == "succeeded"
    assert outcome.report["mappings"]["profiles"]["delivered"] == 2500
    assert emails(world) == {f"user{n}@shop.test" for n in range(2500)}
    assert world.letters == []


def test_what_is_wrong_is_alone_in_the_dead_letters_with_its_line(world):
    bad = {
        7: "7,no-address,33",
        400: '400,user400@shop.test,"old"',
        900: "900,user900@shop.test",
        1200: f"{'x' * 60},user1200@shop.test,30",
    }
    world.write("customers.csv", customers(1500, bad))
    outcome = world.run()
    assert outcome.exit == 1 and outcome.report["status"] == "partial"
    found = {(x["origin"]["line"], x["stage"], x["code"]) for x in world.letters}
    assert {(line, stage) for line, stage, _ in found} == {
        (9, "vendor"),
        (402, "mapping"),
        (902, "source"),
        (1202, "payload"),
    }
    assert outcome.report["mappings"]["profiles"]["delivered"] == 1496
    assert len(emails(world)) == 1496
    lines = (world.folder / "customers.csv").read_bytes().splitlines(keepends=True)
    for letter in world.letters:
        start = letter["origin"]["offset"]
        assert sum(map(len, lines[: letter["origin"]["line"] - 1])) == start


FAULTS = [
    [{"ratio": 0.34, "seed": 3, "status": 429, "retry_after": 2}],
    [{"ratio": 0.34, "seed": 4, "status": 503}],
    [{"ratio": 0.34, "seed": 5, "reset": "before"}],
    [{"ratio": 0.34, "seed": 6, "reset": "after"}],
    [{"ratio": 0.34, "seed": 7, "cut": 10}],
    [{"ratio": 0.34, "seed": 8, "html": True}],
    [{"ratio": 0.34, "seed": 9, "empty": True}],
    [{"ratio": 0.34, "seed": 10, "delay": 100}],
    [{"every": 5, "status": 500, "after": True}, {"every": 3, "reset": "after"}, {"every": 7, "cut": 5}],
]  # fmt: skip


@pytest.mark.parametrize("faults", FAULTS, ids=lambda f: re.sub(r"\W+", "-", str(f))[1:40])
def test_a_vendor_that_misbehaves_on_a_third_of_requests(tmp_path, faults):
    """All valid rows delivered, each bad row alone in the dead letters with its file and line, exit 1."""
    small = USERS.replace('"${ITERABLE_API_KEY}"', '"${ITERABLE_API_KEY}", batch: {max_records: 100}, concurrency: 3')
    world = World(tmp_path, small, faults)
    bad = {n: f"{n},bad-{n},30" for n in (5, 250, 251, 999)}
    world.write("customers.csv", customers(1200, bad))
    outcome = world.run()
    assert outcome.exit == 1
    assert emails(world) == {f"user{n}@shop.test" for n in range(1200) if n not in bad}
    assert {(x["origin"]["file"], x["origin"]["line"]) for x in world.letters} == {
        ("customers.csv", n + 2) for n in bad
    }
    assert all(x["code"] == "invalid-identifier" for x in world.letters)
    assert outcome.report["sinks"]["crm"]["retries"] > 0, "the fault never fired"


def test_a_dead_vendor_halts_keeps_the_position_and_loses_nothing(world):
    world.write("customers.csv", customers(300))
    down = world.run(handle=lambda request: Response(503))
    assert down.exit == 3 and down.report["status"] == "halted" and world.letters == []
    up = world.run()
    assert up.exit == 0 and up.report["resumed"] and up.report["run_id"] == down.report["run_id"]
    assert up.report["mappings"]["profiles"]["delivered"] == 300


def test_a_refused_key_halts_at_once(world):
    world.write("customers.csv", customers(5000))
    outcome = world.run(handle=lambda request: Response(401, {}, b'{"code":"BadApiKey"}'))
    assert outcome.exit == 3 and "refused the key" in outcome.report["error"]["reason"]
    assert len(world.requests) <= 4 and world.letters == []


EVENTS = """
version: 1
name: shop
sources:
  customers: {type: file, path: "*.jsonl", key: id}
sinks:
  crm: {type: iterable, api_key: "${ITERABLE_API_KEY}", concurrency: 3, batch: {max_records: 7}}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    when: "{{ record.n % 5 != 0 }}"
    fields: {email: "{{ record.email }}", dataFields: {n: "{{ record.n }}"}}
  visits:
    from: customers
    to: crm.track_event
    each: "{{ record.visits }}"
    fields: {email: "{{ record.email }}", eventName: Visit, dataFields: {at: "{{ item }}"}}
  orders:
    from: customers
    to: crm.track_purchase
    when: "{{ record.n is odd }}"
    fields:
      user: {email: "{{ record.email }}"}
      items: [{id: "1", name: Thing, price: "{{ record.n }}", quantity: 1}]
      total: "{{ record.n }}"
"""


def jsonl(count, first=0):
    rows = [
        f'{{"id": "c{n}", "n": {n}, "email": "u{n % 40}@shop.test", "visits": [{", ".join(map(str, range(n % 4)))}]}}\n'
        for n in range(first, first + count)
    ]
    return "".join(rows)


class Killed(BaseException):
    """A kill, as far as a process can die inside itself: nothing is tidied up."""


def run_with_kills(world, moments, limit=200):
    """Starts again after each kill until the run ends; `moments` gives how many exchanges each life has."""
    outcome = None
    for life in range(limit):
        left = next(moments, None)

        def handle(request, left=left):
            if handle.left == 0:
                raise Killed
            answer = world.world.handle(request)
            handle.left -= 1
            if handle.left == 0 and handle.after:
                raise Killed  # the vendor did its work, the answer never came
            return answer

        handle.left, handle.after = (-1, False) if left is None else (left, life % 2 == 1)
        try:
            outcome = world.run(handle=handle)
            if outcome.exit in (0, 1):
                return outcome, life
        except Killed:
            continue
    raise AssertionError("the run does not end")


@pytest.mark.parametrize("seed", range(12))
def test_killed_at_any_exchange_nothing_is_lost_and_nothing_settled_is_sent_again(tmp_path, seed):
    world = World(tmp_path, EVENTS, [{"ratio": 0.1, "seed": seed, "status": 503}], seed)
    world.write("a.jsonl", jsonl(150) + "{broken\n" + jsonl(50, 150))
    world.write("b.jsonl", jsonl(40, 200))
    moments = iter([world.chance.randint(1, 25) for _ in range(40)])
    outcome, kills = run_with_kills(world, moments)
    assert kills > 0
    people = world.vendor.state()
    assert outcome.report["sources"]["customers"] == {"read": 241, "malformed": 1}
    assert outcome.report["mappings"]["profiles"]["filtered"] == 48
    assert outcome.report["mappings"]["profiles"]["delivered"] == 192
    visits = sum(n % 4 for n in range(240))
    assert outcome.report["mappings"]["visits"]["delivered"] == visits == len(people["events"])
    assert len(people["purchases"]) == 120 == outcome.report["mappings"]["orders"]["delivered"]
    assert [(x["origin"]["file"], x["origin"]["line"]) for x in world.letters] == [("a.jsonl", 151)]


@pytest.mark.parametrize("seed", range(6))
def test_a_kill_repeats_at_most_what_was_in_flight(tmp_path, seed):
    world = World(tmp_path, EVENTS, seed=seed)
    world.write("a.jsonl", jsonl(200))
    moments = iter([world.chance.randint(1, 9) for _ in range(30)])
    outcome, kills = run_with_kills(world, moments)
    sent = sum(body_payloads(r) for r in world.requests)
    payloads = sum(m["payloads"] for m in outcome.report["mappings"].values())
    assert kills > 0
    assert sent - payloads <= kills * 3 * 7, "three lanes of seven were in flight at each kill"


def body_payloads(request) -> int:
    import msgspec

    body = msgspec.json.decode(request.body)
    return len(body.get("users") or body.get("events") or [body])


def test_purchases_and_events_get_ids_that_survive_an_edit(world):
    world.write("a.jsonl", jsonl(10))
    world.run(EVENTS)
    before = set(world.vendor.events), set(world.vendor.purchases)
    world.run(EVENTS.replace("eventName: Visit", "eventName: Call"))
    assert (set(world.vendor.events), set(world.vendor.purchases)) == before
    assert {event["eventName"] for event in world.vendor.events.values()} == {"Call"}


def test_order_is_kept_per_key_through_retries_and_splits(tmp_path):
    faults = [{"ratio": 0.3, "seed": 2, "status": 503}]
    world = World(tmp_path, EVENTS.replace("max_records: 7", "max_records: 3"), faults)
    world.write("a.jsonl", jsonl(400))
    world.run()
    fields = {person["email"]: person["dataFields"] for person in world.vendor.state()["users"]}
    # u0, u5, … are known from their events only: their n is a multiple of five, and those are filtered.
    last = {email: data["n"] for email, data in fields.items() if data}
    assert last == {f"u{i}@shop.test": 360 + i for i in range(40) if i % 5}


def test_strict_order_holds_across_actions(tmp_path):
    """The user's update goes before the purchase and the events of the same record."""
    text = EVENTS.replace("concurrency: 3", "concurrency: 3, order: strict").replace(
        'when: "{{ record.n % 5 != 0 }}"', ""
    )
    world = World(tmp_path, text)
    world.write(
        "a.jsonl",
        "".join(f'{{"id": "{n}", "n": {2 * n + 1}, "email": "v{n}@x.test", "visits": [1]}}\n' for n in range(60)),
    )
    seen: list[tuple[str, str]] = []

    def handle(request):
        import msgspec

        body = msgspec.json.decode(request.body)
        for user in body.get("users", []):
            seen.append((user["email"], "user"))
        for event in body.get("events", []):
            seen.append((event["email"], "event"))
        if "total" in body:
            seen.append((body["user"]["email"], "purchase"))
        return world.world.handle(request)

    assert world.run(handle=handle).exit == 0
    for n in range(60):
        assert [kind for who, kind in seen if who == f"v{n}@x.test"] == ["user", "event", "purchase"]


def test_a_failure_counts_for_its_mapping_alone_unless_the_scope_is_the_record(world):
    text = textwrap.dedent(
        """
        version: 1
        name: shop
        sources: {customers: {type: file, path: customers.csv, key: id}}
        sinks: {crm: {type: iterable, api_key: "${ITERABLE_API_KEY}"}}
        mappings:
          one: {from: customers, to: crm.update_user, fields: {userId: "{{ record.id }}", dataFields: {a: "{{ record.age | int }}"}}}
          two: {from: customers, to: crm.track_event, fields: {userId: "{{ record.id }}", eventName: Seen}}
        """
    )
    world.write("customers.csv", customers(3, {1: "1,user1@shop.test,old"}))
    report = world.run(text).report
    assert (report["mappings"]["one"]["failed"], report["mappings"]["two"]["delivered"]) == (1, 3)
    report = world.run(text + "errors: {scope: record}\n").report
    assert (report["mappings"]["one"]["failed"], report["mappings"]["two"]["failed"]) == (1, 1)
    assert report["mappings"]["two"]["delivered"] == 2


def test_too_many_errors_halt(world):
    world.write("customers.csv", customers(3000, {n: f"{n},user{n}@shop.test,old" for n in range(500, 900)}))
    outcome = world.run(USERS + "errors: {max_count: 100}\n")
    assert outcome.exit == 3 and "max_count" in outcome.report["error"]["reason"]
    outcome = world.run(USERS + "errors: {max_ratio: 1%}\n", fresh=True)
    assert outcome.exit == 3 and "max_ratio" in outcome.report["error"]["reason"]
    assert world.run(USERS + "errors: {max_ratio: 50%}\n", fresh=True).exit == 1


def test_a_limit_keeps_the_position(world):
    world.write("customers.csv", customers(1000))
    first = world.run(limit=400)
    assert first.exit == 0 and first.report["sources"]["customers"]["read"] == 400
    second = world.run()
    assert second.report["sources"]["customers"]["read"] == 1000
    assert len(emails(world)) == 1000 and sum(map(body_payloads, world.requests)) == 1000


def test_a_finished_run_is_finished_and_the_next_reads_anew_with_the_same_ids(world):
    world.write("a.jsonl", jsonl(20))
    first, second = world.run(EVENTS), world.run(EVENTS)
    assert not second.report["resumed"] and first.report["run_id"] != second.report["run_id"]
    assert first.report["mappings"] == second.report["mappings"]
    assert len(world.vendor.events) == first.report["mappings"]["visits"]["delivered"]


def test_append_sends_nothing_new_then_only_what_was_added(world):
    text = EVENTS.replace('path: "*.jsonl", key: id', 'path: "*.jsonl", key: id, mode: append')
    log = world.write("a.jsonl", jsonl(20))
    world.run(text)
    sent = len(world.requests)
    again = world.run(text)
    assert again.exit == 0 and len(world.requests) == sent and again.report["sources"]["customers"]["read"] == 0
    log.write_text(log.read_text() + jsonl(5, 20))
    world.write("b.jsonl", jsonl(3, 100))
    grown = world.run(text)
    assert grown.report["sources"]["customers"]["read"] == 8


def interrupted(world, requests=1):
    """A start that is cut off after so many exchanges."""

    def handle(request):
        handle.left -= 1
        if handle.left < 0:
            raise Killed
        return world.world.handle(request)

    handle.left = requests
    with pytest.raises(Killed):
        world.run(handle=handle)


@pytest.mark.parametrize(
    "edit",
    [
        lambda b: b[:-100],
        lambda b: b.replace(b"user0@", b"userX@"),
        lambda b: b"id,email,age\n" + b[30:],
        lambda b: b"",
        lambda b: b.replace(b"user1100@", b"userQ@"),
    ],
    ids=["cut", "edited", "shifted", "empty", "edited-ahead"],
)
def test_a_source_that_changed_under_the_checkpoint_is_refused(tmp_path, edit):
    small = USERS.replace('"${ITERABLE_API_KEY}"', '"${ITERABLE_API_KEY}", batch: {max_records: 100}')
    world = World(tmp_path, small)
    path = world.write("customers.csv", customers(1200))
    interrupted(world, 3)
    path.write_bytes(edit(path.read_bytes()))
    before = len(world.requests)
    with pytest.raises(Refused, match="--fresh"):
        world.run()
    assert len(world.requests) == before
    assert world.run(fresh=True).exit in (0, 1)


def test_a_source_that_only_grew_goes_on(world):
    path = world.write("customers.csv", customers(1200))
    interrupted(world)
    path.write_text(path.read_text() + "1200,user1200@shop.test,40\n")
    assert world.run().report["sources"]["customers"]["read"] == 1201
    assert len(emails(world)) == 1201


def test_other_mappings_than_before_are_refused(world):
    world.write("customers.csv", customers(1200))
    interrupted(world)
    with pytest.raises(Refused, match="other mappings"):
        world.run(USERS.replace("profiles:", "people:"))


def test_an_edited_mapping_resumes(world):
    world.write("customers.csv", customers(2200))
    interrupted(world)
    outcome = world.run(USERS.replace("{age: ", "{years: "))
    assert outcome.exit == 0 and outcome.report["mappings"]["profiles"]["delivered"] == 2200


def test_an_edited_each_sends_a_record_that_was_settled_in_part_again_whole(world):
    """Elements are known by their number: after an edit the numbers may name others."""
    text = EVENTS.replace("concurrency: 3, batch: {max_records: 7}", "concurrency: 1, batch: {max_records: 1}")
    world.write("a.jsonl", '{"id": "1", "n": 2, "email": "a@shop.test", "visits": ["x", "y", "z"]}\n')
    world.text = text
    interrupted(world, 2)  # the user and one visit
    outcome = world.run(text.replace("{{ record.visits }}", "{{ record.visits[1:] }}"))
    assert outcome.exit == 0
    assert {event["dataFields"]["at"] for event in world.vendor.events.values()} >= {"y", "z"}


def test_where_a_mapping_goes_is_told_anew_after_an_edit(world):
    world.write("customers.csv", customers(1200))
    interrupted(world)
    text = USERS.replace("crm.update_user", "crm.track_event").replace(
        "      email:", "      eventName: Seen\n      email:"
    )
    assert world.run(text).report["mappings"]["profiles"]["to"] == "crm.track_event"


def test_too_many_errors_halt_a_short_run_too(world):
    world.write("customers.csv", customers(300, {n: f"{n},x" for n in range(300)}))
    outcome = world.run(USERS + "errors: {max_count: 5}\n")
    assert outcome.exit == 3 and "max_count" in outcome.report["error"]["reason"]


def test_an_erased_person_is_named_in_nobodys_dead_letter(tmp_path):
    world = World(tmp_path)
    world.world.vendors["iterable"].people.__init__("hybrid", ["user1@shop.test", "user2@shop.test"])
    world.write("customers.csv", customers(5, {3: "3,no-address,30"}))
    outcome = world.run(USERS.replace("{type: iterable,", "{type: iterable, concurrency: 1,"))
    assert outcome.report["mappings"]["profiles"]["dropped"] == 2 and len(world.letters) == 1
    everything = b"".join(path.read_bytes() for path in (tmp_path / ".engine" / "dead").iterdir())
    assert b"user1@" not in everything and b"user2@" not in everything


def test_a_source_cut_short_delivers_what_it_gave_and_says_so(world):
    import gzip

    whole = gzip.compress(customers(40_000).encode())
    world.write("customers.csv.gz", whole[: len(whole) // 2])
    outcome = world.run(USERS.replace("customers.csv", "customers.csv.gz"))
    assert outcome.exit == 4 and "incomplete" in outcome.report["error"]["reason"]
    assert outcome.report["mappings"]["profiles"]["delivered"] == len(emails(world)) > 0
    world.write("customers.csv.gz", whole)
    outcome = world.run(USERS.replace("customers.csv", "customers.csv.gz"))
    assert outcome.exit == 0 and outcome.report["sources"]["customers"]["read"] == 40_000
    assert sum(map(body_payloads, world.requests)) == 40_000


def test_a_file_with_other_columns_stops_before_anything_is_lost(world):
    world.write("a.csv", customers(10))
    world.write("b.csv", "id,mail,age\n1,x@shop.test,3\n")
    with pytest.raises(PlanFailed, match="email"):
        world.run(USERS.replace("customers.csv", '"*.csv"'))
    assert world.requests == []


def test_the_second_run_of_a_pipeline_is_refused(world):
    world.write("customers.csv", customers(10))

    def handle(request):
        with pytest.raises(Refused, match="another run of shop is going on: pid"):
            World(world.folder).run()
        return world.world.handle(request)

    assert world.run(handle=handle).exit == 0


def test_a_key_with_most_of_the_rows_does_not_stop_the_others(tmp_path):
    world = World(tmp_path, USERS.replace('"{{ record.email }}"', '"{{ record.email }}"'))
    rows = "".join(f"{n},{'star' if n % 10 else f'u{n}'}@shop.test,30\n" for n in range(9000))
    world.write("customers.csv", "id,email,age\n" + rows)
    text = USERS.replace('userId: "{{ record.id }}"', "mergeNestedObjects: false")
    assert world.run(text).report["mappings"]["profiles"]["delivered"] == 9000


def test_file_sinks_appear_whole_or_not_at_all(world):
    text = USERS.replace("crm: {type: iterable, api_key: \"${ITERABLE_API_KEY}\"}", "crm: {type: file, path: out.jsonl}").replace(
        "to: crm.update_user", "to: crm"
    )  # fmt: skip
    world.write("customers.csv", customers(1000, {3: "3,x@y.z,old"}))
    outcome = world.run(text)
    assert outcome.exit == 1
    lines = (world.folder / "out.jsonl").read_text().splitlines()
    assert len(lines) == 999 == outcome.report["mappings"]["profiles"]["delivered"]


def test_an_interrupted_run_waits_for_what_flies_and_keeps_the_position(tmp_path):
    small = USERS.replace('"${ITERABLE_API_KEY}"', '"${ITERABLE_API_KEY}", batch: {max_records: 100}, concurrency: 1')
    world = World(tmp_path, small)
    world.write("customers.csv", customers(1000))
    from engine.runtime.run import Run

    def handle(request):
        if len(world.requests) == 3:
            handle.run.interrupt()
        return world.world.handle(request)

    made = Run.__init__

    def remember(self, *args):
        made(self, *args)
        handle.run = self

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "__init__", remember)
        outcome = world.run(handle=handle)
    assert outcome.exit == 130 and outcome.report["status"] == "interrupted"
    assert outcome.report["mappings"]["profiles"]["delivered"] == 300
    assert world.run().report["mappings"]["profiles"]["delivered"] == 1000
    assert sum(map(body_payloads, world.requests)) == 1000


def test_an_interrupt_inside_a_long_wait_ends_it(tmp_path):
    world = World(tmp_path)
    world.write("customers.csv", customers(10))
    from engine.runtime.run import Run

    made = Run.__init__

    def remember(self, *args):
        made(self, *args)
        handle.run = self

    def handle(request):
        handle.run.interrupt()
        return Response(503, {"retry-after": "250"})

    began = world.clock.now()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "__init__", remember)
        assert world.run(handle=handle).exit == 130
    assert world.clock.now() - began <= 10.0
    assert world.run().exit == 0


def test_an_interrupted_run_sleeps_until_what_flies_comes_in(tmp_path):
    """A batch that waits in a free lane is not sent any more: its moment must not keep the loop awake."""
    settings = (
        '"${ITERABLE_API_KEY}", batch: {max_records: 4, max_wait: 1s}, concurrency: 2, rate_limit: {requests: 0}'
    )
    world = World(tmp_path, USERS.replace('"${ITERABLE_API_KEY}"', settings))
    world.write("customers.csv", customers(41))
    from engine.runtime.run import Run
    from engine.runtime.transport import Pretend

    runs, turns = [], []
    made = Run.__init__

    def remember(self, *args):
        made(self, *args)
        runs.append(self)

    def handle(request):
        if len(world.requests) == 1:
            runs[0].interrupt()
            return replace(world.world.handle(request), delay=8.0)
        return world.world.handle(request)

    class Counted(Pretend):
        def wait(self, until):
            turns.append(until)
            assert len(turns) < 500, "the loop spins"
            return super().wait(until)

    def ask(request):
        world.requests.append(request)
        return handle(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "__init__", remember)
        outcome = world.run(transport=lambda _, clock: Counted(ask, clock))
    assert outcome.exit == 130 and world.clock.now() >= 8.0
    assert world.run().report["mappings"]["profiles"]["delivered"] == 41


def test_a_dry_run_shows_requests_and_leaves_no_trace(world):
    from engine.runtime.transport import Dry

    shown = []
    world.write("customers.csv", customers(10, {3: "3,x@y.z,old"}))
    outcome = world.run(dry=True, transport=lambda _, clock: Dry(shown.append))
    assert sum(map(body_payloads, shown)) == 9
    assert outcome.report["dry_run"] and outcome.exit == 1
    assert not (world.folder / ".engine").exists()
    assert all(str(r.headers["Api-Key"]) == "•••" for r in shown)


def test_a_lost_answer_may_be_told_from_a_lost_request(world):
    world.write("customers.csv", customers(10))
    answers = iter([NoAnswer("refused"), NoAnswer("reset", ambiguous=True)])

    def handle(request):
        if (error := next(answers, None)) is not None:
            raise error
        return world.world.handle(request)

    sink = world.run(handle=handle).report["sinks"]["crm"]
    assert (sink["retries"], sink["ambiguous_retries"]) == (2, 1)


def test_what_a_source_warns_of_is_in_the_report(tmp_path):
    world = World(tmp_path)
    world.write("customers.csv", "id,email,age\n")
    outcome = world.run()
    assert outcome.exit == 0
    assert outcome.report["warnings"] == {"customers: empty-file: customers.csv holds no rows": 1}
