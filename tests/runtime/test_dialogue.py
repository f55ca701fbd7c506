"""Conversations held one at a time, for scripts."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import Halt, NoAnswer, TurnedAway
from engine.model import Response, Secret, WireRequest
from engine.plugin import Note, Now, Question, Recall, Remember, Vendor, get, post
from engine.runtime.clock import FakeClock
from engine.runtime.dialogue import TIMEOUT, Dialogue


class Shop(Vendor):
    base_url = "https://shop.test"

    def headers(self):
        return {"X-Key": Secret("k")}


class Kept(dict[str, Any]):
    recall = dict.get

    def remember(self, key: str, value: bytes | None) -> None:
        self[key] = value


class Talking:
    def __init__(self, *answers: Any) -> None:
        self.answers, self.requests, self.notes = list(answers), [], []
        self.kept, self.clock = Kept(), FakeClock()
        self.dialogue = Dialogue(Shop(), self.exchange, self.clock, self.kept, self.notes.append)

    def exchange(self, request: WireRequest, timeout: float) -> Response:
        self.requests.append((request.method, request.url, timeout, "X-Key" in request.headers))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_conversation_is_held_to_its_end() -> None:
    talking = Talking(Response(200, {}, b'{"n": 1}'), Response(201, {}, b'{"n": 2}'))

    def steps() -> Question:
        first = yield get("/a", timeout=2.0)
        yield Note("code", "text")
        yield Remember("k", b"v")
        return [
            first["n"],
            (yield Recall("k")),
            (yield Recall("none")),
            (yield Now()),
            (yield post("https://b.test/"))["n"],
        ]

    assert talking.dialogue.hold(steps()) == [1, b"v", None, talking.clock.time(), 2]
    assert talking.requests == [
        ("GET", "https://shop.test/a", 2.0, True),
        ("POST", "https://b.test/", TIMEOUT, False),
    ]
    assert [note.text for note in talking.notes] == ["text"]


@pytest.mark.parametrize("answer", [Response(503), Response(404), Response(304)])
def test_what_is_no_success_is_thrown_in_and_never_sent_again(answer: Response) -> None:
    talking = Talking(answer)

    def caught() -> Question:
        try:
            yield get("/a")
        except TurnedAway as error:
            return error.response.status

    assert talking.dialogue.hold(caught()) == answer.status
    assert len(talking.requests) == 1


def test_what_is_not_caught_is_the_callers() -> None:
    def steps() -> Question:
        yield get("/a")

    with pytest.raises(NoAnswer):
        Talking(NoAnswer("lost")).dialogue.hold(steps())
    with pytest.raises(TurnedAway):
        Talking(Response(400)).dialogue.hold(steps())
    with pytest.raises(Halt):
        Talking(Halt("TLS")).dialogue.hold(steps())


def test_a_conversation_without_requests() -> None:
    def steps() -> Question:
        return 5
        yield

    assert Talking().dialogue.hold(steps()) == 5
