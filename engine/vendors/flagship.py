"""Flagship: hits, activations and contexts. Decisions are the lookup `flagship.decide` (`flagship_decide`).

Requests, fields and limits are those of the Python SDK 2.1; what it leaves unchecked is checked before it is sent.
"""

from __future__ import annotations

from typing import Any

from engine.plugin import (
    Conversation,
    Note,
    Now,
    Payloads,
    Question,
    RecordError,
    Secret,
    Vendor,
    Verdict,
    action,
    dropped,
    rejected,
)
from engine.vendors.buckets import visitor_context
from engine.vendors.flagship_file import BucketingFile
from engine.vendors.flagship_hits import POLICIES, build
from engine.vendors.flagship_panic import in_panic
from engine.vendors.flagship_payloads import mended, queue_time, taken_apart, visitor_of
from engine.vendors.flagship_visitor import Client, Visitor
from engine.vendors.flagship_wire import (
    BATCH_URL,
    BUCKETING_URL,
    COLLECT_URL,
    DECISION_URL,
    MODES,
    check_polling,
    endpoints,
    exposure,
    one_of,
)

__all__ = ["Client", "Flagship", "Visitor"]

HITS = 100  # of a batch, which the vendor takes up to 2.5 MB
BYTES = 2_400_000
SUPPRESSED = dropped("panic", "Flagship is in panic: nothing is sent")


class Flagship(Vendor):
    """An environment to which hits go. `mode: bucketing` obeys the panic switch of the environment's file, which is
    asked for again after `polling_interval`; `decision_api` what lookups of the same pipeline were told.

    `on_violation`: a hit that breaks a documented limit is rejected, or its text truncated, or its field dropped.
    """

    order = "strict"

    def __init__(
        self,
        *,
        env_id: str,
        api_key: Secret | None = None,
        mode: str = "decision_api",
        decision_url: str = DECISION_URL,
        bucketing_url: str = BUCKETING_URL,
        collect_url: str = COLLECT_URL,
        batch_url: str = BATCH_URL,
        polling_interval: float = 60.0,
        blank_presets: bool = True,
        on_violation: str = "reject",
    ) -> None:
        one_of("mode", mode, MODES)
        one_of("on_violation", on_violation, POLICIES)
        check_polling(polling_interval)
        urls = {"decision_url": decision_url, "bucketing_url": bucketing_url, "collect_url": collect_url}
        self.endpoints = endpoints(env_id, api_key, **urls, batch_url=batch_url, blank_presets=blank_presets)
        self.base_url, self.tenant = self.endpoints.decision_url, env_id
        self.on_violation = on_violation
        self._file = BucketingFile(self.endpoints, "python-2.1") if mode == "bucketing" else None
        self._polling, self._asked = polling_interval, 0.0

    def mended(self, refused_payload: Any) -> Any:
        return mended(refused_payload, drop=self.on_violation == "drop_field")

    # --- hits -----------------------------------------------------------------------------------------------------

    @action(max_records=HITS, usual_records=1, max_bytes=BYTES, key=visitor_of, mend="mended")
    def page(self, hits: Payloads) -> Conversation:
        """Record a page view."""
        return (yield from self._hits("page", hits))

    @action(max_records=HITS, usual_records=1, max_bytes=BYTES, key=visitor_of, mend="mended")
    def screen(self, hits: Payloads) -> Conversation:
        """Record a view of an app's screen."""
        return (yield from self._hits("screen", hits))

    @action(max_records=HITS, usual_records=1, max_bytes=BYTES, key=visitor_of, mend="mended")
    def event(self, hits: Payloads) -> Conversation:
        """Record an event, whose action is the name of a goal."""
        return (yield from self._hits("event", hits))

    @action(max_records=HITS, usual_records=1, max_bytes=BYTES, key=visitor_of, mend="mended")
    def transaction(self, hits: Payloads) -> Conversation:
        """Record a purchase. Its items come after it, by `item`."""
        return (yield from self._hits("transaction", hits))

    @action(max_records=HITS, usual_records=1, max_bytes=BYTES, key=visitor_of, mend="mended")
    def item(self, hits: Payloads) -> Conversation:
        """Record one item of a transaction that was sent before."""
        return (yield from self._hits("item", hits))

    def _hits(self, kind: str, payloads: Payloads) -> Conversation:
        if (yield from self._panic()):
            return (yield from _suppressed(payloads))
        now: float = yield Now()
        bodies: list[dict[str, Any]] = []
        verdicts: dict[int, Verdict] = {}
        for position, payload in enumerate(payloads):
            try:
                visitor, fields = taken_apart(payload)
                fields = queue_time(fields, now)
                ids = (visitor.visitor_id, visitor.anonymous_id)
                hit = build(kind, fields, self.endpoints.env_id, *ids, self.on_violation)
            except RecordError as error:
                verdicts[position] = rejected(error.code, error.reason)
                continue
            bodies.append(hit.body)
            for note in hit.notes:
                done = "cut" if note.rule == "length" and self.on_violation == "truncate" else "left out"
                yield Note(f"hit-{note.rule}", f"{kind}: {note.field} {note.text}; it was {done}")
        if len(payloads) == 1 and bodies:
            yield self.endpoints.hit(bodies[0])
        elif bodies:
            yield self.endpoints.hits(bodies)
        return verdicts

    # --- activations and contexts -----------------------------------------------------------------------------------

    @action(max_records=HITS, usual_records=1, max_bytes=BYTES, key=visitor_of, mend="mended")
    def activate(self, payloads: Payloads) -> Conversation:
        """Tell that a visitor has seen a variation: POST /v2/activate."""
        if (yield from self._panic()):
            return (yield from _suppressed(payloads))
        seen: list[dict[str, Any]] = []
        verdicts: dict[int, Verdict] = {}
        for position, payload in enumerate(payloads):
            try:
                visitor, said = taken_apart(payload)
                seen.append(exposure(visitor, said["variation_group_id"], said["variation_id"]))
            except RecordError as error:
                verdicts[position] = rejected(error.code, error.reason)
        if len(payloads) == 1 and seen:
            yield self.endpoints.activation(seen[0])
        elif seen:
            yield self.endpoints.activations(seen)
        return verdicts

    @action(key=visitor_of, mend="mended")
    def context(self, payloads: Payloads) -> Conversation:
        """Tell what is known of a visitor: POST /v2/ENV/events. Keys that begin with `fs_` stay here."""
        if (yield from self._panic()):
            return (yield from _suppressed(payloads))
        try:
            visitor, said = taken_apart(payloads[0])
        except RecordError as error:
            return {0: rejected(error.code, error.reason)}
        known = visitor_context(said["context"])
        for finding in known.refused:
            yield Note(finding.code, f"{finding}; the pair is left out")
        yield self.endpoints.context_event(visitor, known.values)
        return None

    # --- panic ------------------------------------------------------------------------------------------------------

    def _panic(self) -> Question:
        """Is nothing to be sent? Asks for the file where it is due; others go on with what is known meanwhile."""
        if self._file is None:
            return (yield from in_panic(self.endpoints.env_id))
        now: float = yield Now()
        if self._file.decider is None or (self._polling and now - self._asked >= self._polling):
            self._asked = now
            yield from self._file.fetch()
        return self._file.panic


def _suppressed(payloads: Payloads) -> Conversation:
    yield Note("panic", "Flagship is in panic: hits, activations and contexts are not sent, and counted as dropped")
    return dict.fromkeys(range(len(payloads)), SUPPRESSED)
