"""Dead letters sent again: by the present mapping, once, in order, with the ids of the first time."""

import json

import pytest

from engine.errors import NoAnswer, Refused
from engine.registry import Registry
from engine.runners.local import Options
from engine.runners.replay import replay
from engine.runtime.clock import FakeClock
from engine.runtime.state import State
from engine.runtime.transport import Dry, Pretend
from tests.runtime.runs import USERS, World, customers

EVENTS = """
version: 1
name: shop
sources:
  customers: {type: file, path: customers.jsonl, key: id}
sinks:
  crm: {type: iterable, api_key: "${ITERABLE_API_KEY}"}
mappings:
  orders:
    from: customers
    to: crm.track_event
    each: "{{ record.orders }}"
    fields: {email: "{{ record.email }}", eventName: "{{ item.name }}", dataFields: {n: "{{ item.n }}"}}
"""


class Again(World):
    """The same pretend vendors, and replays."""

    def replay(self, text=None, ids=(), handle=None, **options):
        def ask(request):
            self.requests.append(request)
            return (handle or self.world.handle)(request)

        self.requests.clear()
        options.setdefault("transport", lambda _, clock: Pretend(ask, clock))
        made = Options(clock=self.clock, chance=self.chance, **options)
        return replay(self.pipeline(text), Registry.builtin(), made, ids)

    def sent(self):
        """The payloads of the last requests, in order."""
        bodies = [json.loads(request.body) for request in self.requests]
        return [payload for body in bodies for payload in body.get("users", body.get("events", []))]


MENDED = USERS.replace("record.age | int", "record.age | int(none)")


def test_a_mended_mapping_delivers_what_failed_and_only_that(tmp_path):
    world = Again(tmp_path)
    world.write("customers.csv", customers(10, {3: "3,user3@shop.test,n/a", 7: "7,user7@shop.test,?"}))
    assert world.run().exit == 1
    found = world.replay(MENDED)
    assert (found.chosen, found.delivered, found.again, found.outcome.exit) == (2, 2, 0, 0)
    assert sorted(user["userId"] for user in world.sent()) == ["3", "7"]
    assert len(world.vendor.people.everybody) == 10


def test_replaying_twice_delivers_once(tmp_path):
    world = Again(tmp_path)
    world.write("customers.csv", customers(4, {1: "1,user1@shop.test,x"}))
    world.run()
    assert world.replay(MENDED).delivered == 1
    second = world.replay(MENDED)
    assert (second.chosen, second.outcome, dict(second.left)) == (0, None, {"replayed before": 1})
    assert world.requests == []


def test_what_is_refused_again_stays_a_dead_letter_with_its_id(tmp_path):
    world = Again(tmp_path)
    world.write("customers.csv", customers(4, {1: "1,user1@shop.test,x", 2: "2,nobody,7"}))
    world.run()
    before = {letter["id"]: letter["stage"] for letter in world.letters}
    assert sorted(before.values()) == ["mapping", "vendor"]
    found = world.replay(MENDED)
    assert (found.chosen, found.delivered, found.again, found.outcome.exit) == (2, 1, 1, 1)
    assert {letter["id"]: letter["stage"] for letter in world.letters} == before
    mended = MENDED.replace('"{{ record.email }}"', "\"{{ record.email if '@' in record.email else omit }}\"")
    found = world.replay(mended)
    assert (found.chosen, found.delivered, found.left["replayed before"]) == (1, 1, 1)
    assert [user["userId"] for user in world.sent()] == ["2"]


def test_a_letter_of_a_later_run_is_another_one(tmp_path):
    world = Again(tmp_path)
    world.write("customers.csv", customers(4, {1: "1,user1@shop.test,x"}))
    world.run()
    assert world.replay(MENDED).delivered == 1
    world.run()
    assert world.replay(MENDED).delivered == 1


def test_rows_that_could_not_be_read_are_read_anew(tmp_path):
    world = Again(tmp_path)
    world.write("customers.csv", customers(4, {1: "1,user1@shop.test,21,more", 2: "2,user2@shop.test"}))
    outcome = world.run()
    assert outcome.report["sources"]["customers"]["malformed"] == 2
    still = world.replay()
    assert (still.chosen, dict(still.left)) == (0, {"the row still cannot be read": 2})
    lenient = USERS.replace("key: id}", "key: id, ragged: pad}").replace(
        "record.age | int", "record.age | default(0, true) | int"
    )
    found = world.replay(lenient)
    assert (found.chosen, found.delivered, dict(found.left)) == (1, 1, {"the row still cannot be read": 1})
    assert [user["userId"] for user in world.sent()] == ["2"]


def test_ids_of_events_are_those_of_the_first_time(tmp_path):
    world = Again(tmp_path, EVENTS)
    rows = [{"id": str(n), "email": f"u{n}@shop.test", "orders": [{"name": "Bought", "n": k} for k in range(3)]}
            for n in range(3)]  # fmt: skip
    world.write("customers.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def refuse_some(request):
        body = json.loads(request.body)
        for event in body.get("events", []):
            if event["dataFields"]["n"] == 1 and event["email"] != "u0@shop.test":
                if len(body["events"]) == 1:
                    from engine.model import Response

                    return Response(400, {}, b'{"msg": "no", "code": "BadParams", "params": null}')
                from engine.model import Response

                return Response(413, {}, b"")
        return world.world.handle(request)

    first = world.run(handle=refuse_some)
    assert first.report["mappings"]["orders"]["rejected"] == 2
    wanted = {letter["payload"]["id"] for letter in world.letters}
    found = world.replay()
    assert (found.chosen, found.delivered) == (2, 2)
    assert {event["id"] for event in world.sent()} == wanted
    assert [event["dataFields"]["n"] for event in world.sent()] == [1, 1]
    assert len(world.vendor.events) == 9


def test_order_is_that_of_the_file(tmp_path):
    world = Again(tmp_path, USERS.replace("key: id}", "key: email}"))
    bad = {n: f"{n},one@shop.test,x{n}" for n in (9, 3, 6)}
    world.write("customers.csv", customers(12, bad))
    world.run()
    world.replay(MENDED)
    assert [user["userId"] for user in world.sent()] == ["3", "6", "9"]


def test_some_ids_only(tmp_path):
    world = Again(tmp_path)
    world.write("customers.csv", customers(6, {n: f"{n},user{n}@shop.test,x" for n in (1, 2, 3)}))
    world.run()
    first = world.letters[0]
    found = world.replay(MENDED, ids=[first["id"][:10]])
    assert (found.chosen, found.delivered) == (1, 1)
    assert world.replay(MENDED).delivered == 2


def test_a_dry_replay_changes_nothing(tmp_path):
    world = Again(tmp_path)
    world.write("customers.csv", customers(4, {1: "1,user1@shop.test,x"}))
    world.run()
    shown = []
    found = world.replay(MENDED, dry=True, transport=lambda *_: Dry(shown.append))
    assert (found.chosen, len(shown)) == (1, 1)
    assert world.replay(MENDED).delivered == 1


def test_a_replay_that_was_cut_off_goes_on(tmp_path):
    world = Again(tmp_path)
    world.write("customers.csv", customers(30, {n: f"{n},user{n}@shop.test,x" for n in range(10, 20)}))
    world.run()
    small = MENDED.replace("api_key:", "batch: {max_records: 2}, concurrency: 1, retry: {max_attempts: 1}, api_key:")
    answered = []

    def dies(request):
        if len(answered) == 2:
            raise NoAnswer("gone")
        answered.append(request)
        return world.world.handle(request)

    halted = world.replay(small, handle=dies)
    assert (halted.outcome.report["status"], halted.delivered) == ("halted", 0)
    done = world.replay(small)
    assert done.outcome.report["resumed"]
    assert done.delivered == 10
    assert [user["userId"] for user in world.sent()] == [str(n) for n in range(14, 20)]
    assert world.replay(small).outcome is None


def test_a_replay_that_was_cut_off_after_a_letter_was_refused_again_loses_nothing(tmp_path):
    world = Again(tmp_path)
    rows = {1: "1,user1@shop.test,x", 2: "2,nobody,x", 3: "3,user3@shop.test,x"}
    world.write("customers.csv", customers(5, rows))
    world.run()
    small = MENDED.replace("api_key:", "batch: {max_records: 1}, concurrency: 1, retry: {max_attempts: 1}, api_key:")

    def dies(request):
        if len(world.requests) > 2:
            raise NoAnswer("gone")
        return world.world.handle(request)

    assert world.replay(small, handle=dies).outcome.report["status"] == "halted"
    done = world.replay(small)
    assert done.outcome.report["resumed"] and (done.chosen, done.delivered, done.again) == (3, 2, 1)
    assert [user["userId"] for user in world.sent()] == ["3"]
    assert {"user1@shop.test", "user3@shop.test"} <= {person.email for person in world.vendor.people.everybody}


def test_a_cut_off_replay_refuses_another_file(tmp_path):
    world = Again(tmp_path)
    world.write("customers.csv", customers(6, {n: f"{n},user{n}@shop.test,x" for n in (1, 2)}))
    world.run()

    def gone(request):
        raise NoAnswer("gone")

    quick = MENDED.replace("api_key:", "retry: {max_attempts: 1}, api_key:")
    world.replay(quick, handle=gone)
    with pytest.raises(Refused, match="cut off"):
        world.replay(quick.replace("profiles:", "people:"))
    assert world.replay(quick).delivered == 2


def test_what_cannot_be_replayed_is_said(tmp_path):
    text = USERS + "dead_letters: {redact: [email]}\n"
    world = Again(tmp_path, text)
    world.write("customers.csv", customers(4, {1: "1,user1@shop.test,x"}))
    world.run()
    found = world.replay(text)
    assert dict(found.left) == {"a part of the record was not kept (dead_letters.redact)": 1}
    found = world.replay(USERS)  # what was kept does not change with the file
    assert dict(found.left) == {"a part of the record was not kept (dead_letters.redact)": 1}
    found = world.replay(USERS.replace("profiles:", "people:"))
    assert dict(found.left) == {"the file has no such source or mapping any more": 1}
    to_file = USERS.replace('type: iterable, api_key: "${ITERABLE_API_KEY}"', "type: file, path: out.jsonl")
    (tmp_path / "whole").mkdir()
    other = Again(tmp_path / "whole", USERS)
    other.write("customers.csv", customers(4, {1: "1,user1@shop.test,x"}))
    other.run()
    found = other.replay(to_file.replace("crm.update_user", "crm"))
    assert found.chosen == 0
    assert "written whole" in next(iter(found.left))


def test_no_replay_beside_a_run(tmp_path):
    world = Again(tmp_path)
    world.write("customers.csv", customers(2))
    pipeline = world.pipeline()
    state = State(pipeline.state, pipeline.name)
    with state.lock({"run": "x"}), pytest.raises(Refused, match="another run"):
        replay(pipeline, Registry.builtin(), Options(clock=FakeClock()))
    state.close()
