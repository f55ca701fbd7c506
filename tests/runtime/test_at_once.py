"""What a conversation may ask of the engine beside requests, and lookups that need no conversation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from engine.config.load import parse
from engine.model import Response
from engine.plugin import LATER, Failure, Now, Payloads, Vendor, action, get, lookup, post
from engine.registry import Registry
from engine.runners.local import Options, run_pipeline
from engine.runtime.transport import Pretend
from tests.runtime.runs import World, customers

TEXT = """
version: 1
name: shop
sources: {customers: {type: file, path: customers.csv, key: id}}
lookups: {found: {type: count.up, with: {who: "{{ record.id }}"}%s}}
sinks: {out: {type: file, path: out.jsonl}}
mappings: {rows: {from: customers, to: out, fields: {id: "{{ record.id }}", found: "{{ found }}"}}}
"""


class Counting(Vendor):
    """Answers most questions at once; those that end in 7 take a conversation."""

    schema: ClassVar[Any] = {
        "type": "object", "properties": {},
        "$defs": {"with": {"type": "object", "properties": {"who": {"type": "string", "minLength": 1}}}},
    }  # fmt: skip
    base_url = "https://count.test"
    refresh = 10.0
    log: ClassVar[list[str]] = []

    def make_ready(self):
        self.log.append("ready")
        yield get("/ready")

    @lookup(prepare="make_ready", at_once="now", timeout=2.0)
    def up(self, who):
        """Count up."""
        reply = yield get(f"/{who}")
        return reply["n"]

    def now(self, who):
        assert self.log, "it is asked before it is ready"
        self.log.append(who)
        if who.endswith("9"):
            return Failure("nine", "nines are not liked")
        return LATER if who.endswith("7") else f"at once {who}"


@pytest.fixture
def world(tmp_path: Path) -> World:
    Counting.log.clear()
    return World(tmp_path, TEXT % "")


REGISTRY = Registry.builtin().with_plugin("lookups", "count.up", Counting)


def run(world: World, more: str = "", **options: Any) -> Any:

    path = world.write("shop.yaml", TEXT % more)
    loaded = parse(path.read_text(), str(path), REGISTRY, environ={}, path=path)
    assert loaded.pipeline is not None, [finding.render() for finding in loaded.findings]

    def ask(request: Any) -> Response:
        world.requests.append(request)
        return Response(200, {}, b'{"n": 1}', options.get("delay", 0.0))

    def make(size: int, clock: Any) -> Pretend:
        options.get("sizes", []).append(size)
        return Pretend(ask, clock)

    settings = Options(clock=world.clock, chance=world.chance, transport=make)
    return run_pipeline(loaded.pipeline, REGISTRY, settings)


def test_only_those_that_need_a_conversation_have_one(world: World) -> None:
    world.write("customers.csv", customers(500))
    outcome = run(world, ", on_error: null")
    assert outcome.exit == 0
    asked = [request.url.rsplit("/", 1)[1] for request in world.requests]
    assert asked[0] == "ready" and sorted(asked[1:], key=int) == [str(n) for n in range(500) if n % 10 == 7]

    rows = [json.loads(line) for line in (world.folder / "out.jsonl").read_text().splitlines()]
    wanted = {7: 1, 9: None}
    assert [row["found"] for row in rows] == [wanted.get(n % 10, f"at once {n}") for n in range(500)]


def test_a_failure_given_at_once_is_a_failure(world: World) -> None:
    world.write("customers.csv", customers(20))
    outcome = run(world)
    assert outcome.exit == 1
    assert [(x["stage"], x["code"], x["origin"]["line"]) for x in world.letters] == [
        ("lookup", "nine", 11),
        ("lookup", "nine", 21),
    ]


def test_it_is_made_ready_again_when_it_is_old(world: World) -> None:
    world.write("customers.csv", customers(3000))
    run(world, ", on_error: null", delay=1.5)
    assert Counting.log.count("ready") > 1


def test_a_question_takes_no_longer_than_the_vendor_says(world: World) -> None:
    world.write("customers.csv", "id,email,age\n7,x,1\n")
    outcome = run(world, ", retry: {max_attempts: 2}", delay=3.0)
    assert outcome.exit == 3 and "2 s" in outcome.report["error"]["reason"]


class Timely(Vendor):
    base_url = "https://timely.test"
    schema: ClassVar[Any] = {"type": "object", "properties": {}, "$defs": {"put": {"type": "object"}}}

    @action(max_records=5, usual_records=1)
    def put(self, things: Payloads):
        """Put things with the time."""
        now = yield Now()
        yield post("/things", {"at": now, "things": things})


@pytest.mark.parametrize(("batch", "requests"), [("", 10), (", batch: true", 2), (", batch: {max_records: 4}", 3)])
def test_the_time_is_told_and_a_batch_is_as_large_as_is_usual_unless_asked(
    tmp_path: Path, batch: str, requests: int
) -> None:

    world = World(tmp_path)
    world.write("customers.csv", customers(10))
    text = f"""
version: 1
name: shop
sources: {{customers: {{type: file, path: customers.csv, key: id}}}}
sinks: {{t: {{type: timely, concurrency: 1{batch}}}}}
mappings: {{rows: {{from: customers, to: t.put, fields: {{id: "{{{{ record.id }}}}"}}}}}}
"""

    registry = Registry.builtin().with_plugin("sinks", "timely", Timely)
    path = world.write("shop.yaml", text)
    loaded = parse(text, str(path), registry, environ={}, path=path)
    assert loaded.pipeline is not None, [finding.render() for finding in loaded.findings]
    seen: list[Any] = []

    def ask(request: Any) -> Response:
        seen.append(msgspec.json.decode(request.body))
        return Response(200)

    options = Options(clock=world.clock, chance=world.chance, transport=lambda _, clock: Pretend(ask, clock))
    assert run_pipeline(loaded.pipeline, registry, options).exit == 0
    assert len(seen) == requests and {one["at"] for one in seen} == {world.clock.time()}


def test_the_transport_has_room_for_all_questions(world: World) -> None:
    """Else they would queue in it while their time runs out."""
    world.write("customers.csv", customers(3))
    sizes: list[int] = []
    run(world, ", concurrency: 7", sizes=sizes)
    assert sizes == [7]
