"""Deliberate defects of the engine: each must be found, or the simulator proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any
from unittest.mock import patch

import engine.runtime.deadletters as deadletters
import engine.vendors.iterable_people as iterable_people
import engine.vendors.iterable_tracking as iterable_tracking
from engine.runtime import courier, packing
from engine.runtime.books import Books
from engine.runtime.deadletters import DeadLetters
from engine.runtime.lanes import Lanes
from engine.runtime.ledger import Ledger, Track, settle_all
from engine.runtime.run import Run
from engine.runtime.spool import SpoolFile
from engine.runtime.state import State
from engine.runtime.talks import BatchTalk
from engine.runtime.work import Work
from engine.sinks.part import Part
from engine.vendors.iterable_answers import Reading
from tests.simulation.points import Death
from tests.simulation.schedule import Life, Schedule
from tests.simulation.shop import Row
from tests.simulation.simulate import simulate, virtual_world
from tests.simulation.witness import Finding

Defect = Callable[[], Any]
DEFECTS: dict[str, Defect] = {}


def defect(function: Callable[[], Iterator[None]]) -> Callable[[], Iterator[None]]:
    DEFECTS[function.__name__.replace("_", " ")] = contextmanager(function)
    return function


def swap(target: Any, name: str, make: Callable[[Any], Any]) -> Any:
    """Puts `make(original)` in the place of a function."""
    return patch.object(target, name, make(getattr(target, name)))


# --- the checkpoint ---------------------------------------------------------------------------------------------


@defect
def commit_before_letters() -> Iterator[None]:
    def make(original: Any) -> Any:
        def commit(self: Work) -> None:
            with patch.object(self.letters, "flush", lambda: None):
                original(self)
            self.letters.flush()

        return commit

    with swap(Work, "commit", make):
        yield


@defect
def letters_are_not_synced() -> Iterator[None]:
    def flush(self: DeadLetters) -> None:
        if self._lines:
            if self._file is None:
                self._file = deadletters.open_for_append(self.path)
            deadletters.write_all(self._file, b"".join(self._lines))
            self._lines.clear()

    with patch.object(DeadLetters, "flush", flush):
        yield


@defect
def errors_of_the_letters_disk_are_ignored() -> Iterator[None]:
    def make(original: Any) -> Any:
        def flush(self: DeadLetters) -> None:
            try:
                original(self)
            except Exception:
                self._lines.clear()

        return flush

    with swap(DeadLetters, "flush", make):
        yield


@defect
def a_torn_letter_is_left() -> Iterator[None]:
    with patch.object(deadletters, "_cut_torn_line", lambda file: None):
        yield


@defect
def advance_past_open_rows() -> Iterator[None]:
    def advance(self: Track) -> int:
        before = self.head.row
        while self._open and sum(ticket.left for ticket in self._open[0][1]) < 2:
            self.head = self._open.popleft()[0].end
        return self.head.row - before

    with patch.object(Track, "advance", advance):
        yield


@defect
def forget_flags_on_resume() -> Iterator[None]:
    def make(original: Any) -> Any:
        def init(self: Track, *args: Any, **more: Any) -> None:
            original(self, *args, **more)
            self._flags = {}

        return init

    with swap(Track, "__init__", make):
        yield


@defect
def forget_elements_on_resume() -> Iterator[None]:
    def make(original: Any) -> Any:
        def init(self: Track, *args: Any, **more: Any) -> None:
            original(self, *args, **more)
            self._elements = {}

        return init

    with swap(Track, "__init__", make):
        yield


@defect
def count_rows_again_on_resume() -> Iterator[None]:
    with patch.object(Track, "unread", lambda self, rows: len(rows)):
        yield


@defect
def commit_the_head_without_the_tracks() -> Iterator[None]:
    with swap(State, "commit", lambda original: lambda self, head, tracks: original(self, head, [])):
        yield


@defect
def commit_every_other_time() -> Iterator[None]:
    turns = count()

    def make(original: Any) -> Any:
        def take_changes(self: Ledger) -> Any:
            found = original(self)
            return found if next(turns) % 2 else []

        return take_changes

    with swap(Ledger, "take_changes", make):
        yield


@defect
def send_on_before_what_was_answered_is_committed() -> Iterator[None]:
    def commit_if_due(self: Run) -> None:
        self._work.books.settled = 0
        if self._clock.now() - self._committed >= 0.1:
            self._work.commit()
            self._committed = self._clock.now()

    with patch.object(Run, "_commit_if_due", commit_if_due):
        yield


@defect
def the_state_is_not_synced_before_files_are_removed() -> Iterator[None]:
    with patch.object(State, "sync", lambda self: None):
        yield


# --- what becomes of payloads -----------------------------------------------------------------------------------


@defect
def settled_when_sent() -> Iterator[None]:
    def make(original: Any) -> Any:
        def init(self: BatchTalk, *args: Any) -> None:
            original(self, *args)
            settle_all(self.batch.items)

        return init

    with swap(BatchTalk, "__init__", make):
        yield


@defect
def drop_a_failed_identifier() -> Iterator[None]:
    def make(original: Any) -> Any:
        return lambda payloads, reply: dict(list(original(payloads, reply).items())[1:])

    with swap(iterable_people, "refused", make), swap(iterable_tracking, "refused", make):
        yield


@defect
def ignore_the_count_of_failures() -> Iterator[None]:
    def verdicts(self: Reading) -> Any:
        self._match(all_of_a_person=True)
        return self.found

    with patch.object(Reading, "verdicts", verdicts):
        yield


@defect
def resend_on_success() -> Iterator[None]:
    def make(original: Any) -> Any:
        def delivered(self: Books, items: Any) -> None:
            if len(items) > 1 and hasattr(items[0].ticket, "flags"):
                items = items[1:]  # the first is never settled: the next start sends it again
            original(self, items)

        return delivered

    with swap(Books, "delivered", make):
        yield


@defect
def what_would_double_is_sent_again() -> Iterator[None]:
    with patch.object(BatchTalk, "in_doubt", lambda self, error: False):
        yield


@defect
def a_new_id_at_every_try() -> Iterator[None]:
    numbers = count()
    with patch.object(packing, "stable_id", lambda *parts: f"{next(numbers):032x}"):
        yield


@defect
def a_rejection_is_taken_for_a_delivery() -> Iterator[None]:
    with patch.object(Books, "judged", lambda self, item, verdict, exchange: self.delivered([item])):
        yield


# --- order and pace ---------------------------------------------------------------------------------------------


@defect
def what_is_sent_again_goes_to_the_end() -> Iterator[None]:
    def release(self: BatchTalk, rest: Any) -> None:
        middle = (len(rest) + 1) // 2
        for items in (rest[:middle], rest[middle:]):
            if items:
                self.lane.queue.append(self.batch.part(items))
        self.lane.busy = None

    with patch.object(BatchTalk, "_release", release):
        yield


@defect
def one_payload_of_two_halves_is_lost() -> Iterator[None]:
    with swap(
        BatchTalk, "_release", lambda original: lambda self, rest: original(self, rest[1:] if rest[2:] else rest)
    ):
        yield


@defect
def a_lane_does_not_wait_for_its_answer() -> Iterator[None]:
    def make(original: Any) -> Any:
        def init(self: BatchTalk, *args: Any) -> None:
            original(self, *args)
            self.lane.busy = None

        return init

    with swap(BatchTalk, "__init__", make):
        yield


@defect
def keys_change_lanes() -> Iterator[None]:
    turns = count()

    def by_lane(self: Lanes, items: Any) -> Any:
        return [(self.lanes[next(turns) % len(self.lanes)], list(items))]

    with patch.object(Lanes, "_by_lane", by_lane):
        yield


@defect
def actions_overtake_each_other() -> Iterator[None]:
    with patch.object(Lanes, "_make_way", lambda self, lane, place, key: None):
        yield


@defect
def retry_after_is_ignored() -> Iterator[None]:
    with patch.object(courier, "retry_after", lambda headers, wall: None):
        yield


# --- files ----------------------------------------------------------------------------------------------------------


@defect
def spooled_files_are_not_synced() -> Iterator[None]:
    with patch.object(SpoolFile, "sync", lambda self: self.flush()):
        yield


@defect
def spooled_files_are_not_cut_on_resume() -> Iterator[None]:
    def make(original: Any) -> Any:
        def opened(self: SpoolFile, length: int) -> None:
            place = self.path
            original(self, max(length, place.stat().st_size if length and place.exists() else 0))
            self.length = length

        return opened

    with swap(SpoolFile, "open", make):
        yield


@defect
def part_files_are_not_cut_on_resume() -> Iterator[None]:
    def make(original: Any) -> Any:
        def own(self: Part, length: int, check: int) -> None:
            original(self, max(length, self.path.stat().st_size), check)

        return own

    with swap(Part, "_own", make):
        yield


@defect
def part_files_are_not_synced() -> Iterator[None]:
    with patch.object(Part, "sync", lambda self: self.flush() if self._file is not None else None):
        yield


CUT_AS_FILES_GO = Life(Death("after unlink", 1, power=True))
RARE = {
    "the state is not synced before files are removed": [
        Schedule(chance=number, shape="upload", rows=(Row(1),), lives=(CUT_AS_FILES_GO,)) for number in range(100)
    ]
}


def hunt(name: str, seeds: Iterable[int]) -> tuple[int, Finding] | None:
    """The first seed by which a defect is found, and what was found; rare ones are looked for where they can be."""
    with virtual_world(), DEFECTS[name]():
        for schedule in RARE.get(name, ()):
            if findings := simulate(schedule).findings:
                return schedule.chance, findings[0]
        for seed in seeds:
            if findings := simulate(Schedule.drawn(seed)).findings:
                return seed, findings[0]
    return None
