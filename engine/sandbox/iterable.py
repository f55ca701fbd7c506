"""A pretend Iterable project: checks and refuses as the service does, and remembers what it was told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from engine.plugin import Response, Secret, WireRequest
from engine.sandbox import iterable_shapes as shapes
from engine.sandbox.bodies import whole
from engine.sandbox.iterable_accounts import Accounts
from engine.sandbox.iterable_catalogs import Catalogs
from engine.sandbox.iterable_fields import Fields, Trial, too_long
from engine.sandbox.iterable_people import Failed, People
from engine.sandbox.iterable_reports import Refused, Report, plainly, subscription_report, success
from engine.sandbox.iterable_shapes import wrong

MOST_BYTES = 4_000_000
USER_FIELDS, EVENT_FIELDS = 1000, 8000  # how many distinct ones the service keeps
SUBSCRIPTIONS = ("unsubscribedChannelIds", "unsubscribedMessageTypeIds", "subscribedMessageTypeIds")


class Clock(Protocol):
    def now(self) -> float: ...


class Bucket:
    """A leaky bucket that holds one second's worth of requests."""

    def __init__(self, rate: float) -> None:
        self.rate, self.level, self.at = rate, 0.0, 0.0

    def admits(self, now: float) -> bool:
        self.level = max(0.0, self.level - (now - self.at) * self.rate)
        self.at = now
        if self.level + 1 > self.rate + 1e-6:
            return False
        self.level += 1
        return True


@dataclass(frozen=True, eq=False)
class Route:
    """A request that is understood: what the place after `/api` looks like, and how many a second are taken.

    `work` is given the body and what the place's groups hold.
    """

    method: str
    place: re.Pattern[str]
    rate: float
    shape: Any
    work: Callable[..., Response]


class PretendIterable:
    """A project in memory. `clock.now()` gives seconds. `project` is the project's kind: hybrid, email or user_id.

    `forgotten` are identifiers of erased people, `disallowed` names of events that the project does not take.
    `create_new_fields` is the project's own setting. `strangers`: do events make people that are unknown? `lists` and
    `catalogs` are those that exist; None: whichever is asked for. `rates` False lifts the limits on requests a
    second, for measuring.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        project: str = "hybrid",
        forgotten: Sequence[str] = (),
        disallowed: Sequence[str] = (),
        create_new_fields: bool = True,
        strangers: bool = True,
        lists: Sequence[int] | None = None,
        catalogs: Sequence[str] | None = None,
        rates: bool = True,
    ) -> None:
        self._clock = clock
        self._disallowed, self._create, self._strangers = set(disallowed), create_new_fields, strangers
        self._lists = lists
        self._user_fields = Fields("user", USER_FIELDS)
        self._purchase_fields = Fields("purchase", USER_FIELDS)
        self._event_fields: dict[str, Fields] = {}
        self.people = People(project, list(forgotten))
        self.events: dict[str, Any] = {}  # by id, in order of arrival
        self.purchases: dict[str, Any] = {}
        self._made = 0  # ids that the service gave
        self.catalogs = Catalogs(catalogs)
        self._routes = self._understood(Accounts(self.people, self.events, self.purchases))
        self._buckets = {route: Bucket(route.rate) for route in self._routes} if rates else {}

    def _understood(self, accounts: Accounts) -> list[Route]:
        def route(method: str, place: str, rate: float, shape: Any, work: Callable[..., Response]) -> Route:
            return Route(method, re.compile(place), rate, shape, work)

        return [
            route("POST", "users/bulkUpdate", 5, shapes.BULK_USERS, self._bulk_update),
            route("POST", "users/bulkUpdateSubscriptions", 5, shapes.SUBSCRIPTIONS, self._update_subscriptions),
            route("POST", "users/updateEmail", 100, shapes.UPDATE_EMAIL, accounts.update_email),
            route("POST", "users/merge", 50, shapes.MERGE, accounts.merge),
            route("POST", "users/registerDeviceToken", 500, shapes.DEVICE, accounts.register),
            route("DELETE", "users/(byUserId/)?([^/]+)", 100, shapes.NOTHING, accounts.delete),
            route("POST", "events/trackBulk", 10, shapes.BULK_EVENTS, self._track_bulk),
            route("POST", "commerce/trackPurchase", 100, shapes.PURCHASE, self._track_purchase),
            route("POST", "commerce/updateCart", 100, shapes.CART, self._update_cart),
            route("POST", "lists/subscribe", 5, shapes.SUBSCRIBE, self._subscribe),
            route("POST", "lists/unsubscribe", 5, shapes.UNSUBSCRIBE, self._unsubscribe),
            route("POST", "catalogs/([^/]+)/items", 100, shapes.DOCUMENTS, self.catalogs.write),
        ]

    def handle(self, request: WireRequest) -> Response:
        path = urlsplit(request.url).path
        try:
            return self._handle(request, path)
        except Refused as refused:
            return refused.response

    def state(self) -> dict[str, Any]:
        """People by their identifiers; events and purchases as they arrived, without ids that the service gave."""
        people = [person.shown() for person in self.people.everybody]
        people.sort(key=lambda person: (person["email"] or "", person["userId"] or ""))
        catalogs = {"catalogs": self.catalogs.items} if self.catalogs.items else {}
        told = {"events": list(self.events.values()), "purchases": list(self.purchases.values())}
        return {"users": people, **told, **catalogs}

    # --- before the work --------------------------------------------------------------------------------

    def _handle(self, request: WireRequest, path: str) -> Response:
        self._check_key(request, path)
        route, groups = self._route(request.method, path)
        if route in self._buckets and not self._buckets[route].admits(self._clock.now()):
            raise Refused(429, "RateLimitExceeded", "Rate limit exceeded")
        if len(request.body) > MOST_BYTES:
            raise Refused(413, "BatchTooLarge", "Request entity too large")
        body = whole(request)
        said = {} if not body and route.shape is shapes.NOTHING else self._read(body, route.shape, path)
        return route.work(said, *groups)

    def _route(self, method: str, path: str) -> tuple[Route, tuple[str, ...]]:
        for route in self._routes:
            place = route.place.fullmatch(path.removeprefix("/api/")) if path.startswith("/api/") else None
            if place is not None and route.method == method:
                return route, place.groups("")
        raise Refused(404, "NotFound", f"Not found: {method} {path}")

    def _check_key(self, request: WireRequest, path: str) -> None:
        given = {name.lower().replace("_", "-"): value for name, value in request.headers.items()}
        key = given.get("api-key", "")
        if (key.reveal() if isinstance(key, Secret) else key) in ("", "invalid"):
            raise Refused(401, "BadApiKey", "Invalid API key", {"endpoint": path})

    def _read(self, body: bytes, shape: Any, path: str) -> Any:
        try:
            said = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Refused(400, "BadJsonBody", f"[{path}] Invalid JSON body", {"obj": "JSON expected"}) from None
        if places := wrong(said, shape):
            raise Refused(400, "BadJsonBody", f"[{path}] Invalid JSON body", places)
        return said

    # --- people -------------------------------------------------------------------------------------------

    def _bulk_update(self, said: Mapping[str, Any]) -> Response:
        rows, report = said["users"], Report()
        trial = self._user_fields.trial()
        data = [self._fields(row, said, trial, report) for row in rows]
        _stop_at(trial)
        for row, fields in zip(rows, data, strict=True):
            report.row(partial(self._update, row, fields))
        report.created = trial.keep()
        return report.answer()

    def _update(self, row: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
        _someone(row)
        self.people.check(row)
        if too_long(fields):
            raise Failed("invalidData", email=row.get("email"), user_id=row.get("userId"))
        self.people.upsert(row, fields)

    def _fields(
        self, row: Mapping[str, Any], flags: Mapping[str, Any], trial: Trial, report: Report
    ) -> dict[str, Any]:
        """The data fields that will be stored: those that are known, and new ones where they are wanted."""
        fields: dict[str, Any] = row.get("dataFields") or {}
        wanted = flags.get("createNewFields")
        if not (self._create if wanted is None else wanted):
            known = trial.fields.types
            report.filtered.update(name for name in fields if name not in known)
            fields = {name: value for name, value in fields.items() if name in known}
        trial.take(fields)
        return fields

    # --- events ---------------------------------------------------------------------------------------------

    def _track_bulk(self, said: Mapping[str, Any]) -> Response:
        rows, report = said["events"], Report(events=True)
        trials: dict[str, Trial] = {}
        data = []
        for row in rows:
            name = row["eventName"]
            if name not in trials:
                trials[name] = self._event_fields.setdefault(name, Fields(name, EVENT_FIELDS)).trial()
            data.append(self._fields(row, row, trials[name], report))
        _stop_at(*trials.values())
        for row, fields in zip(rows, data, strict=True):
            report.row(partial(self._track, row, fields, report))
        report.created = [name for trial in trials.values() for name in trial.keep()]
        return report.answer()

    def _track(self, row: Mapping[str, Any], fields: Mapping[str, Any], report: Report) -> None:
        _someone(row)
        if row["eventName"] in self._disallowed:
            report.disallowed.add(row["eventName"])
            raise Failed("")
        self.people.check({"email": row.get("email"), "userId": row.get("userId")})
        if not self.people.knows(row):
            nameless = self.people.project == "email" and not row.get("email")
            if nameless or not self._strangers:
                raise Failed("notFound", email=row.get("email"), user_id=row.get("userId"))
            self.people.upsert({"email": row.get("email"), "userId": row.get("userId")}, {})
        self._store(self.events, row, {**_identity(row), "dataFields": fields})

    # --- purchases ----------------------------------------------------------------------------------------------

    def _track_purchase(self, said: Mapping[str, Any]) -> Response:
        user, report = said["user"], Report()
        if not said["items"]:
            raise Refused(400, "BadParams", "items must not be empty")
        people, purchase = self._user_fields.trial(), self._purchase_fields.trial()
        fields = self._fields(user, user, people, report)
        purchase.take(said.get("dataFields") or {})
        _stop_at(people, purchase)
        try:
            self._update(user, fields)
        except Failed as failed:
            raise plainly(failed) from None
        people.keep()
        purchase.keep()
        made = self._store(self.purchases, said, {"user": _identity(user)})
        if (person := self.people.find(user)) is not None:
            person.cart = []
        return success(params={"id": made})

    def _update_cart(self, said: Mapping[str, Any]) -> Response:
        user, report, trial = said["user"], Report(), self._user_fields.trial()
        fields = self._fields(user, user, trial, report)
        _stop_at(trial)
        try:
            self._update(user, fields)
        except Failed as failed:
            raise plainly(failed) from None
        trial.keep()
        if (person := self.people.find(user)) is not None:
            person.cart = said["items"]
        return success()

    # --- lists and subscriptions -----------------------------------------------------------------------------------

    def _subscribe(self, said: Mapping[str, Any]) -> Response:
        rows, report, trial = said["subscribers"], Report(), self._user_fields.trial()
        self._check_list(said)
        data = [self._fields(row, {}, trial, report) for row in rows]
        _stop_at(trial)
        for row, fields in zip(rows, data, strict=True):
            report.row(partial(self._join, row, fields, said))
        report.created = trial.keep()
        return report.answer()

    def _join(self, row: Mapping[str, Any], fields: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        _someone(row)
        self.people.check(row)
        if said.get("updateExistingUsersOnly") and not self.people.knows(row):
            raise Failed("notFound", email=row.get("email"), user_id=row.get("userId"))
        self._update(row, fields)
        if (person := self.people.find(row)) is not None:
            person.lists.add(said["listId"])

    def _unsubscribe(self, said: Mapping[str, Any]) -> Response:
        report = Report()
        self._check_list(said)
        for row in said["subscribers"]:
            report.row(partial(self._leave, row, said["listId"]))
        return report.answer()

    def _leave(self, row: Mapping[str, Any], number: int) -> None:
        _someone(row)
        self.people.check(row)
        person = self.people.find(row)
        if person is None:
            raise Failed("notFound", email=row.get("email"), user_id=row.get("userId"))
        person.lists.discard(number)

    def _check_list(self, said: Mapping[str, Any]) -> None:
        if said["listId"] < 1 or (self._lists is not None and said["listId"] not in self._lists):
            raise Refused(400, "GenericError", "error.lists.invalidListId")

    def _update_subscriptions(self, said: Mapping[str, Any]) -> Response:
        report = Report()
        for row in said["updateSubscriptionsRequests"]:
            report.row(partial(self._wishes, row))
        return subscription_report(report)

    def _wishes(self, row: Mapping[str, Any]) -> None:
        _someone(row)
        self.people.check(row)
        person = self.people.upsert({"email": row.get("email"), "userId": row.get("userId")}, {})
        if row.get("emailListIds") is not None:
            person.lists = set(row["emailListIds"])
        person.subscriptions |= {name: row[name] for name in SUBSCRIPTIONS if row.get(name) is not None}

    # --- memory --------------------------------------------------------------------------------------------------

    def _store(self, memory: dict[str, Any], row: Mapping[str, Any], instead: Mapping[str, Any]) -> str:
        """Remembers a row under its id, over what was there; without one it gets an id that is not shown."""
        stored = {name: value for name, value in {**row, **instead}.items() if value is not None}
        stored.pop("createNewFields", None)
        if not stored.get("dataFields"):
            stored.pop("dataFields", None)
        self._made += not row.get("id")
        made = row.get("id") or f"\0{self._made}"
        memory[made] = stored
        return made.replace("\0", "made-")


def _identity(row: Mapping[str, Any]) -> dict[str, str]:
    """The identifiers that a row gives, as they are kept."""
    email, user_id = row.get("email"), row.get("userId")
    return ({"email": email.lower()} if email else {}) | ({"userId": user_id} if user_id else {})


def _someone(row: Mapping[str, Any]) -> None:
    if not row.get("email") and not row.get("userId"):
        raise Failed("invalid", email=row.get("email"), user_id=row.get("userId"))


def _stop_at(*trials: Trial) -> None:
    mismatches = {f"project:::{name}": found for trial in trials for name, found in trial.mismatches.items()}
    if mismatches:
        raise Refused(400, "RequestFieldsTypesMismatched",
                      "The request does not have the same data types as previous requests",
                      {"validationErrors": mismatches})  # fmt: skip
    if any(trial.overfull for trial in trials):
        raise Refused(400, "UniqueFieldsLimitExceeded", "Too many fields")
