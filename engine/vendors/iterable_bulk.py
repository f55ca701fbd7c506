"""The form of Iterable's answers to bulk requests: counts, and lists of those who were turned away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import msgspec

from engine.plugin import Response, Unreadable, Verdict, again, dropped, rejected

Name = tuple[str, str]  # ("email", in lower case) or ("userId", exactly)


class Kind(NamedTuple):
    """A pair of lists in `failedUpdates`: `invalidEmails` and `invalidUserIds` are the kind `invalid`."""

    list: str
    verdict: Verdict
    concerns: Literal["person", "row"]  # one mention speaks of all rows of that person, or of one row
    anywhere: bool  # the name may be a value asked for in `dataFields`, beside another row's own identifier

    def says(self, name: Name) -> Verdict:
        """The verdict with the identifier in it, unless that is somebody's who was erased."""
        if self.verdict.outcome == "dropped":
            return self.verdict
        return self.verdict._replace(reason=f"{self.verdict.reason}: {name[0]} {name[1]!r}")


KINDS = (  # the first that fits a row wins
    Kind("forgotten", dropped("forgotten", "Iterable has erased this person on request"), "person", False),
    Kind("invalid", rejected("invalid-identifier", "Iterable refuses the form of this identifier"), "person", True),
    Kind("notFound", rejected("not-found", "Iterable knows nobody by this identifier"), "person", False),
    Kind("conflict", rejected("conflict", "an existing person at Iterable stands against this change"), "row", True),
    Kind("invalidData", rejected("invalid-data", "Iterable refuses the content of a data field"), "row", False),
    Kind("valid", again("internal", "Iterable failed to store it; another try may do"), "person", False),
)


class BulkAnswer(msgspec.Struct, rename="camel"):
    """The answer to users/bulkUpdate, events/trackBulk and their like; any list may be missing or null."""

    success_count: int
    fail_count: int
    failed_updates: dict[str, Any] | None = None
    created_fields: Any = None
    filtered_out_fields: Any = None
    invalid_emails: Any = None  # deprecated copies: what they name is named again in `failed_updates`
    invalid_user_ids: Any = None
    disallowed_event_names: Any = None
    no_op_emails: Any = None
    no_op_user_ids: Any = None
    valid_email_failures: Any = None  # of subscriptions: well-formed, and yet not stored
    valid_user_id_failures: Any = None

    def names(self, kind: Kind) -> Counter[Name]:
        """Whom the lists of a kind name, and how often."""
        lists = self.failed_updates or {}
        found = Counter(names_in(lists.get(f"{kind.list}Emails"), lists.get(f"{kind.list}UserIds")))
        if kind.list == "invalid":
            found |= Counter(names_in(self.invalid_emails, self.invalid_user_ids))
        if kind.list == "valid":
            found |= Counter(names_in(self.valid_email_failures, self.valid_user_id_failures))
        return found

    def adds_up(self, payloads: int) -> bool:
        """Can it be about so many? Fewer may be counted: events of a disallowed name, and what changed nothing."""
        return self.success_count >= 0 and self.fail_count >= 0 and self.success_count + self.fail_count <= payloads

    def clean(self, payloads: int) -> bool:
        """Does it say that all are stored, and name nobody?"""
        lists = (self.failed_updates or {}).values()
        copies = (
            self.invalid_emails or self.invalid_user_ids or self.valid_email_failures or self.valid_user_id_failures
        )
        named = any(lists) or copies or self.disallowed_event_names
        return not named and self.fail_count == 0 and self.success_count == payloads


def bulk_answer(reply: Response) -> BulkAnswer:
    """Raises `Unreadable` for anything else: a success that cannot be read proves nothing."""
    try:
        return msgspec.json.decode(reply.body, type=BulkAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"HTTP {reply.status} that is no answer to a bulk request: {reply.text[:200]!r}") from error


def names_in(emails: Any, user_ids: Any) -> Iterable[Name]:
    yield from (("email", email.lower()) for email in texts(emails))
    yield from (("userId", user_id) for user_id in texts(user_ids))


def texts(members: Any) -> list[str]:
    return [member for member in members if isinstance(member, str)] if isinstance(members, list) else []
