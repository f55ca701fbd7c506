"""Iterable: who is on which list, and who wants which messages."""

from __future__ import annotations

from engine.plugin import Conversation, Note, Payloads, action, post
from engine.vendors import iterable_payloads as payload
from engine.vendors.iterable_account import BATCH, BYTES, LIST_CALLS, Account
from engine.vendors.iterable_answers import refused, remarks

JOINING = ("listId", "updateExistingUsersOnly")  # members that are a request's, not a person's
LEAVING = ("listId", "campaignId", "channelUnsubscribe")


class Lists(Account):
    """A request speaks of one list. Static lists only: nobody joins a dynamic one."""

    @action(max_records=BATCH, max_bytes=BYTES, rate=LIST_CALLS, key=payload.person, mend="mended",
            prepare="as_person", group=payload.alike_in(*JOINING))  # fmt: skip
    def subscribe(self, subscribers: Payloads) -> Conversation:
        """Put people on a list, a request per list: POST /lists/subscribe. Creates or updates them."""
        about, people = payload.apart(subscribers, JOINING)
        people = payload.flagged(people, self.user_flags)
        reply = yield post("/lists/subscribe", {**about, "subscribers": people})
        yield from remarks(reply)
        return refused(people, reply)

    @action(max_records=BATCH, max_bytes=BYTES, rate=LIST_CALLS, key=payload.person, mend="mended",
            prepare="as_person", group=payload.alike_in(*LEAVING))  # fmt: skip
    def unsubscribe(self, subscribers: Payloads) -> Conversation:
        """Take people off a list, a request per list: POST /lists/unsubscribe.

        `channelUnsubscribe` takes them off the list's whole channel. Whoever is unknown is on no list, as was wished.
        """
        about, people = payload.apart(subscribers, LEAVING)
        reply = yield post("/lists/unsubscribe", {**about, "subscribers": people})
        verdicts = refused(people, reply)
        rest = {row: verdict for row, verdict in verdicts.items() if verdict.code != "not-found"}
        if len(rest) < len(verdicts):
            yield Note("was-not-there", "somebody to take off a list was not there")
        return rest

    @action(max_records=BATCH, max_bytes=BYTES, rate=LIST_CALLS, key=payload.person, mend="mended",
            prepare="as_person")  # fmt: skip
    def update_subscriptions(self, people: Payloads) -> Conversation:
        """Say what people want to receive: POST /users/bulkUpdateSubscriptions.

        Each list of ids that is given replaces the stored one; those left out stay as they are.
        """
        reply = yield post("/users/bulkUpdateSubscriptions", {"updateSubscriptionsRequests": people})
        return refused(people, reply)
