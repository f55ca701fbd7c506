"""Lookups: asked over a bounded window, in order, equal questions once; failures are the record's alone."""

from typing import ClassVar

import msgspec
import pytest

from engine.errors import NoAnswer
from engine.model import Response
from engine.plugin import Recall, Remember, TurnedAway, Vendor, get, lookup, post
from engine.registry import Registry
from engine.runtime.lookups import Cache
from tests.runtime.runs import World, customers


class Oracle(Vendor):
    """Knows how old people feel."""

    base_url = "https://oracle.test"
    schema: ClassVar = {
        "title": "An oracle",
        "properties": {"polling": {"type": "number"}},
        "$defs": {
            "with": {
                "type": "object",
                "properties": {"id": {"type": "string"}, "base": {}},
                "required": ["id"],
                "additionalProperties": False,
            }
        },
    }

    def __init__(self, polling: float = 0) -> None:
        self.polling, self.factor, self.times_prepared = polling, 0, 0

    @property
    def refresh(self):
        return self.polling or None

    def load(self):
        old = yield Recall("factor")
        try:
            answer = yield get("/factor", patient=False)
            self.factor = answer["factor"]
            yield Remember("factor", msgspec.json.encode(self.factor))
        except (NoAnswer, TurnedAway):
            self.factor = msgspec.json.decode(old) if old else 1
        self.times_prepared += 1

    @lookup(concurrency=4)
    def ask(self, id, base=0):
        answer = yield post("/ask", {"id": id, "base": base})
        return {"age": answer["age"]}

    @lookup(prepare="load")
    def local(self, id):
        return self.factor * int(id)
        yield


REGISTRY = (
    Registry.builtin().with_plugin("lookups", "oracle.ask", Oracle).with_plugin("lookups", "oracle.local", Oracle)
)

TEXT = """
version: 1
name: shop
sources:
  customers: {type: file, path: customers.csv, key: id}
lookups:
  felt: {type: oracle.ask, with: {id: "{{ record.id }}"}MORE}
sinks:
  out: {type: file, path: out.jsonl}
mappings:
  profiles: {from: customers, to: out, fields: {id: "{{ record.id }}", age: "{{ felt.age | default(none) }}"}}
  plain: {from: customers, to: out, fields: {id: "{{ record.id }}"}}
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    world = World(tmp_path, TEXT.replace("MORE", ""))
    monkeypatch.setattr(Registry, "builtin", classmethod(lambda cls: REGISTRY))
    return world


def answer(request):
    said = msgspec.json.decode(request.body)
    return Response(200, {}, msgspec.json.encode({"age": int(said["id"]) * 2}), delay=0.05)


def written(world):
    lines = (world.folder / "out.jsonl").read_bytes().splitlines()
    return [msgspec.json.decode(line) for line in lines]


def test_every_record_gets_its_own_value_in_the_order_of_the_file(world):
    world.write("customers.csv", customers(1000))
    outcome = world.run(handle=answer)
    assert outcome.exit == 0
    profiles = [row for row in written(world) if "age" in row]
    assert profiles == [{"id": str(n), "age": 2 * n} for n in range(1000)]


def test_so_many_questions_fly_at_once(world):
    world.write("customers.csv", customers(100))
    world.run(handle=answer)
    assert world.clock.now() == pytest.approx(100 / 4 * 0.05, rel=0.2)


def test_equal_questions_are_asked_once(world):
    world.write("customers.csv", customers(600, {n: f"{n % 7},user@shop.test,3" for n in range(600)}))
    world.run(handle=answer)
    assert len(world.requests) == 7


def test_a_cache_of_no_size_still_asks_once_what_is_under_way(world):
    world.write("customers.csv", customers(50, dict.fromkeys(range(50), "7,user@shop.test,3")))
    world.run(TEXT.replace("MORE", ", cache: {size: 0}"), handle=answer)
    assert len(world.requests) == 1


def test_answers_grow_old_and_the_least_used_go_first():
    cache = Cache(2, ttl=10.0)
    cache.put(b"a", 1, 0.0)
    assert cache.get(b"a", 10.0) == (True, 1) and cache.get(b"a", 10.1) == (False, None)
    cache.put(b"b", 2, 5.0)
    assert cache.get(b"a", 6.0) == (True, 1)
    cache.put(b"c", 3, 6.0)
    assert [cache.get(key, 6.0)[0] for key in (b"a", b"b", b"c")] == [True, False, True]


def refusing(request):
    said = msgspec.json.decode(request.body)
    return Response(400, {}, b"who?") if said["id"] == "3" else answer(request)


def test_a_refused_question_fails_its_record_for_the_mappings_that_use_it(world):
    world.write("customers.csv", customers(10))
    outcome = world.run(handle=refusing)
    assert outcome.exit == 1
    assert outcome.report["mappings"]["profiles"]["failed"] == 1
    assert outcome.report["mappings"]["plain"]["delivered"] == 10
    (letter,) = world.letters
    assert (letter["stage"], letter["origin"]["line"], letter["record"]["id"]) == ("lookup", 5, "3")


def test_with_the_record_as_scope_a_failed_lookup_keeps_the_record_from_all_mappings(world):
    world.write("customers.csv", customers(10))
    outcome = world.run(TEXT.replace("MORE", "") + "errors: {scope: record}\n", handle=refusing)
    counts = outcome.report["mappings"]
    assert (counts["profiles"]["failed"], counts["plain"]["failed"], counts["plain"]["delivered"]) == (1, 1, 9)
    assert {letter["stage"] for letter in world.letters} == {"lookup", "mapping"}


def test_on_error_null_gives_null(world):
    world.write("customers.csv", customers(10))
    text = TEXT.replace("MORE", ", on_error: null").replace("felt.age | default(none)", "felt.age if felt else none")
    outcome = world.run(text, handle=refusing)
    assert outcome.exit == 0
    assert [row["age"] for row in written(world) if "age" in row][3] is None


def test_on_error_halt_halts(world):
    world.write("customers.csv", customers(10))
    outcome = world.run(TEXT.replace("MORE", ", on_error: halt"), handle=refusing)
    assert outcome.exit == 3 and "felt" in outcome.report["error"]["reason"]


def test_a_vendor_that_is_down_halts_the_run_and_buries_no_record(world):
    world.write("customers.csv", customers(2))
    outcome = world.run(TEXT.replace("MORE", ", retry: {give_up_after: 30s}"), handle=lambda request: Response(503))
    assert outcome.exit == 3 and outcome.report["error"]["code"] == "unreachable"
    assert world.letters == []
    assert world.run(handle=answer).report["mappings"]["profiles"]["delivered"] == 2


def test_a_vendor_that_is_down_gives_null_where_the_file_says_so(world):
    world.write("customers.csv", customers(2))
    text = TEXT.replace("MORE", ", on_error: null, retry: {give_up_after: 30s}")
    outcome = world.run(text.replace("felt.age | default(none)", "felt"), handle=lambda request: Response(503))
    assert outcome.exit == 0 and [row["age"] for row in written(world) if "age" in row] == [None, None]


def test_parameters_are_checked_before_they_are_sent(world):
    world.write("customers.csv", customers(3))
    outcome = world.run(TEXT.replace('"{{ record.id }}"}MORE', '"{{ record.age | int }}"}'), handle=answer)
    assert outcome.report["mappings"]["profiles"]["failed"] == 3 and world.requests == []


def test_a_later_lookup_may_use_an_earlier_ones_value(world):
    world.write("customers.csv", customers(20))
    text = (
        TEXT.replace("MORE", "")
        .replace(
            "sinks:", '  twice: {type: oracle.ask, with: {id: "{{ record.id }}", base: "{{ felt.age }}"}}\nsinks:'
        )
        .replace("felt.age | default(none)", "twice.age")
    )
    world.run(text, handle=answer)
    bases = [msgspec.json.decode(r.body)["base"] for r in world.requests]
    assert sorted(b for b in bases if b) == [2 * n for n in range(1, 20)]


LOCAL = TEXT.replace("oracle.ask", "oracle.local").replace("felt.age | default(none)", "felt")


def test_preparation_comes_first_and_once(world):
    world.write("customers.csv", customers(1000))
    outcome = world.run(LOCAL.replace("MORE", ""), handle=lambda request: Response(200, {}, b'{"factor": 3}'))
    assert outcome.exit == 0 and len(world.requests) == 1
    assert [row["age"] for row in written(world) if "age" in row] == [3 * n for n in range(1000)]


def test_what_was_remembered_serves_when_the_vendor_does_not(world):
    world.write("customers.csv", customers(5))
    world.run(LOCAL.replace("MORE", ""), handle=lambda request: Response(200, {}, b'{"factor": 3}'))
    world.run(LOCAL.replace("MORE", ""), handle=lambda request: Response(503))
    assert [row["age"] for row in written(world) if "age" in row] == [0, 3, 6, 9, 12]


def test_a_run_that_was_cut_off_asks_again_only_for_what_is_open(world):
    world.write("customers.csv", customers(1000))

    class Killed(BaseException):
        pass

    def dying(request):
        if len(world.requests) > 700:
            raise Killed
        return answer(request)

    with pytest.raises(Killed):
        world.run(handle=dying)
    outcome = world.run(handle=answer)
    assert outcome.report["mappings"]["profiles"]["delivered"] == 1000
    assert [row["age"] for row in written(world) if "age" in row] == [2 * n for n in range(1000)]
