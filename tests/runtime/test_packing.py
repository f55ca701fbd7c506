"""A vendor's last word on a payload before it is encoded: `Action.prepare`."""

import pytest

from engine.plugin import RecordError, Vendor, action, post
from engine.registry import Registry
from tests.runtime.runs import World

TEXT = """
version: 1
name: shop
sources: {people: {type: file, path: people.jsonl, key: id}}
sinks: {shelf: {type: shelf, loud: %s}}
mappings: {all: {from: people, to: shelf.keep, %s fields: {name: "{{ record.name }}", more: "{{ record.more }}"}}}
"""


class Shelf(Vendor):
    schema = {  # noqa: RUF012 - a plugin's schema
        "type": "object",
        "properties": {"loud": {"type": "boolean", "title": "Loud", "description": "Shout."}},
        "$defs": {"keep": {"type": "object", "properties": {"name": {"type": "string"}, "more": {}}}},
    }
    base_url = "https://shelf.test"
    prepared = None

    def __init__(self, *, loud: bool) -> None:
        self.prepared = self._shout if loud else None

    def _shout(self, payload):
        if payload["name"] == "nobody":
            raise RecordError("nobody", "nobody cannot be kept", "name")
        return {**payload, "name": payload["name"].upper()}

    @action(max_records=10, key=lambda payload: payload["name"], prepare="prepared")
    def keep(self, payloads):
        """Keep."""
        yield post("/keep", payloads.raw)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    rows = [f'{{"id": "{n}", "name": "{name}", "more": []}}' for n, name in enumerate(["ann", "nobody", "bob"])]
    world.write("people.jsonl", "\n".join(rows))
    return world


@pytest.mark.parametrize("each", ["", 'each: "{{ [1] }}",'])
def test_payloads_go_out_as_prepared_and_a_refusal_is_one_payloads(world, each, monkeypatch):
    outcome, bodies = run(world, TEXT % ("true", each), monkeypatch)
    assert outcome.exit == 1
    assert b'"ANN"' in b"".join(bodies) and b'"BOB"' in b"".join(bodies)
    assert b"nobody" not in b"".join(bodies)
    (letter,) = world.letters
    assert (letter["stage"], letter["code"], letter["reason"]) == ("payload", "nobody", "name: nobody cannot be kept")
    assert letter["payload"] == {"name": "nobody", "more": []}


def test_what_needs_no_preparing_goes_as_it_is(world, monkeypatch):
    outcome, bodies = run(world, TEXT % ("false", ""), monkeypatch)
    assert outcome.exit == 0
    assert b'"ann"' in b"".join(bodies) and b'"nobody"' in b"".join(bodies)


def run(world, text, monkeypatch):
    """A run with a vendor of its own; the outcome, and the bodies that went out."""
    from engine.model import Response

    registry = Registry.builtin().with_plugin("sinks", "shelf", Shelf)
    monkeypatch.setattr(Registry, "builtin", classmethod(lambda cls: registry))
    outcome = world.run(text, handle=lambda request: Response(200, {}, b"{}"))
    return outcome, [request.body for request in world.requests]
