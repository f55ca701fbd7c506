"""Vendors' actions from Python: the payloads, batches, retries and verdicts of a run, told payload by payload."""

import threading
from itertools import count
from random import Random

import msgspec
import pytest

import engine
from engine.errors import NoAnswer
from engine.model import Response
from engine.plugin import Vendor
from engine.python import Account, NotDelivered, Stopped
from engine.python.accounts import Verb
from engine.registry import Registry, pretend_server, pretend_world
from engine.runtime.clock import FakeClock, SystemClock
from engine.runtime.transport import Pretend


class Door:
    """An account whose requests go to `handle`, or to a pretend vendor, on a clock that stands."""

    def __init__(self, type="iterable", handle=None, faults=(), **settings):
        self.clock, self.requests = FakeClock(), []
        self.world = pretend_world(self.clock, list(faults))
        self._handle = handle or self.world.handle
        settings = {"api_key": "key"} | settings if type == "iterable" else settings
        self.account = Account(
            type,
            transport=lambda size, clock: Pretend(self._ask, clock),
            clock=self.clock,
            chance=Random(1),
            **settings,
        )

    def _ask(self, request):
        self.requests.append(request)
        return self._handle(request)

    def bodies(self):
        return [msgspec.json.decode(request.body) for request in self.requests]


def people(count, start=0):
    return [{"email": f"p{n}@example.org"} for n in range(start, start + count)]


def test_one_payload_as_keywords_or_as_a_dict():
    door = Door()
    assert door.account.update_user(email="ada@example.org", dataFields={"plan": "pro"}).delivered == 1
    assert door.account.update_user({"email": "ada@example.org", "dataFields": {"plan": "pro"}}).ok
    first, second = door.bodies()
    assert first == second == {"users": [{"email": "ada@example.org", "dataFields": {"plan": "pro"}}]}


def test_many_go_in_bulk_and_each_has_its_fate_in_the_order_given():
    given = [
        *people(1500),
        {"email": "no address"},
        {"dataFields": {}},
        {"email": "z@example.org", "dataFields": {"x": float("nan")}},
    ]
    door = Door()
    result = door.account.update_user(iter(given))
    assert len(result) == len(given) and result.counts["delivered"] == 1500 and not result
    assert [(f.number, f.outcome, f.code) for f in result.failures] == [
        (1500, "rejected", "invalid-identifier"),
        (1501, "rejected", "invalid-payload"),
        (1502, "rejected", "not-json"),
    ]
    assert result.failures[0].payload == {"email": "no address"} and result[-3] == result[1500] and result[:2][1].ok
    assert (
        sum(len(body["users"]) for body in door.bodies()) == 1501
        and max(len(b["users"]) for b in door.bodies()) <= 1000
    )
    assert result.requests == len(door.requests) and result.bytes == sum(len(r.body) for r in door.requests)
    with pytest.raises(NotDelivered, match=r"payload 1500 is rejected: invalid-identifier.*and 2 more") as raised:
        result.raise_for_failures()
    assert raised.value.result is result


def test_a_thousand_people_at_the_vendors_pace():
    door = Door(concurrency=1, batch={"max_records": 10})
    began = door.clock.now()
    door.account.update_user(people(100))
    assert door.clock.now() - began == pytest.approx(9 / 5)  # ten requests, five a second


def test_requests_are_sent_again_as_in_a_run():
    door = Door(faults=[{"every": 2, "status": 503}], retry={"initial": "1s"})
    result = door.account.update_user(people(3000))
    assert result.ok and result.delivered == 3000 and result.retries > 0
    stored = {user["email"] for body in door.bodies() for user in body["users"]}
    assert len(stored) == 3000


def test_what_halts_says_how_far_it_came():
    answers = count()

    def handle(request):
        if next(answers) < 2:
            users = len(msgspec.json.decode(request.body)["users"])
            return Response(200, body=msgspec.json.encode({"successCount": users, "failCount": 0}))
        return Response(401, body=b'{"code": "BadApiKey"}')

    door = Door(handle=handle, concurrency=1, batch={"max_records": 10})
    with pytest.raises(Stopped, match="refused the key") as raised:
        door.account.update_user(people(5000))
    result = raised.value.result
    assert isinstance(raised.value, engine.Halt) and raised.value.code == "http-401"
    assert result.counts == {"delivered": 20, "rejected": 0, "dropped": 0, "unknown": 0, "open": 4980}
    assert [fate.payload for fate in result] == [None] * 20 + people(4980, 20)
    assert len(door.requests) == 3


def test_an_iterator_keeps_what_was_not_taken_when_it_halts():
    door = Door(handle=lambda request: Response(403))
    waiting = iter(people(100_000))
    with pytest.raises(Stopped) as raised:
        door.account.update_user(waiting)
    assert len(raised.value.result) + len(list(waiting)) == 100_000


def test_after_a_halt_the_account_can_be_used_again():
    down = [True]
    door = Door(
        handle=lambda request: NoAnswer("down") if down[0] else door.world.handle(request), retry={"max_attempts": 2}
    )

    def handle(request):
        if down[0]:
            raise NoAnswer("connection refused")
        return door.world.handle(request)

    door._handle = handle
    with pytest.raises(Stopped, match="2 attempts"):
        door.account.update_user(people(3))
    down[0] = False
    assert door.account.update_user(people(3)).ok


def test_events_get_an_id_that_is_the_same_in_every_attempt():
    door = Door(faults=[{"every": 2, "status": 503}])
    door.account.track_event(
        [{"eventName": "a", "email": "x@y.org"}, {"eventName": "a", "email": "x@y.org", "id": "own"}]
    )
    door.account.track_event(eventName="a", email="x@y.org")
    ids = [event["id"] for body in door.bodies() for event in body["events"]]
    assert "own" in ids and all(ids)
    assert len(set(ids)) == 3  # repeats have the same one, other events others


def test_an_erased_person_is_no_failure_and_named_nowhere():
    answer = {"successCount": 0, "failCount": 1, "failedUpdates": {"forgottenEmails": ["gone@example.org"]}}
    door = Door(handle=lambda request: Response(200, body=msgspec.json.encode(answer)))
    result = door.account.update_user(email="gone@example.org")
    assert (
        result.ok
        and result[0].outcome == "dropped"
        and result[0].payload is None
        and "gone" not in repr(list(result))
    )


def test_in_doubt_is_unknown_and_not_sent_twice():
    def handle(request):
        raise NoAnswer("reset", ambiguous=True)

    door = Door(handle=handle)
    result = door.account.merge_users(sourceEmail="a@x.org", destinationEmail="b@x.org")
    assert result[0].outcome == "unknown" and len(door.requests) == 1 and not result.ok


def test_lists_and_catalogs_go_group_by_group():
    door = Door()
    given = [{"listId": 1 + n % 2, "email": f"p{n}@example.org"} for n in range(10)]
    assert len(door.account.subscribe(given)) == 10
    gone = {s["email"]: body["listId"] for body in door.bodies() for s in body["subscribers"]}
    assert gone == {one["email"]: one["listId"] for one in given}


def test_every_action_of_every_vendor_can_be_called_and_explains_itself():
    settings = {"flagship": {"env_id": "e" * 20, "api_key": "k"}, "lumidatum": {"token": "t", "model_id": 1}}
    registry = Registry.builtin()
    for name in registry.names("sinks"):
        plugin = registry.load("sinks", name)
        if issubclass(plugin, Vendor):
            account = Door(name, **settings.get(name, {})).account
            for action in plugin.actions():
                verb = getattr(account, action)
                assert isinstance(verb, Verb) and action in dir(account)
                fields = registry.schema("sinks", name)["$defs"][action].get("properties", {})
                assert all(f"  {field}: " in verb.__doc__ for field in fields)


def test_what_an_action_takes_beside_payloads_is_no_field():
    door = Door("lumidatum", token="t", model_id=1)
    assert door.account.users([{"id": 7}], model_id=123).ok
    (request,) = door.requests
    assert "model_id=123&" in request.url and request.body == b'{"id":7}'


def test_messages_are_near_the_right_answer():
    with pytest.raises(AttributeError, match="no action update_usr; did you mean update_user"):
        Door().account.update_usr  # noqa: B018
    with pytest.raises(engine.InvalidPipeline, match='no key "data_centre"; did you mean "data_center"') as raised:
        engine.Iterable("key", data_centre="eu")
    assert [(f.code, f.file) for f in raised.value.findings] == [("unknown-key", "iterable.data_centre")]
    with pytest.raises(engine.InvalidPipeline, match="timeout"):
        engine.Iterable("key", timeout="soon")
    with pytest.raises(engine.InvalidPipeline, match="in clear text"):
        engine.Iterable("key", base_url="http://example.org/api")
    with pytest.raises(engine.InvalidPipeline, match="did you mean iterable"):
        engine.vendor("iterabel")
    with pytest.raises(engine.InvalidPipeline, match="no vendor"):
        engine.vendor("file", path="x.csv")
    with pytest.raises(engine.InvalidPipeline, match="update_email"):
        Door(project_type="user_id").account.update_email(currentEmail="a@x.org", newEmail="b@x.org")


def test_what_is_no_payload_is_told_at_once():
    account = Door().account
    for wrong in ("ada@example.org", 7, b"{}"):
        with pytest.raises(TypeError, match="takes a dict, or an iterable of dicts"):
            account.update_user(wrong)
    with pytest.raises(TypeError, match="not both"):
        account.update_user([{"email": "a@x.org"}], email="b@x.org")


def test_no_secret_is_shown():
    account = Door(api_key="very-secret-key").account
    assert "very-secret" not in repr(account) + repr(vars(account)) + repr(account._sink.vendor.__dict__)


def test_threads_take_turns():
    door, results = Door(), []
    threads = [
        threading.Thread(target=lambda n=n: results.append(door.account.update_user(people(50, n * 50))))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [result.delivered for result in results] == [50] * 4


def test_a_dollar_sign_in_a_key_is_itself():
    door = Door(api_key="a${HOME}b")
    door.account.update_user(people(1))
    assert door.requests[0].headers["Api-Key"].reveal() == "a${HOME}b"


BUYER = {"email": "a@x.org", "userId": "u1"}
CALLS = {  # in an order in which each finds what it needs
    "update_user": (BUYER | {"dataFields": {"plan": "pro"}}, "POST users/bulkUpdate"),
    "track_event": (BUYER | {"eventName": "Seen"}, "POST events/trackBulk"),
    "track_purchase": (
        {"user": BUYER, "items": [{"id": "A", "name": "Alpha", "price": 0, "quantity": 0}], "total": 0},
        "POST commerce/trackPurchase",
    ),
    "update_cart": ({"user": BUYER, "items": []}, "POST commerce/updateCart"),
    "subscribe": (BUYER | {"listId": 1}, "POST lists/subscribe"),
    "unsubscribe": (BUYER | {"listId": 1}, "POST lists/unsubscribe"),
    "update_subscriptions": (BUYER | {"emailListIds": [1]}, "POST users/bulkUpdateSubscriptions"),
    "upsert_catalog_item": ({"catalogName": "books", "id": "b1", "value": {"t": "x"}}, "POST catalogs/books/items"),
    "register_device_token": (
        BUYER | {"device": {"token": "t", "platform": "APNS", "applicationName": "app"}},
        "POST users/registerDeviceToken",
    ),
    "update_email": ({"currentEmail": "a@x.org", "newEmail": "b@x.org"}, "POST users/updateEmail"),
    "merge_users": ({"sourceUserId": "u1", "destinationUserId": "u2"}, "POST users/merge"),
    "delete_user": ({"userId": "u2"}, "DELETE users/byUserId/u2"),
}


def test_every_verb_of_iterable_in_one_line():
    door = Door()
    assert list(CALLS) and set(CALLS) == set(door.account._sink.actions)
    for verb, (payload, request) in CALLS.items():
        result = getattr(door.account, verb)(payload)
        assert result.delivered == 1, (verb, result.failures)
        sent = door.requests[-1]
        assert f"{sent.method} {sent.url.partition('/api/')[2]}" == request


def test_over_the_network_of_this_machine():
    with pretend_server(pretend_world(SystemClock(), []), 0) as server:
        client = engine.Iterable("key", base_url=server.urls["iterable"])
        assert client.update_user(people(300)).delivered == 300
        assert [client.track_purchase(CALLS["track_purchase"][0]).ok for _ in range(3)] == [True] * 3
        with pytest.raises(Stopped, match="refused the key"):
            engine.Iterable("invalid", base_url=server.urls["iterable"]).update_user(BUYER)
