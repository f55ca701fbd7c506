"""What goes wrong under a run that has begun is told in a full report."""

import sqlite3

import pytest

from engine.errors import Refused
from engine.model import Response
from tests.runtime.runs import World, customers
from tests.runtime.talking import Talks, script


@pytest.mark.parametrize("harm", ["DROP TABLE tracks", "UPDATE heads SET data = 'x'; DROP TABLE heads"])
def test_a_state_that_is_damaged_under_the_run_ends_it_with_4_and_its_report(tmp_path, harm):
    world = World(tmp_path)
    world.write("customers.csv", customers(4000))

    def handle(request):
        if len(world.requests) == 2:
            with sqlite3.connect(tmp_path / ".engine" / "state.db") as other:
                other.executescript(harm)
            other.close()
        return world.world.handle(request)

    outcome = world.run(handle=handle)
    assert outcome.exit == 4 and isinstance(outcome.error, Refused)
    report = outcome.report
    assert report["status"] == "failed" and "state.db is damaged" in report["error"]["reason"]
    assert "engine state reset" in report["error"]["reason"]
    assert report["sinks"]["crm"]["requests"] >= 2 and report["sources"]["customers"]["read"] > 0
    assert report["mappings"]["profiles"]["delivered"] > 0, "what was sent was sent, and is told"
    assert world.run(fresh=True).exit == 0
    assert len(world.vendor.people.everybody) == 4000


@pytest.mark.parametrize("retry", ["{initial: 0s, max: 0s}", "{initial: 0s}", "{max: 0s, multiplier: 1}"])
def test_no_setting_of_retry_hammers(tmp_path, retry):
    world = World(tmp_path)
    world.text = world.text.replace(
        "type: iterable,", f"type: iterable, retry: {retry}, rate_limit: {{requests: 0}},"
    )
    world.write("customers.csv", customers(10))
    outcome = world.run(handle=lambda request: Response(503))
    assert outcome.exit == 3
    assert world.clock.now() > 800
    assert len(world.requests) < 2.5 * world.clock.now() + 10


def test_a_talk_without_any_wait_waits_all_the_same():
    talks = Talks(script(Response(503)), initial=0.0, max=0.0, give_up_after=60.0)
    talks.offer("a")
    talks.run()
    assert talks.courier.halted is not None and talks.clock.now() > 50
    assert len(talks.requests) < 200
