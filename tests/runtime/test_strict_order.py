"""`order: strict`: what the records made arrives in the order of the records, across actions, person by person."""

import json
from random import Random

import msgspec
import pytest

from tests.runtime.runs import World

TEXT = """
version: 1
name: shop
sources: {changes: {type: file, path: changes.jsonl}}
sinks: {crm: {type: iterable, api_key: "${ITERABLE_API_KEY}", order: strict, concurrency: 3, batch: {max_records: %d}}}
mappings:
  updated: {from: changes, to: crm.update_user, when: "{{ 'update' in record.do }}", key: "{{ record.who }}",
            fields: {userId: "{{ record.who }}", dataFields: {mark: "{{ record.n }}"}}}
  joined: {from: changes, to: crm.subscribe, when: "{{ 'join' in record.do }}", key: "{{ record.who }}",
           fields: {listId: "{{ record.list }}", userId: "{{ record.who }}", dataFields: {mark: "{{ record.n }}"}}}
  deleted: {from: changes, to: crm.delete_user, when: "{{ 'delete' in record.do }}", key: "{{ record.who }}",
            fields: {userId: "{{ record.who }}"}}
  seen: {from: changes, to: crm.track_event, when: "{{ 'see' in record.do }}", key: "{{ record.who }}",
         fields: {userId: "{{ record.who }}", eventName: Seen, dataFields: {mark: "{{ record.n }}"}}}
"""


def change(number, who, *do, place=1):
    return {"n": number, "who": who, "do": list(do), "list": place}


def arrived(world, changes, text, faults=()):
    """What the vendor took, person by person: (action, mark)."""
    world.write("changes.jsonl", "".join(json.dumps(change) + "\n" for change in changes))
    seen = {}

    def handle(request):
        answer = world.world.handle(request)
        if answer.status in (200, 400):  # 400: somebody to delete is not there, which is no failure
            for who, what in told(request):
                seen.setdefault(who, []).append(what)
        return answer

    outcome = world.run(text, handle=handle)
    assert outcome.exit == 0, outcome.report
    return seen


def told(request):
    path = request.url.partition("/api/")[2]
    if request.method == "DELETE":
        return [(path.rpartition("/")[2], "delete")]
    body = msgspec.json.decode(request.body)
    (rows,) = [value for value in body.values() if isinstance(value, list)]
    verb = {"users/bulkUpdate": "update", "lists/subscribe": "join", "events/trackBulk": "see"}[path]
    return [(row["userId"], (verb, row["dataFields"]["mark"])) for row in rows]


def wanted(changes):
    order = ["update", "join", "delete", "see"]  # of mappings in the file: within a record it is theirs
    found = {}
    for one in changes:
        for verb in [verb for verb in order if verb in one["do"]]:
            found.setdefault(one["who"], []).append("delete" if verb == "delete" else (verb, one["n"]))
    return found


def test_a_log_of_changes_is_played_in_its_order(tmp_path):
    changes = [
        change(0, "a", "update"),
        change(1, "a", "delete"),
        change(2, "b", "join"),
        change(3, "a", "update"),
        change(4, "b", "update"),
        change(5, "b", "join", place=2),
        change(6, "b", "join", "see"),
    ]
    world = World(tmp_path)
    assert arrived(world, changes, TEXT % 1000) == wanted(changes)
    people = {person["userId"]: person for person in world.vendor.state()["users"]}
    assert people["a"]["dataFields"] == {"mark": 3}, "deleted, then made anew"
    assert people["b"]["lists"] == [1, 2]


def test_order_does_not_cost_the_batches(tmp_path):
    changes = [change(n, f"u{n}", "update", "see") for n in range(900)]
    world = World(tmp_path)
    assert arrived(world, changes, TEXT % 1000) == wanted(changes)
    assert len(world.requests) == 3 * 2, "one of each action for each lane"


@pytest.mark.parametrize("seed", range(10))
def test_whatever_the_log_and_however_the_vendor_feels(tmp_path, seed):
    chance = Random(seed)
    verbs = ["update", "join", "see", "delete"]
    changes = [
        change(
            n, f"u{chance.randint(0, 12)}", *chance.sample(verbs, chance.randint(1, 3)), place=chance.randint(1, 3)
        )
        for n in range(chance.randint(20, 400))
    ]
    faults = [{"ratio": 0.2, "seed": seed, "status": 503}]
    world = World(tmp_path, faults=faults, seed=seed)
    assert arrived(world, changes, TEXT % chance.choice([1, 2, 7, 50])) == wanted(changes)
