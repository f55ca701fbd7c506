"""The answers of the pretend Iterable: the report on a bulk request, and refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec

from engine.plugin import Response
from engine.sandbox.iterable_people import LISTS, Failed


def answer(status: int, said: Any) -> Response:
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode(said))


def success(msg: str = "", params: Any = None) -> Response:
    return answer(200, {"msg": msg, "code": "Success", "params": params})


class Refused(Exception):
    """An answer other than success; nothing was stored."""

    def __init__(self, status: int, code: str, msg: str, params: Any = None) -> None:
        super().__init__(msg)
        self.response = answer(status, {"msg": msg, "code": code, "params": params})


class Report:
    """What a bulk answer tells: counts and lists."""

    def __init__(self, *, events: bool = False) -> None:
        self.events = events
        self.stored, self.failed = 0, 0
        self.named: Counter[tuple[str, str]] = Counter()
        self.filtered: set[str] = set()
        self.created: list[str] = []
        self.disallowed: set[str] = set()

    def row(self, work: Callable[[], None]) -> None:
        """Does the work on one row and writes down how it ended."""
        try:
            work()
            self.stored += 1
        except Failed as failed:
            self.failed += 1
            if failed.email is not None:
                self.named[f"{failed.kind}Emails", failed.email] += 1
            if failed.user_id is not None:
                self.named[f"{failed.kind}UserIds", failed.user_id] += 1

    def answer(self) -> Response:
        kinds = [kind for kind in LISTS if not self.events or kind in ("invalid", "notFound", "forgotten")]
        lists: dict[str, list[str]] = {f"{kind}{of}": [] for kind in kinds for of in ("Emails", "UserIds")}
        for (name, identifier), times in self.named.items():
            lists.setdefault(name, []).extend([identifier] * times)
        said = {
            "successCount": self.stored,
            "failCount": self.failed,
            **({"disallowedEventNames": sorted(self.disallowed)} if self.events else {}),
            "createdFields": sorted(set(self.created)),
            "filteredOutFields": sorted(self.filtered),
            "failedUpdates": lists,
            "invalidEmails": lists["invalidEmails"],
            "invalidUserIds": lists["invalidUserIds"],
        }
        return answer(200, said)


def subscription_report(report: Report) -> Response:
    """The answer about subscriptions, which names people in two kinds of lists only."""
    named: dict[str, list[str]] = {"invalidEmails": [], "invalidUserIds": []}
    for (name, identifier), times in report.named.items():
        named["invalidEmails" if name.endswith("Emails") else "invalidUserIds"] += [identifier] * times
    lists = {**named, "validEmailFailures": [], "validUserIdFailures": []}
    return answer(200, {"successCount": report.stored, "failCount": report.failed, **lists})


def plainly(failed: Failed) -> Refused:
    """How the service says of one person what a bulk answer says in lists."""
    if failed.kind == "forgotten":
        return Refused(409, "ForgottenUserError", "User has been forgotten")
    if failed.kind == "conflict":
        return Refused(409, "UserIdAlreadyExists", "userId in use")
    if failed.kind == "invalid" and failed.email is not None:
        return Refused(400, "InvalidEmailAddressError", f"Invalid email: {failed.email}")
    if failed.kind == "invalid":
        return Refused(400, "InvalidUserIdError", f"Invalid userId: {failed.user_id}")
    return Refused(400, "BadParams", "Invalid data")
