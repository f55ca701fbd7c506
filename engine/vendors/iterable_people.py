"""Iterable: people, their addresses and devices."""

from __future__ import annotations

from typing import Any

from engine.plugin import Conversation, Note, Payloads, TurnedAway, action, delete, post
from engine.vendors import iterable_payloads as payload
from engine.vendors.iterable_account import BATCH, BYTES, CALLS, Account
from engine.vendors.iterable_answers import plain, refused, remarks
from engine.vendors.iterable_refusals import names_nobody


def never(_: Any) -> bool:
    """Sent a second time after a lost answer, it would be refused because the first did its work."""
    return False


class People(Account):
    """One person is updated in bulk only: bulk and single requests are processed apart and may overtake."""

    @action(max_records=BATCH, max_bytes=BYTES, rate=5, key=payload.person, mend="mended", prepare="as_person")
    def update_user(self, users: Payloads) -> Conversation:
        """Create or update people: POST /users/bulkUpdate.

        Fields that a payload leaves out stay as they are; a top-level object is replaced whole, unless
        `mergeNestedObjects`.
        """
        users = payload.flagged(users, self.user_flags)
        reply = yield post("/users/bulkUpdate", {"users": users, **self.new_fields})
        yield from remarks(reply)
        return refused(users, reply)

    @action(max_bytes=BYTES, rate=CALLS, key=payload.whose_address, mend="mended", repeatable=never)
    def update_email(self, changes: Payloads) -> Conversation:
        """Change a person's address: POST /users/updateEmail. For projects by e-mail address.

        It fails when the new address is somebody's already, or was erased.
        """
        reply = yield post("/users/updateEmail", changes.raw[0])
        return plain(reply)

    @action(max_bytes=BYTES, rate=50, key=payload.into_whom, mend="mended", prepare="as_merge", repeatable=never)
    def merge_users(self, merges: Payloads) -> Conversation:
        """Merge one person into another: POST /users/merge. The source is gone afterwards.

        A destination that does not exist yet is what the source is called from then on.
        """
        reply = yield post("/users/merge", merges.raw[0])
        return plain(reply)

    @action(rate=100, key=payload.person, mend="mended", prepare="as_deletion")
    def delete_user(self, users: Payloads) -> Conversation:
        """Delete a person: DELETE /users/EMAIL or /users/byUserId/USERID.

        It is done later, and keeps nobody from coming back with new data. In a project by e-mail address several
        people may share a userId: all of them are deleted. Whoever is not there counts as deleted.
        """
        try:
            reply = yield delete(payload.address_of(users[0]))
        except TurnedAway as refused:
            if not names_nobody(refused.response):
                raise
            yield Note("was-not-there", "somebody to delete was not there")
            return None
        return plain(reply)

    @action(max_bytes=BYTES, rate=500, key=payload.person, mend="mended", prepare="as_person")
    def register_device_token(self, devices: Payloads) -> Conversation:
        """Register a person's device for push messages: POST /users/registerDeviceToken. At most 500 a person."""
        devices = payload.flagged(devices, self.prefer)
        reply = yield post("/users/registerDeviceToken", devices.raw[0])
        return plain(reply)
