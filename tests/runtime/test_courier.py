"""Who decides what an answer means: the courier's table, row by row."""

from itertools import pairwise

import pytest

from engine.errors import Halt, NoAnswer, Split
from engine.model import Response, Verdict
from engine.plugin import Vendor, action, get, post
from tests.runtime.talking import Shop, Talks, names, ok, script


def test_silence_means_delivered():
    talks = Talks(script(ok()))
    talks.offer("a", "b")
    talks.run()
    assert talks.log.fates == {"a": "delivered", "b": "delivered"}
    assert talks.sent == [["a", "b"]]


def test_an_answer_of_success_that_names_failures_is_read():
    talks = Talks(script(ok(verdicts={1: ("rejected", "bad", "no"), 2: ("dropped", "gone", "")})))
    talks.offer("a", "b", "c")
    talks.run()
    assert talks.log.fates == {"a": "delivered", "b": "rejected: bad", "c": "dropped: gone"}
    assert talks.log.exchanges["b"].response.status == 200


def test_notes_reach_the_report():
    talks = Talks(script(ok(note="shoe")))
    talks.offer("a")
    talks.run()
    assert talks.notes == ["shop: left-out: shoe"]


@pytest.mark.parametrize(
    "trouble",
    [Response(s) for s in (408, 425, 429, 500, 502, 503, 504, 599)]
    + [NoAnswer("reset", ambiguous=True), NoAnswer("refused"), Response(200, {}, b"<html>hello"), Response(200)],
    ids=lambda t: str(getattr(t, "status", t)),
)
def test_not_now_means_the_same_bytes_again(trouble):
    talks = Talks(script(trouble, trouble, ok()))
    talks.offer("a", "b")
    talks.run()
    assert talks.log.fates == {"a": "delivered", "b": "delivered"}
    assert len({r.body for r in talks.requests}) == 1 and len(talks.requests) == 3
    assert talks.sink.counts.retries == 2


def test_retries_that_may_double_are_counted_apart():
    talks = Talks(script(NoAnswer("refused"), NoAnswer("reset", ambiguous=True), Response(503), Response(429), ok()))
    talks.offer("a")
    talks.run()
    assert talks.sink.counts.retries == 4
    assert talks.sink.counts.ambiguous_retries == 2


def test_retry_after_is_obeyed_and_holds_the_other_lanes_too():
    calls = []

    def handle(request):
        calls.append(names(request))
        return Response(429, {"retry-after": "30"}) if len(calls) == 1 else ok()

    talks = Talks(handle, lanes=8)
    talks.offer(*(f"n{i}" for i in range(8)))
    talks.run()
    assert set(talks.log.fates.values()) == {"delivered"}
    refused = calls[0]
    retried = next(t for t, call in zip(talks.times[1:], calls[1:], strict=True) if call == refused)
    assert retried >= 30.0


def test_nobody_goes_before_the_vendor_said_not_even_who_had_a_place():
    calls = []

    def handle(request):
        calls.append(names(request))
        return Response(429, {"retry-after": "3"}) if len(calls) == 3 else ok()

    talks = Talks(handle, lanes=8, rate=5)
    talks.offer(*(f"n{i}" for i in range(400)))
    talks.run()
    assert not [t for t in talks.times[3:] if t < talks.times[2] + 3.0]
    later = talks.times[3:]
    assert min(b - a for a, b in pairwise(later)) >= 0.2 - 1e-9


def test_a_retry_after_of_nothing_is_no_licence_to_hammer():
    talks = Talks(script(Response(503, {"retry-after": "0"})), give_up_after=120.0)
    talks.offer("a")
    talks.run()
    assert talks.courier.halted is not None and len(talks.requests) < 40


def test_a_retry_after_beyond_the_cap_halts():
    talks = Talks(script(Response(503, {"retry-after": "86400"})))
    talks.offer("a")
    talks.run()
    assert talks.courier.halted is not None and "86400" in talks.courier.halted.reason
    assert talks.log.fates == {}


def test_patience_ends_in_a_halt_never_in_a_dead_letter():
    talks = Talks(script(Response(503)), give_up_after=60.0)
    talks.offer("a", "b")
    talks.run()
    assert talks.courier.halted.code == "unreachable"
    assert talks.log.fates == {}
    assert talks.clock.now() <= 60.0


def test_max_attempts_ends_it_too():
    talks = Talks(script(Response(503)), max_attempts=3)
    talks.offer("a")
    talks.run()
    assert len(talks.requests) == 3 and talks.courier.halted is not None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 401, 403, 404, 405])
def test_what_nothing_will_mend_halts_at_once(status):
    talks = Talks(script(Response(status, {"location": "https://trap.test/"})))
    talks.offer("a", "b")
    talks.run()
    assert talks.courier.halted.code in ("redirect", f"http-{status}")
    assert len(talks.requests) == 1 and talks.log.fates == {}


def test_after_a_refused_key_at_most_what_was_in_flight_is_sent():
    talks = Talks(script(Response(401)), lanes=4)
    talks.offer(*(f"n{i}" for i in range(40)))
    talks.run()
    assert len(talks.requests) <= 4


@pytest.mark.parametrize("status", [400, 409, 413, 422])
def test_a_refused_batch_is_halved_until_the_bad_one_is_alone(status):
    def handle(request):
        return Response(status, {}, b"no") if "bad" in names(request) else ok()

    talks = Talks(handle)
    good = [f"n{i}" for i in range(60)]
    talks.offer(*good[:37], "bad", *good[37:])
    talks.run()
    assert talks.log.fates.pop("bad") == ("rejected: too-large" if status == 413 else "rejected: refused")
    assert talks.log.fates == dict.fromkeys(good, "delivered")
    assert len(talks.requests) <= 14


def test_halves_keep_their_order():
    talks = Talks(lambda request: Response(400) if len(names(request)) > 2 else ok())
    talks.offer(*"abcdefgh")
    talks.run()
    delivered = [
        name for call, request in zip(talks.sent, talks.requests, strict=True) if len(call) <= 2 for name in call
    ]
    assert delivered == list("abcdefgh")


def test_again_sends_them_apart_before_anything_else_of_the_lane():
    def handle(request):
        batch = names(request)
        if len(batch) > 1 and "x1" in batch:
            where = {i: ("again", "which", "?") for i, n in enumerate(batch) if n.startswith("x")}
            return ok(verdicts=where)
        return ok(verdicts={0: ("rejected", "bad", "")}) if batch == ["x2"] else ok()

    talks = Talks(handle)
    talks.offer("a", "x1", "x2", "b")
    talks.run()
    assert talks.sent == [["a", "x1", "x2", "b"], ["x1"], ["x2"]]
    assert talks.log.fates == {"a": "delivered", "b": "delivered", "x1": "delivered", "x2": "rejected: bad"}


def test_one_payload_that_is_said_again_for_ever_halts():
    talks = Talks(script(ok(verdicts={0: ("again", "internal", "try again")})), give_up_after=30.0)
    talks.offer("a")
    talks.run()
    assert talks.courier.halted is not None and talks.log.fates == {}


class Log(Vendor):
    """What has no id would double if it were sent again."""

    base_url = "https://shop.test/api"

    @action(max_records=100, repeatable=lambda payload: payload["name"].startswith("id"))
    def put(self, things):
        yield post("/things", {"things": things})


def test_what_would_double_is_unknown_after_a_lost_answer_and_the_rest_goes_again():
    talks = Talks(script(NoAnswer("reset", ambiguous=True), ok()), vendor=Log())
    talks.action.repeatable = Log.actions()["put"].repeatable
    talks.offer("id1", "bare", "id2")
    talks.run()
    assert talks.log.fates == {"id1": "delivered", "bare": "unknown: in-doubt", "id2": "delivered"}


@pytest.mark.parametrize("trouble", [NoAnswer("refused"), Response(503), Response(429)])
def test_a_request_that_was_not_taken_doubles_nothing(trouble):
    talks = Talks(script(trouble, ok()), vendor=Log())
    talks.action.repeatable = Log.actions()["put"].repeatable
    talks.offer("bare")
    talks.run()
    assert talks.log.fates == {"bare": "delivered"}


class Steps(Vendor):
    """Two round trips, and a vendor's own reading of refusals."""

    base_url = "https://shop.test/api"

    def refusal(self, answer, payloads):
        if b"split" in answer.body:
            raise Split("both", "said so")
        if b"stop" in answer.body:
            raise Halt("full")
        if b"first" in answer.body:
            return {
                0: Verdict("rejected", "first", ""),
                **{i: Verdict("again", "rest", "") for i in range(1, len(payloads))},
            }
        return None

    @action(max_records=100)
    def put(self, things):
        grant = yield get("/grant")
        yield post(grant["url"], {"things": things})


def test_a_conversation_of_two_steps_goes_on_where_it_was():
    seen = []

    def handle(request):
        seen.append((request.method, request.url, dict(request.headers).get("X-Key")))
        if request.method == "GET":
            return ok(url="https://storage.test/up")
        return Response(503) if len(seen) == 2 else ok()

    class Keyed(Steps):
        headers = Shop.headers

    talks = Talks(handle, vendor=Keyed())
    talks.offer("a")
    talks.run()
    assert talks.log.fates == {"a": "delivered"}
    assert [s[:2] for s in seen] == [
        ("GET", "https://shop.test/api/grant"), ("POST", "https://storage.test/up"), ("POST", "https://storage.test/up"),
    ]  # fmt: skip
    assert str(seen[0][2]) == "•••" and seen[1][2] is None, "the key goes to the vendor's own origin only"


def test_the_vendors_contract_overrules_the_table():
    def handle(request):
        if request.method == "GET":
            return ok(url="/up")
        batch = names(request)
        return Response(400, {}, b"first") if "bad" in batch else ok()

    talks = Talks(handle, vendor=Steps())
    talks.offer("bad", "b", "c")
    talks.run()
    assert talks.log.fates == {"bad": "rejected: first", "b": "delivered", "c": "delivered"}


def test_a_vendor_may_halt_or_split():
    talks = Talks(script(Response(400, {}, b"stop")), vendor=Steps())
    talks.offer("a", "b")
    talks.run()
    assert talks.courier.halted.reason == "full"
    talks = Talks(script(Response(500, {}, b"split")), vendor=Steps())
    talks.offer("a", "b")
    talks.run()
    assert talks.log.fates == {"a": "rejected: both", "b": "rejected: both"}


def test_the_pace_holds_over_lanes_and_retries():
    talks = Talks(script(Response(503), ok()), lanes=4, rate=5)
    talks.offer(*(f"n{i}" for i in range(300)))
    talks.run()
    gaps = [b - a for a, b in pairwise(talks.times)]
    assert min(gaps) >= 0.2 - 1e-9
    assert talks.sink.counts.throttled_seconds > 0


def test_lanes_never_hold_two_requests_of_one_key():
    flying: set[str] = set()

    def handle(request):
        batch = set(names(request))
        assert not batch & flying
        return Response(200, {}, b"{}", delay=1.0)

    talks = Talks(handle, lanes=3)
    talks.offer(*(f"n{i % 7}-{i}" for i in range(50)))
    talks.run()
    assert len(talks.log.fates) == 50


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"content-type": "text/html; charset=utf-8"}, b"back soon"),
        ({}, b"\n <!DOCTYPE html><html>"),
        ({"content-type": "application/json"}, b"<HTML><body>"),
    ],
)
def test_a_page_is_no_success_even_where_nobody_reads_the_answer(headers, body):
    talks = Talks(script(Response(200, headers, body), Response(200, {"content-type": "text/html"})), vendor=Log())
    talks.offer("a")
    talks.run()
    assert talks.log.fates == {"a": "delivered"} and len(talks.requests) == 2
    assert talks.sink.counts.ambiguous_retries == 1


@pytest.mark.parametrize("waits", [False, True], ids=["at-once", "in-line"])
@pytest.mark.parametrize("error", [Halt("no such library", code="request"), NoAnswer("no more sockets")])
def test_what_a_transport_cannot_start_neither_hangs_nor_is_lost(error, waits):
    """Whether it is sent at once or when its place comes."""
    talks = Talks(script(ok()), rate=5, lanes=2)
    talks.action.max_records = 1
    start, left = talks.transport.start, [None, error] if waits else [error]

    def broken(*arguments):
        if left and (raised := left.pop(0)) is not None:
            raise raised
        start(*arguments)

    talks.transport.start = broken
    talks.offer("n0", "n1", "n2")
    talks.run()
    if isinstance(error, Halt):
        assert talks.courier.halted is error and talks.courier.flying == 0
    else:
        assert talks.log.fates == {"n0": "delivered", "n1": "delivered", "n2": "delivered"}
