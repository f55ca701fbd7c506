"""What Iterable's answers of success say of each payload.

A bulk answer names people, not rows, and counts. It is read in this order: do the counts add up; what it names is
matched to rows; that is compared with the counts; and what is left unexplained is sent again apart, in the end alone,
where no doubt is possible. On a clean answer no payload is looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterable, Mapping
from typing import Any

import msgspec

from engine.plugin import Note, Payloads, Response, Unreadable, Verdict, again, rejected, unknown
from engine.vendors.iterable_bulk import KINDS, BulkAnswer, Kind, Name, bulk_answer, names_in, texts

DISALLOWED = rejected("disallowed-event", "this Iterable project does not take events of this name")
UNNAMED = rejected("unnamed", "Iterable counted it as failed and gave no reason")
UNCOUNTED = unknown("uncounted", "Iterable's answer counts it neither as stored nor as failed")
NOT_OURS = "Iterable's answer counts more than was sent, or calls the same stored and failed"
MISCOUNTED = unknown("miscounted", NOT_OURS)


def remarks(reply: Response) -> Generator[Note, Response, None]:
    """Warnings on a batch: fields that the project left out or made."""
    answer = bulk_answer(reply)
    if left_out := texts(answer.filtered_out_fields):
        yield Note("fields-left-out", f"Iterable left out {', '.join(left_out)}: the project takes no new fields")
    if created := texts(answer.created_fields):
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
    """Of one payload there is no doubt who is named: this one, in whatever spelling. What the counts say may still
    contradict that; then nobody can tell.
    """
    whole = answer.adds_up(1)
    for kind in KINDS:
        for name in answer.names(kind):
            sure = whole and not answer.success_count
            return {0: kind.says(name) if sure or kind.verdict.outcome == "dropped" else MISCOUNTED}
    if not whole:
        return {0: MISCOUNTED}
    if texts(answer.disallowed_event_names):
        return {0: DISALLOWED}
    if answer.fail_count:
        return {0: UNNAMED}
    stored = answer.success_count or texts(answer.no_op_emails) or texts(answer.no_op_user_ids)
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
        self.disallowed: set[int] = set()  # of those found, whom nobody need have counted
        self.strangers = False  # is anybody named who is in no row?

    def verdicts(self) -> Mapping[int, Verdict]:
        if not self.answer.adds_up(len(self.rows)):
            return {row: self._once_more(row, "miscounted") for row in range(len(self.rows))}
        self._match(all_of_a_person=True)
        if self._too_many():  # some of them are counted as stored
            self.found, self.doubtful = {}, []
            self._match(all_of_a_person=False)
        contradiction = self._too_many()  # still: of those who are named some must be stored
        if contradiction:
            self.doubtful.append((sorted(self.found.keys() - self.disallowed), self.answer.fail_count))
            self.found = {row: self.found[row] for row in self.disallowed}
        failures = self.answer.fail_count if contradiction else self._doubtful_failures()
        return self._with_the_rest(len(self.found) + failures)

    def _too_many(self) -> bool:
        """Are more named than failed? Those of disallowed names need not be in the count."""
        named = len(self.found) - len(self.disallowed)
        stored = self.answer.success_count
        return named > self.answer.fail_count or len(self.found) > len(self.rows) - stored

    def _with_the_rest(self, explained: int) -> Mapping[int, Verdict]:
        """Those whom nobody named: all are stored, all failed, or they go again. So many failures have a name."""
        unsure = {row: "which-one" for rows, _ in self.doubtful for row in rows if row not in self.found}
        noop = self._untouched(unsure)
        rest = sorted(set(range(len(self.rows))) - self.found.keys() - unsure.keys() - noop)
        failed = self.answer.fail_count - explained
        lost = len(self.rows) - self.answer.success_count - explained - len(noop)
        if rest and failed == len(rest) and not unsure:
            self.found.update(dict.fromkeys(rest, UNNAMED))
        elif failed > 0 or lost > 0 or (self.strangers and not self.answer.fail_count):
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
                self.strangers |= not rows
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
        names = set(texts(self.answer.disallowed_event_names))
        rows = {index for index, row in enumerate(self.rows) if names and row.event_name in names}
        self.disallowed = rows - self.found.keys()
        self.found.update(dict.fromkeys(self.disallowed, DISALLOWED))

    def _untouched(self, unsure: Mapping[int, str]) -> set[int]:
        """Rows that changed nothing, which is no failure; they need not be in the count of successes."""
        names = names_in(self.answer.no_op_emails, self.answer.no_op_user_ids)
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
        reason = NOT_OURS if code == "miscounted" else "Iterable failed some of its batch without saying which"
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
