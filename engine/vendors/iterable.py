"""Iterable: users, events and purchases.

Requests, limits and rates are those of the service's published API description. Its answers of success are read in
`iterable_answers`, its refusals in `iterable_refusals`; what it asks of a payload stands in `iterable_payloads`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.plugin import Conversation, InvalidPipeline, Payloads, Response, Secret, Vendor, Verdict, action, post
from engine.vendors import iterable_payloads as payload
from engine.vendors.iterable_answers import plain, refused, remarks
from engine.vendors.iterable_refusals import refusal

BASES = {"us": "https://api.iterable.com/api", "eu": "https://api.eu.iterable.com/api"}
EVENT_IDS = ("auto", "field", "none")

BATCH = 1000  # users or events: no count is published, everybody sends 1,000
BYTES = 3_800_000  # of the 4 MB that the service takes: room for the flags below


class Iterable(Vendor):
    """An Iterable project. A key belongs to one project and so to one data centre.

    `create_new_fields`, `merge_nested_objects` and `prefer_user_id` are sent with every payload that does not say so
    itself; None leaves them to the project. `event_id` says where the ids of events and purchases come from, by which
    Iterable folds repeats: `auto` takes the payload's own, else one the engine derives from the record; `field` asks
    every payload for its own; `none` adds none, so that a repeat after a lost answer could double.
    """

    def __init__(
        self,
        *,
        api_key: Secret,
        data_center: str = "us",
        base_url: str | None = None,
        create_new_fields: bool | None = None,
        merge_nested_objects: bool | None = None,
        prefer_user_id: bool | None = None,
        event_id: str = "auto",
    ) -> None:
        if base_url is None and data_center not in BASES:
            raise InvalidPipeline(f"data_center is {data_center!r}: Iterable has {' and '.join(BASES)}")
        if event_id not in EVENT_IDS:
            raise InvalidPipeline(f"event_id is {event_id!r}: it can be {', '.join(EVENT_IDS)}")
        self.base_url = (base_url or BASES[data_center]).rstrip("/")
        self.api_key = api_key
        self.stable_ids = event_id == "auto"
        self.own_ids = event_id == "field"
        self.new_fields = payload.flags(createNewFields=create_new_fields)
        self.user_flags = payload.flags(preferUserId=prefer_user_id, mergeNestedObjects=merge_nested_objects)

    def headers(self) -> Mapping[str, str | Secret]:
        return {"Api-Key": self.api_key}

    def refusal(self, answer: Response, payloads: Payloads) -> Mapping[int, Verdict] | None:
        return refusal(answer, payloads)

    def mended(self, refused_payload: Any) -> Any:
        return payload.mended(refused_payload)

    @action(max_records=BATCH, max_bytes=BYTES, rate=5, key=payload.person, mend="mended")
    def update_user(self, users: Payloads) -> Conversation:
        """Create or update people: POST /users/bulkUpdate.

        Fields that a payload leaves out stay as they are; a top-level object is replaced whole, unless
        `mergeNestedObjects`.
        """
        users = payload.flagged(users, self.user_flags)
        reply = yield post("/users/bulkUpdate", {"users": users, **self.new_fields})
        yield from remarks(reply)
        return refused(users, reply)

    @action(max_records=BATCH, max_bytes=BYTES, rate=10, key=payload.person, mend="mended",
            stable_id="id", repeatable=payload.has_id)  # fmt: skip
    def track_event(self, events: Payloads) -> Conversation:
        """Record events: POST /events/trackBulk. The same `id` again overwrites that event."""
        if self.own_ids and (missing := payload.without_id(events)):
            return missing
        events = payload.flagged(events, self.new_fields)
        yield from payload.time_remarks(events)
        reply = yield post("/events/trackBulk", {"events": events})
        yield from remarks(reply)
        return refused(events, reply)

    @action(max_bytes=BYTES, rate=100, key=payload.buyer, mend="mended", stable_id="id", repeatable=payload.has_id)
    def track_purchase(self, purchases: Payloads) -> Conversation:
        """Record a purchase, one a request: POST /commerce/trackPurchase. The same `id` again overwrites it.

        Creates or updates the person and empties their stored cart.
        """
        if self.own_ids and (missing := payload.without_id(purchases)):
            return missing
        purchases = payload.flagged(purchases, {**self.user_flags, **self.new_fields}, inside="user")
        yield from payload.time_remarks(purchases)
        reply = yield post("/commerce/trackPurchase", purchases.raw[0])
        return plain(reply)
