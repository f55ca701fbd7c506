"""The courier holds the conversations: it runs a vendor's generator, sends its requests at the vendor's pace, sends
the same request again after a wait, splits what was refused together, and says what became of each payload.

| answer | meaning | what happens |
| --- | --- | --- |
| 2xx | an answer | back into the generator, which may name payloads |
| 3xx | never followed with a key in hand | halt |
| 401 403 404 405 | nothing will work | halt |
| 408 425 429 5xx, none, unreadable, a page | not now | wait, the same request again; past the end of patience: halt |
| other 4xx | something in it is wrong | one payload: rejected; more: halve |

A vendor's `refusal` may overrule the table where its contract says so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, Protocol

from engine.errors import EngineError, Halt, NoAnswer, NotNow, Split, TurnedAway, Unreadable
from engine.model import Request, Response, Verdict
from engine.plugin import Note, Now, Recall, Remember
from engine.runtime.books import Exchange
from engine.runtime.clock import Clock
from engine.runtime.departures import Departures
from engine.runtime.outage import Outage, is_down
from engine.runtime.retry import RETRY_AFTER_CAP, backoff, least_wait, retry_after
from engine.runtime.talks import LookupTalk, Talk
from engine.runtime.transport import Answer, Transport

NOT_NOW = {408, 425, 429}
NOTHING_WORKS = {
    401: "refused the key",
    403: "refused the key",
    404: "has no such address",
    405: "has no such method",
}


class Memory(Protocol):
    """What conversations remember beyond the run."""

    def recall(self, key: str) -> bytes | None: ...

    def remember(self, key: str, value: bytes | None) -> None: ...


class Courier:
    """`note` is told warnings of vendors. Once `halted` is set, or after `stop`, nothing new is sent."""

    def __init__(
        self, transport: Transport, clock: Clock, chance: Random, note: Callable[[str], None],
        *, memory: Memory, dry: bool = False,
    ) -> None:  # fmt: skip
        self._clock, self._chance, self._note, self._dry = clock, chance, note, dry
        self._memory = memory
        self._out = Departures(transport, clock, chance, self._guarded)
        self.halted: Halt | None = None

    # --- what the loop calls ------------------------------------------------------------------------------

    def begin(self, talk: Talk) -> None:
        """Starts a conversation; what comes of it, the talk is told."""
        talk.steps = talk.open()
        self._guarded(talk, lambda: self._advance(talk, lambda: next(talk.steps)))

    def take(self, token: int, answer: Answer) -> None:
        """An answer has come in."""
        talk = self._out.landed(token)
        if talk is None:
            return  # it could not be sent, and that was seen to
        self._guarded(talk, lambda: self._take(talk, answer))

    def tick(self) -> None:
        """Sends what waited for its moment."""
        while (act := self._out.due()) is not None:
            try:
                act()
            except Halt as error:
                self.halt(error)

    def deadline(self) -> float | None:
        return self._out.deadline()

    def stop(self) -> None:
        """Nothing new is sent; what waits for its moment is abandoned, what flies may still arrive."""
        self._out.stop()

    @property
    def stopping(self) -> bool:
        return self._out.stopped

    @property
    def flying(self) -> int:
        """Requests in flight."""
        return self._out.in_flight

    @property
    def open_payloads(self) -> int:
        """Payloads in flight: their fate is unknown if nobody waits for them."""
        return sum(len(talk.payloads) for talk in self._out.flying)

    @property
    def waits(self) -> list[str]:
        """Whom the run waits for, in words."""
        return self._out.waits()

    # --- one conversation ------------------------------------------------------------------------------------

    def _guarded(self, talk: Talk, act: Callable[[], None]) -> None:
        """Does a step of the conversation; what it raises says what to do next."""
        try:
            try:
                act()
            except Split as error:
                self._out.answered(talk)
                talk.split(Verdict("rejected", error.code, error.reason))
            except NotNow as error:
                self._again_later(talk, error)
        except Halt as error:
            self.halt(error)

    def _advance(self, talk: Talk, step: Callable[[], Any]) -> None:
        try:
            said = self._heard(talk, step())
        except StopIteration as stop:
            talk.finish(stop.value)
            return
        self._send(talk, said)

    def _heard(self, talk: Talk, said: Any) -> Request:
        """The next request; what is said before it is done on the way."""
        while not isinstance(said, Request):
            answer: Any = None
            if isinstance(said, Note):
                self._note(f"{talk.account.name}: {said.code}: {said.text}")
            elif isinstance(said, Now):
                answer = self._clock.time()
            elif isinstance(said, Recall):
                answer = self._memory.recall(said.key)
            elif isinstance(said, Remember):
                self._memory.remember(said.key, said.value)
            said = talk.steps.send(answer)
        return said

    def _send(self, talk: Talk, request: Request) -> None:
        talk.request, talk.wire = request, talk.account.wire(request)
        talk.attempts, talk.since = 0, None
        self._out.go(talk)

    # --- reading an answer --------------------------------------------------------------------------------------

    def _take(self, talk: Talk, answer: Answer) -> None:
        self._read(talk, answer)
        self._out.answered(talk)

    def _read(self, talk: Talk, answer: Answer) -> None:
        if isinstance(answer, EngineError):
            talk.exchange = None
            raise answer
        assert talk.wire is not None
        talk.exchange = Exchange(talk.wire, answer)
        if self._dry:
            self._rehearse(talk, answer)
        elif 200 <= answer.status < 300:
            if _is_page(answer):
                raise Unreadable(f"HTTP {answer.status} with a page for people instead of an answer")
            self._advance(talk, lambda: talk.steps.send(answer))
        else:
            self._turned_away(talk, answer)

    def _rehearse(self, talk: Talk, answer: Response) -> None:
        """A dry run ends a delivery with its request. A question goes on with the empty answer, if it can."""
        try:
            if isinstance(talk, LookupTalk):
                self._advance(talk, lambda: talk.steps.send(answer))
                return
        except NotNow:
            pass
        talk.finish(None)

    def _turned_away(self, talk: Talk, answer: Response) -> None:
        """No success. First the vendor's contract, then what passes by waiting, the conversation, the table."""
        verdicts = talk.account.vendor.refusal(answer, talk.payloads) if answer.status >= 400 else None
        if verdicts is not None:
            talk.judge(verdicts)
            return
        if answer.status in NOT_NOW or answer.status >= 500:
            wait = retry_after(answer.headers, self._clock.time())
            raise NotNow(f"HTTP {answer.status}", wait=wait, ambiguous=answer.status >= 500)
        try:
            self._advance(talk, lambda: talk.steps.throw(TurnedAway(answer)))
        except TurnedAway:
            self._by_the_table(talk, answer)

    def _by_the_table(self, talk: Talk, answer: Response) -> None:
        status, name = answer.status, talk.account.name
        if status < 400:
            raise Halt(
                f"{name} answered with a redirect (HTTP {status}); its address is wrong", where=name, code="redirect"
            )
        if status in NOTHING_WORKS:
            raise Halt(f"{name} {NOTHING_WORKS[status]} (HTTP {status})", where=name, code=f"http-{status}")
        code = "too-large" if status == 413 else "refused"
        raise Split(code, f"HTTP {status}: {answer.text[:300]}")

    # --- what then -----------------------------------------------------------------------------------------------

    def _again_later(self, talk: Talk, error: NotNow) -> None:
        """Waits, then sends the same bytes again; past the end of patience the run halts."""
        now, retry = self._clock.now(), talk.account.retry
        if talk.request is not None and not talk.request.patient and talk.steps.gi_frame is not None:
            self._guarded(talk, lambda: self._impatient(talk, error))
            return
        outage = self._out.outage(talk)
        if is_down(talk, error):
            outage.failed(talk, error, now)
        else:
            self._out.answered(talk)
        if error.ambiguous and isinstance(error, (NoAnswer, Unreadable)) and talk.in_doubt(error):
            self._out.ask_later(outage, outage.wait(self._chance))
            return
        talk.attempts += 1
        talk.since = now if talk.since is None else talk.since
        wait = self._wait(talk, error, outage)
        since = talk.since if outage.since is None else min(talk.since, outage.since)
        spent = retry.max_attempts is not None and max(talk.attempts, outage.probes) >= retry.max_attempts
        if spent or now + wait - since > retry.give_up_after or wait > RETRY_AFTER_CAP:
            self._give_up(talk, error, outage)
            return
        talk.account.counts.retries += 1
        talk.account.counts.ambiguous_retries += error.ambiguous
        if error.wait is not None or _throttled(talk):
            talk.bucket.pause(now + wait)
        if talk.steps.gi_frame is None and not self._restart(talk):
            self._out.ask_later(outage, wait)
        elif outage.holds(talk):
            outage.park(talk)
            self._out.ask_later(outage, wait)
        else:
            self._out.at(now + wait, partial(self._out.go, talk))

    def _wait(self, talk: Talk, error: NotNow, outage: Outage) -> float:
        """Seconds until it goes again: what the vendor asks for, unless so little would be hammering."""
        asked = error.wait if error.wait is not None else 0.0
        if outage.down:
            return max(asked, outage.wait(self._chance))
        if asked >= least_wait(talk.account.retry):
            return asked
        return max(asked, backoff(talk.account.retry, talk.attempts, self._chance))

    def _give_up(self, talk: Talk, error: NotNow, outage: Outage) -> None:
        """Patience is at its end, for all who wait for that vendor."""
        halt = _out_of_patience(talk, error, self._clock.now(), outage.since)
        for one in (talk, *(outage.forget() if outage.down else ())):
            one.give_up(halt)

    def _restart(self, talk: Talk) -> bool:
        """A generator that raised is over: the conversation begins anew. False: it ended without a request."""
        talk.steps = talk.open()
        try:
            talk.request = self._heard(talk, next(talk.steps))
        except StopIteration as stop:
            talk.finish(stop.value)
            return False
        talk.wire = talk.account.wire(talk.request)
        return True

    def _impatient(self, talk: Talk, error: NotNow) -> None:
        """The conversation hears at once that there is no usable answer; what it does not catch is tried again."""
        try:
            self._advance(talk, lambda: talk.steps.throw(error))
        except NotNow:
            talk.request = None
            raise

    def halt(self, error: Halt) -> None:
        if self.halted is None:
            self.halted = error
        self.stop()


def _is_page(answer: Response) -> bool:
    """HTML is what gateways say; a vendor whose answers are empty, or never read, would seem to have taken it all."""
    start = answer.body[:64].lstrip().lower()
    said = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return bool(start) and (said == "text/html" or start.startswith((b"<!doctype html", b"<html")))


def _throttled(talk: Talk) -> bool:
    answer = talk.exchange.response if talk.exchange else None
    return answer is not None and answer.status == 429


def _out_of_patience(talk: Talk, error: NotNow, now: float, since: float | None) -> Halt:
    since = min(moment for moment in (since, talk.since, now) if moment is not None)
    tries = f"{talk.attempts} attempt{'s' if talk.attempts != 1 else ''} in {now - since:.0f} s"
    asked = f", and it asks to wait {error.wait:.0f} s" if error.wait is not None else ""
    reason = f"{talk.account.name} does not answer usably ({error.reason}; {tries}{asked})"
    return Halt(reason, where=talk.account.name, code="unreachable")
