"""One run of one pipeline: the loop. One thread decides; everything that waits is behind `transport`."""

from __future__ import annotations

from engine.errors import Halt
from engine.runtime.courier import Courier
from engine.runtime.database import Damaged
from engine.runtime.events import Observer, Progress
from engine.runtime.feed import Feed
from engine.runtime.limits import too_many
from engine.runtime.sinks import VendorSink
from engine.runtime.talks import BatchTalk
from engine.runtime.work import Work

DRAIN = 10.0  # seconds that an interrupted run waits for what is in flight
COMMIT_AFTER = 0.1  # seconds after which written files are made durable; answers of vendors are committed at once
ROWS_OPEN = (2_000, 32_000)  # the fewest and the most rows that may be open at once
TELL_AFTER = 0.2  # seconds between two looks of the observer


class Run:
    """Drives `work` to its end. `status` is then `succeeded`, `partial`, `halted` or `interrupted`."""

    def __init__(self, work: Work, observer: Observer) -> None:
        self._work, self._observer = work, observer
        self._clock, self._transport = work.clock, work.transport
        self._feed: Feed = work.feed
        self._courier: Courier = work.courier
        self._sinks = [sink for sink in work.plan.sinks.values() if isinstance(sink, VendorSink)]
        lanes = sum(
            len(s.lanes.lanes) * max(a.max_records for a in s.actions.values()) for s in self._sinks if s.actions
        )
        self._room = min(max(ROWS_OPEN[0], 2 * lanes), ROWS_OPEN[1])
        self._interrupts = 0
        self._stop_by: float | None = None
        self._committed = self._told = self._clock.now()
        self._waited = False

    def run(self) -> None:
        """The loop: take answers, commit, read, send, wait."""
        try:
            self._feed.verify()
            while not self._over():
                self._obey()
                self._commit_if_due()
                reading = self._read()
                self._send(drain=self._feed.ended or self._full)
                for token, answer in self._transport.wait(self._wait_until(reading)):
                    self._courier.take(token, answer)
                self._tell()
            self._work.head.abandoned = self._courier.open_payloads
            self._work.commit()
            self._judge_errors()
        except Halt as error:
            self._courier.halt(error)
        except Damaged as error:  # the state, under the run: what was sent was sent, and is reported
            self._courier.stop()
            self._feed.error = error
        finally:
            self._transport.close()
        if self.complete:
            self._finish()

    def _finish(self) -> None:
        """What cannot be finished halts the run: the checkpoint stays, and the next start finishes it."""
        try:
            self._work.finish_writers()
            self._work.finish_sources()
        except Halt as error:
            self._courier.halt(error)

    def interrupt(self) -> None:
        """Stops reading and sending; a second call does not wait either. Safe in a signal handler: it only counts."""
        self._interrupts += 1
        self._transport.wake()

    def break_off(self) -> None:
        """After `interrupt`, in a signal handler of this thread alone: raises, where a source is being waited for."""
        self._feed.break_off()

    @property
    def interrupted(self) -> bool:
        return self._interrupts > 0 and not self.complete

    @property
    def halted(self) -> Halt | None:
        return self._courier.halted

    # --- the turns of the loop ---------------------------------------------------------------------------

    def _obey(self) -> None:
        if self._interrupts and self._stop_by is None:
            self._courier.stop()
            self._stop_by = self._clock.now() + DRAIN
        if self._interrupts > 1:
            self._stop_by = self._clock.now()

    @property
    def _stopping(self) -> bool:
        return self._stop_by is not None or self._courier.halted is not None

    @property
    def complete(self) -> bool:
        """Everything was read to its end and everything is settled."""
        feed = self._feed
        whole = feed.ended and not feed.limited and feed.error is None
        settled = self._work.ledger.rows == 0 and not self._work.spooled
        return whole and self._courier.halted is None and settled

    def _over(self) -> bool:
        if self._stopping:
            late = self._stop_by is not None and self._clock.now() >= self._stop_by
            return late or not self._courier.flying
        if not self._feed.ended or any(sink.lanes.payloads for sink in self._sinks):
            return False
        if self._feed.limited or self._feed.error is not None or not self._work.spooled:
            return True
        self._work.upload()  # the last thing to do: files that were spooled
        return False

    def _commit_if_due(self) -> None:
        """An answered payload is committed before anything else is sent: a kill repeats only what is in flight."""
        self._work.ledger.advance()  # what is settled leaves memory at once, and the state with the next commit
        due = self._work.answered or (self._full and self._work.unsynced)
        if due or self._clock.now() - self._committed >= COMMIT_AFTER:
            self._work.commit()
            self._committed = self._clock.now()
            self._judge_errors()

    def _judge_errors(self) -> None:
        if (reason := too_many(self._work.counts, self._work.plan.pipeline.errors)) is not None:
            self._courier.halt(Halt(reason, code="too-many-errors"))

    @property
    def _full(self) -> bool:
        return self._work.ledger.rows >= self._room or self._work.heavy

    def _read(self) -> bool:
        """One micro-batch, while there is room; False when nothing more is read for now.

        Where no payload is under way all open rows wait in the feed: it alone can make room, by going on with them.
        """
        room = not self._full or not any(sink.lanes.payloads for sink in self._sinks)
        return not self._stopping and room and self._feed.step()

    def _send(self, *, drain: bool) -> None:
        if self._stopping:
            return
        self._courier.tick()
        now = self._clock.now()
        for sink in self._sinks:
            for lane, batch in sink.lanes.ready(now, sink.linger, drain=drain):
                self._courier.begin(BatchTalk(sink, lane, batch, self._work.books))

    def _wait_until(self, reading: bool) -> float | None:
        """Until when the transport may wait: not at all while there is something to read or to send."""
        now = self._clock.now()
        if reading or self._work.answered or not (self._courier.flying or self._courier.deadline()):
            return now
        moments = [self._stop_by, self._courier.deadline(), now + 1.0]
        if not self._stopping:  # nothing will be sent any more: a batch that waits must not keep the loop awake
            moments += [sink.lanes.linger_deadline(sink.linger) for sink in self._sinks]
        return min(moment for moment in moments if moment is not None)

    def _tell(self) -> None:
        now = self._clock.now()
        if now - self._told >= TELL_AFTER:
            self._told = now
            work = self._work
            waits = tuple(self._courier.waits)
            for text in waits if bool(waits) != self._waited else ():
                self._observer.say(text)
            self._waited = bool(waits)
            self._observer.progress(Progress(
                now - work.began, work.counts, self._courier.flying, work.ledger.rows, not self._feed.ended, waits
            ))  # fmt: skip
