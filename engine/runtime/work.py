"""All that a run works with, put together once: books, ledger, lanes, courier, feed, state."""

from __future__ import annotations

from random import Random
from typing import Any

from engine.errors import Refused
from engine.model import Payloads
from engine.plugin import Vendor
from engine.runtime.books import Books
from engine.runtime.clock import Clock
from engine.runtime.counts import Counts, MappingCounts, SinkCounts, SourceCounts
from engine.runtime.courier import Courier
from engine.runtime.deadletters import DeadLetters
from engine.runtime.feed import Feed
from engine.runtime.growth import carried, elements_of, forget_elements
from engine.runtime.ledger import Ledger, SavedTrack
from engine.runtime.masks import Masker
from engine.runtime.pace import place_of, shared
from engine.runtime.plan import Plan
from engine.runtime.rate import Bucket
from engine.runtime.readers import ReaderSource
from engine.runtime.sinks import VendorSink, WriterSink
from engine.runtime.spool import SpoolFile, UploadTalk, uploads
from engine.runtime.state import Head, State
from engine.runtime.transport import Transport

ITEM_BYTES = 400  # what a payload that waits costs beside its own bytes
HEAVY = 64 * 1024 * 1024  # bytes of payloads that may wait


class Work:
    """A run's parts. `head` and `saved` are what an earlier start left, if there was one."""

    def __init__(
        self, plan: Plan, state: State, transport: Transport, clock: Clock, chance: Random, mask: Masker,
        *, run_id: str, head: Head | None, saved: list[SavedTrack], limit: int | None = None, dry: bool = False,
        share_pace: bool = False,
    ) -> None:  # fmt: skip
        self.plan, self.state, self.transport, self.clock, self.dry = plan, state, transport, clock, dry
        self.began = clock.now()
        self.resumed = head is not None
        self.head = head or new_head(plan, run_id, clock)
        self._spent = self.head.seconds
        self.counts = self.head.counts
        for name, mapping in plan.mappings.items():  # an edit may have sent it elsewhere
            self.counts.mappings[name].to = _target(mapping.spec.sink, mapping.action.name, mapping.sink)
        self._mask = mask
        self.letters = DeadLetters(plan.pipeline.dead_letters, mask)
        self.ledger = Ledger()
        self.books = Books(
            plan.pipeline.name, self.head.run_id, self.counts, self.letters, clock, self.head.mappings,
            {name: count.to for name, count in self.counts.mappings.items()},
            lambda source, rows, record: plan.sources[source].key(rows, record),
        )  # fmt: skip
        self._memory = Memory(state, plan.pipeline.name, keep=not dry)
        self.courier = Courier(transport, clock, chance, self._note, memory=self._memory, dry=dry)
        past = forget_elements(carried(saved, plan, resumed=self.resumed), self.head.elements, elements_of(plan))
        self.head.elements = elements_of(plan)
        self.feed = Feed(plan, self.ledger, self.books, clock, self.courier, past, limit)
        self.uploading = False
        self._shared: dict[Bucket, Bucket] = {}
        self._adopt_sinks()
        if share_pace and not dry:
            self._share_pace()

    def _share_pace(self) -> None:
        """Runs of one account, in whichever processes, share each endpoint's limit through the state directory."""
        for sink in self._vendors:
            for name, action in sink.actions.items():
                action.bucket = self._shared_bucket(sink.vendor, name, action.bucket)
        for lookup in self.plan.lookups.values():
            lookup.bucket = self._shared_bucket(lookup.vendor, f"lookup {lookup.lookup.name}", lookup.bucket)

    def _shared_bucket(self, vendor: Vendor, endpoint: str, bucket: Bucket) -> Bucket:
        if bucket not in self._shared:
            path = place_of(self.state.directory, vendor, endpoint)
            self._shared[bucket] = shared(bucket, path, self.clock, self._note)
        return self._shared[bucket]

    def _adopt_sinks(self) -> None:
        """Sinks count into the run's counts; writers go on where their state stands."""
        for lookup in self.plan.lookups.values() if self.dry else ():
            lookup.bucket = Bucket(None)
        for name, sink in self.plan.sinks.items():
            sink.counts = self.counts.sinks[name]
            if self.dry:
                for action in sink.actions.values():
                    action.bucket = Bucket(None)
            if isinstance(sink, WriterSink):
                if self.dry:
                    sink.writer = Nowhere()
                sink.writer.open(self.head.writers.get(name))
            elif self.dry:
                sink.spool = None  # a dry run shows what it would send inline
            elif sink.spool is not None:
                sink.spool.open(self.head.writers.get(name))

    def _note(self, text: str) -> None:
        text = self._mask(text)  # it is kept, and may tell what a vendor said
        if text in self.counts.notes or len(self.counts.notes) < 100:
            self.counts.notes[text] = self.counts.notes.get(text, 0) + 1

    def _hear_sources(self) -> None:
        """Warnings that sources put into `notes`, such as a file without rows, go into the report."""
        for name, plan in self.plan.sources.items():
            notes = getattr(plan.source, "notes", None)
            while notes:
                note = notes.pop(0)
                self._note(f"{name}: {note.code}: {note.text}")

    @property
    def answered(self) -> bool:
        """Did a vendor settle something since the last commit?"""
        return self.books.settled > 0

    @property
    def heavy(self) -> bool:
        """Do the payloads that wait weigh too much to read on?"""
        lanes = [sink.lanes for sink in self.plan.sinks.values() if isinstance(sink, VendorSink)]
        return sum(each.bytes + each.payloads * ITEM_BYTES for each in lanes) > HEAVY

    @property
    def seconds(self) -> float:
        return self._spent + self.clock.now() - self.began

    def commit(self) -> None:
        """Dead letters, then written files, then the checkpoint: what the checkpoint says is never ahead of them."""
        self.books.settled = 0
        self._memory.look_again()
        self._hear_sources()
        if self.dry:
            self.letters.forget()
            self.ledger.take_changes()
            return
        self.letters.flush()
        for name, sink in self.plan.sinks.items():
            if isinstance(sink, WriterSink):
                self.head.writers[name] = sink.writer.sync()
            elif sink.spool is not None:
                self.head.writers[name] = sink.spool.sync()
        self.head.seconds = self.seconds
        self.state.commit(self.head, self.ledger.take_changes())

    @property
    def unsynced(self) -> bool:
        """Were payloads spooled since the last commit? What they settle counts once they are on disk."""
        return any(sink.spool is not None and sink.spool.dirty for sink in self._vendors)

    @property
    def spooled(self) -> bool:
        """Is there a file that its vendor has not taken yet?"""
        return bool(uploads(self._vendors))

    @property
    def _vendors(self) -> list[VendorSink]:
        return [sink for sink in self.plan.sinks.values() if isinstance(sink, VendorSink)]

    def upload(self) -> None:
        """Sends the files that were spooled, all at once, when they are on disk."""
        if not self.uploading:
            self.uploading = True
            self.commit()
            for sink, file in uploads(self._vendors):
                self.courier.begin(UploadTalk(sink, sink.actions[file.action].bucket, file, self._uploaded))

    def _uploaded(self, file: SpoolFile) -> None:
        for mapping, payloads in file.counts.items():
            self.counts.mappings[mapping].payloads += payloads
            self.counts.mappings[mapping].delivered += payloads
        self.books.settled += file.counts.total()

    def finish_sources(self) -> None:
        """Everything is settled: what readers fetched is of no more use."""
        for source in self.plan.sources.values():
            if isinstance(source.source, ReaderSource):
                source.source.finish()

    def finish_writers(self) -> None:
        """Everything is settled: files get their final names."""
        if any(sink.spool is not None for sink in self._vendors):
            self.state.sync()  # an older state would miss what is removed now
        for sink in self.plan.sinks.values():
            if isinstance(sink, WriterSink):
                sink.writer.finish()
            elif sink.spool is not None:
                sink.spool.finish()

    def keep_parts(self) -> None:
        """The state still speaks of what finished files were made of: the next start finishes them again."""
        for sink in self.plan.sinks.values():
            keep = getattr(sink.writer, "keep_parts", None) if isinstance(sink, WriterSink) else None
            if keep is not None:
                keep()

    def close(self) -> None:
        for bucket in self._shared.values():
            bucket.close()
        for sink in self.plan.sinks.values():
            if isinstance(sink, WriterSink):
                sink.writer.close()
            elif sink.spool is not None:
                sink.spool.close()
        self.letters.close()


class Memory:
    """What conversations remember, in the pipeline's state; a dry run only recalls.

    Many conversations of one turn of the loop ask for the same: the state is asked once.
    """

    def __init__(self, state: State, space: str, *, keep: bool) -> None:
        self._state, self._space, self._keep = state, space, keep
        self._seen: dict[str, bytes | None] = {}

    def recall(self, key: str) -> bytes | None:
        if key not in self._seen:
            self._seen[key] = self._state.recall(self._space, key)
        return self._seen[key]

    def remember(self, key: str, value: bytes | None) -> None:
        if self._keep:
            self._state.remember(self._space, key, value)
            self._seen[key] = value

    def look_again(self) -> None:
        """Another process may have remembered something."""
        self._seen.clear()


class Nowhere:
    """The writer of a dry run."""

    transactional = False

    def open(self, state: Any) -> None: ...

    def write(self, payloads: Payloads) -> None: ...

    def sync(self) -> Any: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


def new_head(plan: Plan, run_id: str, clock: Clock) -> Head:
    """That of a run in which nothing has happened yet."""
    counts = Counts(
        sources={name: SourceCounts() for name in plan.sources if plan.of_source(name)},
        mappings={
            name: MappingCounts(to=_target(m.spec.sink, m.action.name, m.sink)) for name, m in plan.mappings.items()
        },
        sinks={name: SinkCounts() for name in plan.sinks},
    )
    mappings = {name: m.spec.source for name, m in plan.mappings.items()}
    return Head(run_id, clock.time(), 0.0, mappings, counts)


def _target(sink: str, action: str, plan: Any) -> str:
    return f"{sink}.{action}" if isinstance(plan, VendorSink) else sink


def fits(head: Head, plan: Plan) -> None:
    """May the run that was cut off go on with this plan? Edited mappings may; another set of them may not."""
    now = {name: m.spec.source for name, m in plan.mappings.items()}
    if head.mappings != now or set(head.counts.sinks) != set(plan.sinks):
        raise Refused(
            f"{plan.pipeline.name} was cut off with other mappings or sinks than the file has now; "
            "put them back to resume, or start anew with --fresh (which sends everything again)"
        )
