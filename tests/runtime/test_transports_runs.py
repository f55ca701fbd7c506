"""Every fault that a pretend vendor knows, over both transports; and whole runs, which end in the same bytes."""

from __future__ import annotations

import json
from contextlib import closing
from random import Random
from typing import Any

import pytest

from engine.config.load import parse
from engine.errors import Halt, NoAnswer, Unreadable
from engine.model import Response
from engine.registry import Registry
from engine.runners.local import Options, run_pipeline
from engine.runtime.clock import SystemClock
from engine.runtime.deadletters import read_letters
from engine.sandbox.server import serve
from engine.sandbox.world import World
from tests.runtime.ports import NETWORKS, answers, ask, port, request, says
from tests.runtime.runs import check_sums, customers
from tests.sandbox.helpers import Standing

ONE = json.dumps({"users": [{"email": "a@x.test"}]}).encode()
WEDNESDAY = "Wed, 21 Oct 2015 07:28:00 GMT"


def status(wanted: int, **headers: str) -> Any:
    def judge(found: Any) -> None:
        assert isinstance(found, Response) and found.status == wanted, found
        assert {name.replace("_", "-"): value for name, value in headers.items()}.items() <= found.headers.items()

    return judge


def lost(found: Any) -> None:
    assert isinstance(found, NoAnswer) and found.ambiguous, found


def unreadable(found: Any) -> None:
    assert found.status == 200
    with pytest.raises(Unreadable):
        found.json()


def taken(found: Any) -> None:
    assert found.json()["successCount"] == 1


# The fault, what the engine is told, and how many requests the vendor did its work for.
FAULTS: dict[str, tuple[dict[str, Any], Any, int]] = {
    "none": ({"nth": [99], "status": 503}, taken, 1),
    "500": ({"status": 500}, status(500), 0),
    "500 after the work": ({"status": 500, "after": True}, status(500), 1),
    "503 with a page": ({"status": 503, "html": True}, status(503), 0),
    "400": ({"status": 400, "body": {"code": "BadParams"}}, status(400), 0),
    "401": ({"status": 401}, status(401), 0),
    "413": ({"status": 413}, status(413), 0),
    "429 with seconds": ({"status": 429, "retry_after": 7}, status(429, retry_after="7"), 0),
    "429 with a date": ({"status": 429, "retry_after": WEDNESDAY}, status(429, retry_after=WEDNESDAY), 0),
    "429 with rubbish": ({"status": 429, "retry_after": "soon"}, status(429, retry_after="soon"), 0),
    "429 without": ({"status": 429}, status(429), 0),
    "reset before": ({"reset": "before"}, lost, 0),
    "reset after": ({"reset": "after"}, lost, 1),
    "cut": ({"cut": 20}, lost, 1),
    "cut to nothing": ({"cut": 0}, lost, 1),
    "empty": ({"empty": True}, unreadable, 1),
    "a page": ({"html": True}, unreadable, 1),
    "no JSON": ({"invalid_json": True}, unreadable, 1),
    "late": ({"delay": 0.01}, taken, 1),
    "too late": ({"delay": 30}, lost, 1),
    "dripping": ({"drip": 0.02}, taken, 1),
    "dripping for too long": ({"drip": 30}, lost, 1),
}


@pytest.fixture(params=NETWORKS)
def network(request):
    return NETWORKS[request.param]


@pytest.mark.parametrize("name", FAULTS)
def test_a_vendors_bad_moment(network, name):
    fault, judge, worked = FAULTS[name]
    timeout = 0.3 if 30 in fault.values() else 5.0
    world = World(Standing(), [fault], {"iterable": {"rates": False}})
    with serve(world) as server, closing(network()) as transport:
        judge(ask(transport, request(server.urls["iterable"] + "/users/bulkUpdate", body=ONE), timeout))
        assert len(world.received) == worked and world.faults[0].fired == ("nth" not in fault)


def test_a_vendors_redirect_leads_nowhere(network):
    with port(says(b"{}")) as trap:
        world = World(Standing(), [{"redirect": trap.url}])
        with serve(world) as server, closing(network()) as transport:
            found = ask(transport, request(server.urls["iterable"] + "/users/bulkUpdate", body=ONE))
            status(307, location=trap.url)(found)
        assert not trap.connections


def test_after_each_fault_the_next_request_is_whole(network):
    """One transport through them all: what a fault leaves on a connection is not read for the next answer."""
    says_faults = [fault for fault, _, _ in FAULTS.values() if 30 not in fault.values() and "nth" not in fault]
    turns = [{**fault, "nth": [2 * n + 1]} for n, fault in enumerate(says_faults)]
    world = World(Standing(), turns, {"iterable": {"rates": False}})
    with serve(world) as server, closing(network()) as transport:
        for _ in turns:
            ask(transport, request(server.urls["iterable"] + "/users/bulkUpdate", body=ONE))
            taken(ask(transport, request(server.urls["iterable"] + "/users/bulkUpdate", body=ONE)))
    assert [fault.fired for fault in world.faults] == [1] * len(turns)


# --- whole runs ---------------------------------------------------------------------------------------------

PIPELINE = """
version: 1
name: shop
sources:
  customers: {type: file, path: customers.csv, key: id}
sinks:
  crm:
    type: iterable
    api_key: "${ITERABLE_API_KEY}"
    base_url: "${ITERABLE_URL}"
    concurrency: %d
    rate_limit: {requests: 0}
    batch: {max_records: 7}
    retry: {initial: 1ms, max: 2ms}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    fields: {email: "{{ record.email }}", userId: "{{ record.id }}", dataFields: {age: "{{ record.age | int }}"}}
  visits:
    from: customers
    to: crm.track_event
    fields: {email: "{{ record.email }}", eventName: Visit, createdAt: 1700000000}
  orders:
    from: customers
    to: crm.track_purchase
    when: "{{ record.age | int(default=0) > 60 }}"
    fields: {user: {email: "{{ record.email }}"}, items: [{id: "1", name: T, price: 1.5, quantity: 1}], total: 1.5}
"""
ROUGH = [
    {"nth": [3], "status": 503}, {"nth": [6], "reset": "before"}, {"nth": [9], "reset": "after"},
    {"nth": [12], "status": 429, "retry_after": 0}, {"nth": [15], "cut": 10}, {"nth": [18], "html": True, "status": 502},
    {"nth": [21], "drip": 0.01}, {"nth": [24], "status": 400}, {"nth": [28], "empty": True},
]  # fmt: skip
BAD = {5: "5,not-an-address,30", 11: "11,user11@shop.test,old", 40: "40,also bad,70"}


def whole_run(folder: Any, network: Any, faults: list[Any], lanes: int) -> dict[str, Any]:
    folder.mkdir()
    (folder / "customers.csv").write_text(customers(60, BAD))
    path = folder / "shop.yaml"
    path.write_text(PIPELINE % lanes)
    world = World(Standing(), faults, {"iterable": {"rates": False}})
    with serve(world) as server:
        given = {"ITERABLE_API_KEY": "test-key-0123456789", "ITERABLE_URL": server.urls["iterable"]}
        loaded = parse(path.read_text(), str(path), Registry.builtin(), environ=given, path=path)
        assert loaded.pipeline is not None, loaded.findings
        made = Options(clock=SystemClock(), chance=Random(1), transport=lambda size, clock: network(size))
        outcome = run_pipeline(loaded.pipeline, Registry.builtin(), made)
        assert outcome.error is None, outcome.error
        check_sums(outcome)
        report = json.loads(json.dumps(outcome.report).replace(str(folder), "FOLDER").replace(server.root, "ROOT"))
        letters = list(read_letters(folder / ".engine" / "dead" / "shop.jsonl"))
        text = json.dumps(letters).replace(server.root, "ROOT")
    for changing in ("started_at", "seconds"):
        report.pop(changing)
    report["sinks"]["crm"].pop("throttled_seconds")
    return {
        "exit": outcome.exit, "report": report,
        "letters": [{**letter, "at": ""} for letter in json.loads(text)],
        "received": world.received, "state": world.vendors["iterable"].state(),
        "fired": [fault.fired for fault in world.faults],
    }  # fmt: skip


@pytest.mark.parametrize("faults", [[], ROUGH], ids=["a good hour", "a bad hour"])
def test_a_run_is_the_same_over_both_byte_for_byte(tmp_path, faults):
    one, other = (whole_run(tmp_path / name, network, faults, 1) for name, network in NETWORKS.items())
    assert one["fired"] == [1] * len(faults) and one["exit"] == 1 and len(one["letters"]) >= 5
    if faults:
        assert one["report"]["sinks"]["crm"]["ambiguous_retries"] >= 4
    for part in one:
        assert one[part] == other[part], part


@pytest.mark.parametrize(
    "faults", [[], [{"ratio": 0.3, "seed": 3, "status": 503}]], ids=["a good hour", "a bad hour"]
)
def test_with_many_in_flight_a_run_ends_in_the_same_state(tmp_path, faults):
    one, other = (whole_run(tmp_path / name, network, faults, 8) for name, network in NETWORKS.items())

    def settled(run: dict[str, Any]) -> Any:
        mappings = run["report"]["mappings"]
        return mappings, sorted(letter["id"] for letter in run["letters"]), run["exit"]

    assert settled(one) == settled(other)
    for what in ("users", "events", "purchases"):
        assert sorted(map(str, one["state"][what])) == sorted(map(str, other["state"][what]))


def test_a_refused_key_halts_both_alike(tmp_path):
    halts = []
    for name, network in NETWORKS.items():
        with pytest.raises(AssertionError) as caught:
            whole_run(tmp_path / name, network, [{"status": 401}], 4)
        halts.append(str(caught.value).splitlines()[0])
    assert halts[0] == halts[1] and "refused the key" in halts[0]


def test_many_wait_for_one_transport(network):
    """More than it has connections for; all are answered."""
    world = World(Standing(), [{"every": 7, "status": 503}], {"iterable": {"rates": False}})
    with serve(world) as server, closing(network(4)) as transport:
        for token in range(60):
            transport.start(request(server.urls["iterable"] + "/users/bulkUpdate", body=ONE), token, 20.0)
        found = answers(transport, 60)
    assert sorted(answer.status for answer in found.values()) == [200] * 52 + [503] * 8
    assert not any(isinstance(answer, Halt) for answer in found.values())
