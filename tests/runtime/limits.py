"""A measured campaign at the vendors' real limits, on simulated time: what is refused, and how much of them is used.

The pretend vendor enforces its limits as the real one does, and takes its time to answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from engine.model import Response, WireRequest
from engine.registry import Registry, pretend_world
from engine.runners.local import Options, Outcome, run_pipeline
from engine.runtime.transport import Pretend
from tests.runtime.runs import World, check_sums, customers
from tests.runtime.together import Together

ENDPOINTS = {"update_user": ("/users/bulkUpdate", 5.0), "track_event": ("/events/trackBulk", 10.0)}
SECONDS = 60  # of work at the limit, all processes together
ROWS = 4  # of a request: pace does not depend on its size
PIPELINE = """
version: 1
name: {name}
sources:
  customers: {{type: file, path: {name}.csv, key: id}}
sinks:
  crm: {{type: iterable, api_key: "${{ITERABLE_API_KEY}}", batch: {{max_records: {rows}}}{more}}}
mappings:
  all:
    from: customers
    to: crm.{action}
    fields: {{email: "{{{{ record.email }}}}"{event}}}
"""


class Measured(NamedTuple):
    """One row of the campaign; `refused` and `used` are shares of 1."""

    endpoint: str
    processes: int
    allowed: float  # requests a second
    requests: int
    refused: float  # answered 429
    used: float  # of the allowed rate, between the first request and the last
    lost: int  # rows that the vendor has not


def measure_limits(folder: Path) -> list[Measured]:
    """One process alone, two of one key, and three: for each endpoint that has a published limit."""
    found = []
    for action in ENDPOINTS:
        for processes in (1, 2, 3):
            place = folder / f"{action}-{processes}"
            place.mkdir()
            found.append(measure(place, action, processes))
    return found


def measure(folder: Path, action: str, processes: int) -> Measured:
    """So many processes at once, each with a pipeline of its own and the same key."""
    path, allowed = ENDPOINTS[action]
    times, outcomes, world = run_together(folder, [action] * processes)
    assert all(outcome.exit == 0 for outcome in outcomes)
    sent = [moment for where, moment, _ in times if where.endswith(path)]
    refused = sum(status == 429 for where, _, status in times if where.endswith(path))
    wanted = sum(outcome.report["mappings"]["all"]["records"] for outcome in outcomes)
    used = (len(sent) - 1) / (max(sent) - min(sent)) / allowed
    vendor = world.vendors["iterable"]
    lost = wanted - (len(vendor.people.everybody) if action == "update_user" else len(vendor.events))
    return Measured(path, processes, allowed, len(sent), refused / len(sent), used, lost)


def run_together(
    folder: Path, actions: Sequence[str], *, more: Sequence[str] = (), faults: Sequence[Any] = (), share: bool = True,
    seconds: float = SECONDS,
) -> tuple[list[tuple[str, float, int]], list[Outcome], Any]:  # fmt: skip
    """Runs of one key and state directory at once. What arrived: address, moment, status; and what came of the runs."""
    together = Together()
    world = pretend_world(together, list(faults))
    chance, seen = Random(3), []

    def ask(request: WireRequest) -> Response:
        answer = world.handle(request)
        seen.append((request.url, together.now(), answer.status))
        return Response(answer.status, answer.headers, answer.body, answer.delay + chance.uniform(0.05, 0.35))

    def part(number: int) -> Any:
        name, action = f"p{number}", actions[number]
        rows = int(seconds * ENDPOINTS[action][1] / len(actions)) * ROWS
        text = PIPELINE.format(
            name=name, rows=ROWS, action=action, event=', eventName: "seen"' if action == "track_event" else "",
            more=f", {more[number]}" if more else "",
        )  # fmt: skip
        here = World(folder, text)
        here.write(f"{name}.csv", customers(rows).replace("user", f"{name}-user"))
        pipeline = here.pipeline()

        def run(clock: Any) -> Outcome:
            options = Options(
                clock=clock, chance=Random(number), transport=lambda _, own: Pretend(ask, own), share_pace=share
            )
            outcome = run_pipeline(pipeline, Registry.builtin(), options)
            check_sums(outcome)
            return outcome

        return run

    outcomes = together.run(*(part(number) for number in range(len(actions))))
    return seen, outcomes, world


def table(rows: Sequence[Measured]) -> list[str]:
    """The rows as a Markdown table."""
    head = [
        "| endpoint | processes | allowed a second | requests | answered 429 | of the rate used | lost |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    return head + [
        f"| `{r.endpoint}` | {r.processes} | {r.allowed:g} | {r.requests:,} | {r.refused:.1%} | {r.used:.1%} | {r.lost} |"
        for r in rows
    ]
