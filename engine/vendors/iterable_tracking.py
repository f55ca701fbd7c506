"""Iterable: what people do, buy, and have in their carts."""

from __future__ import annotations

from engine.plugin import Conversation, Payloads, action, post
from engine.vendors import iterable_payloads as payload
from engine.vendors.iterable_account import BATCH, BYTES, CALLS, Account
from engine.vendors.iterable_answers import plain, refused, remarks


class Tracking(Account):
    """Events and purchases are folded by their `id`: the same one again overwrites."""

    @action(max_records=BATCH, max_bytes=BYTES, rate=10, key=payload.person, mend="mended", prepare="as_event",
            stable_id="id", repeatable=payload.has_id)  # fmt: skip
    def track_event(self, events: Payloads) -> Conversation:
        """Record events: POST /events/trackBulk. The same `id` again overwrites that event."""
        events = payload.flagged(events, self.new_fields)
        yield from payload.time_remarks(events, self.created_at)
        reply = yield post("/events/trackBulk", {"events": events})
        yield from remarks(reply)
        return refused(events, reply)

    @action(max_bytes=BYTES, rate=CALLS, key=payload.buyer, mend="mended", prepare="as_purchase",
            stable_id="id", repeatable=payload.has_id)  # fmt: skip
    def track_purchase(self, purchases: Payloads) -> Conversation:
        """Record a purchase, one a request: POST /commerce/trackPurchase. The same `id` again overwrites it.

        Creates or updates the person and empties their stored cart.
        """
        purchases = payload.flagged(purchases, {**self.user_flags, **self.new_fields}, inside="user")
        yield from payload.time_remarks(purchases, self.created_at)
        reply = yield post("/commerce/trackPurchase", purchases.raw[0])
        return plain(reply)

    @action(max_bytes=BYTES, rate=CALLS, key=payload.buyer, mend="mended", prepare="as_cart")
    def update_cart(self, carts: Payloads) -> Conversation:
        """Say what is in a person's cart: POST /commerce/updateCart. `items` is all of it, and replaces what was.

        Creates or updates the person.
        """
        carts = payload.flagged(carts, {**self.user_flags, **self.new_fields}, inside="user")
        reply = yield post("/commerce/updateCart", carts.raw[0])
        return plain(reply)
