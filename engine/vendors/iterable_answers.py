"""What Iterable's answers of success say of each payload.

A bulk answer names people, not rows, and counts. It is read in this order: what it names is matched to rows, the
counts are compared with that, and what they leave unexplained is sent again alone, where no doubt is possible. On a
clean answer no payload is looked at.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from engine.plugin import Note, Payloads, Response, Unreadable, Verdict, again, dropped, rejected, unknown

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
DISALLOWED = rejected("disallowed-event", "this Iterable project does not take events of this name")
UNNAMED = rejected("unnamed", "Iterable counted it as failed and gave no reason")
UNCOUNTED = unknown("uncounted", "Iterable's answer counts it neither as stored nor as failed")


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
        found = Counter(_names(lists.get(f"{kind.list}Emails"), lists.get(f"{kind.list}UserIds")))
        if kind.list == "invalid":
            found |= Counter(_names(self.invalid_emails, self.invalid_user_ids))
        if kind.list == "valid":
            found |= Counter(_names(self.valid_email_failures, self.valid_user_id_failures))
        return found

    def clean(self, payloads: int) -> bool:
        """Does it say that all are stored, and name nobody?"""
        lists = (self.failed_updates or {}).values()
        named = any(lists) or self.invalid_emails or self.invalid_user_ids or self.disallowed_event_names
        return not named and self.fail_count == 0 and self.success_count >= payloads


def bulk_answer(reply: Response) -> BulkAnswer:
    """Raises `Unreadable` for anything else: a success that cannot be read proves nothing."""
    try:
        return msgspec.json.decode(reply.body, type=BulkAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"HTTP {reply.status} that is no answer to a bulk request: {reply.text[:200]!r}") from error


def remarks(reply: Response) -> Generator[Note, Response, None]:
    """Warnings on a batch: fields that the project left out or made."""
    answer = bulk_answer(reply)
    if left_out := _texts(answer.filtered_out_fields):
        yield Note("fields-left-out", f"Iterable left out {', '.join(left_out)}: the project takes no new fields")
    if created := _texts(answer.created_fields):
        yield Note("fields-created", f"Iterable made the new fields {', '.join(created)}")


def refused(payloads: Payloads, reply: Response) -> Mapping[int, Verdict]:
    """Verdicts by position for all that a bulk answer does not call stored."""
    answer = bulk_answer(reply)
    if answer.clean(len(payloads)):
        return {}
    if len(payloads) == 1:
        return _alone(answer)
    return Reading([_decode_row(raw) for raw in payloads.raw], answer).verdicts()


def plain(reply: Response) -> Mapping[int, Verdict]:
    """The same for an answer of the form `{msg, code, params}` about one payload."""
    answer = reply.json()
    if not isinstance(answer, dict) or not ("code" in answer or "msg" in answer):
        raise Unreadable(f"HTTP {reply.status} that is no answer of Iterable: {reply.text[:200]!r}")
    return {0: DISALLOWED} if "is disallowed from tracking" in str(answer.get("msg")) else {}


def _alone(answer: BulkAnswer) -> Mapping[int, Verdict]:
    """Of one payload there can be no doubt: whatever is named is this one, in whatever spelling."""
    for kind in KINDS:
        for name in answer.names(kind):
            return {0: kind.says(name)}
    if _texts(answer.disallowed_event_names):
        return {0: DISALLOWED}
    if answer.fail_count:
        return {0: UNNAMED}
    stored = answer.success_count or _texts(answer.no_op_emails) or _texts(answer.no_op_user_ids)
    return {} if stored else {0: UNCOUNTED}


class Identifiers(msgspec.Struct, rename="camel"):
    email: Any = None
    user_id: Any = None


class Row(Identifiers, rename="camel"):
    """What is read of a payload: who and which, not the data."""

    id: Any = None
    event_name: Any = None
    data_fields: Identifiers | None = None


_decode_row = msgspec.json.Decoder(Row).decode


class Reading:
    """One bulk answer about several payloads, matched to them."""

    def __init__(self, rows: list[Row], answer: BulkAnswer) -> None:
        self.rows, self.answer = rows, answer
        self.own = _index(rows)
        self.asked_for = _index(row.data_fields for row in rows)
        self.found: dict[int, Verdict] = {}  # final
        self.doubtful: list[tuple[list[int], int]] = []  # rows of one name, and how many of them failed

    def verdicts(self) -> Mapping[int, Verdict]:
        self._match(all_of_a_person=True)
        if len(self.found) > len(self.rows) - self.answer.success_count:  # some of them are counted as stored
            self.found, self.doubtful = {}, []
            self._match(all_of_a_person=False)
        unsure = {row: "which-one" for rows, _ in self.doubtful for row in rows if row not in self.found}
        noop = self._untouched(unsure)
        rest = sorted(set(range(len(self.rows))) - self.found.keys() - unsure.keys() - noop)
        explained = len(self.found) + self._doubtful_failures()
        failed = self.answer.fail_count - explained
        lost = len(self.rows) - self.answer.success_count - explained - len(noop)
        if rest and failed == len(rest) and not unsure:
            self.found.update(dict.fromkeys(rest, UNNAMED))
        elif failed > 0 or lost > 0:
            unsure.update(dict.fromkeys(rest, "unnamed"))
        return {**self.found, **{row: self._once_more(row, code) for row, code in unsure.items()}}

    def _match(self, *, all_of_a_person: bool) -> None:
        """A name speaks of all rows of that person, except where that contradicts the counts: a row can have one
        identifier of somebody unknown and another of somebody known.
        """
        for kind in KINDS:
            alike = all_of_a_person and kind.concerns == "person"
            for name, mentions in self.answer.names(kind).items():
                rows = self._rows(kind, name)
                if mentions < len(rows) and not alike:
                    self.doubtful.append((rows, mentions))
                    continue
                for row in rows:
                    self.found.setdefault(row, kind.says(name))
        self._disallow()

    def _rows(self, kind: Kind, name: Name) -> list[int]:
        own, asked_for = self.own.get(name, []), self.asked_for.get(name, [])
        if kind.anywhere:
            return sorted({*own, *asked_for})
        return own or asked_for

    def _disallow(self) -> None:
        names = set(_texts(self.answer.disallowed_event_names))
        for index, row in enumerate(self.rows):
            if names and row.event_name in names:
                self.found.setdefault(index, DISALLOWED)

    def _untouched(self, unsure: Mapping[int, str]) -> set[int]:
        """Rows that changed nothing, which is no failure; they need not be in the count of successes."""
        names = _names(self.answer.no_op_emails, self.answer.no_op_user_ids)
        rows = {row for name in names for row in self.own.get(name, [])}
        return rows - self.found.keys() - unsure.keys()

    def _doubtful_failures(self) -> int:
        """At least so many of the doubtful rows failed: the same row may be named by two identifiers."""
        failures, seen = 0, set(self.found)
        for rows, mentions in self.doubtful:
            if seen.isdisjoint(rows):
                failures += mentions
            seen.update(rows)
        return failures

    def _once_more(self, row: int, code: str) -> Verdict:
        reason = "Iterable failed some of its batch without saying which"
        if self.rows[row].event_name and not self.rows[row].id:
            return unknown(code, f"{reason}; without an id, sending it again could double it")
        return again(code, reason)


def _index(members: Iterable[Identifiers | None]) -> Mapping[Name, list[int]]:
    found: defaultdict[Name, list[int]] = defaultdict(list)
    for row, member in enumerate(members):
        if member is not None and isinstance(member.email, str):
            found["email", member.email.lower()].append(row)
        if member is not None and isinstance(member.user_id, str):
            found["userId", member.user_id].append(row)
    return found


def _names(emails: Any, user_ids: Any) -> Iterable[Name]:
    yield from (("email", email.lower()) for email in _texts(emails))
    yield from (("userId", user_id) for user_id in _texts(user_ids))


def _texts(members: Any) -> list[str]:
    return [member for member in members if isinstance(member, str)] if isinstance(members, list) else []
