"""A visitor as scripts on the Python SDK 2.1 know them, over the same conversations as the pipeline's parts.

    client = start("env", "key", Config(mode="bucketing"))        # engine.python.flagship
    visitor = client.create_visitor("customer-9", context={"plan": "pro"})
    visitor.synchronize_modifications()
    colour = visitor.get_modification("btn-color", "red", activate=True)
    visitor.send_hit(Transaction("t1", "purchases").with_total_revenue(42.5))

A conversation is held by whoever is handed in: nothing here opens a connection, waits, or knows the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any

from engine.plugin import NotNow, Question, RecordError, Request, Response, TurnedAway, Unreadable
from engine.vendors.buckets import Decision, accept, modification, visitor_context
from engine.vendors.flagship_answers import read_campaigns
from engine.vendors.flagship_client import DEBUG, ERROR, WARNING, Client, Outcome
from engine.vendors.flagship_hits import build
from engine.vendors.flagship_vocabulary import Hit
from engine.vendors.flagship_wire import Who, exposure

__all__ = ["Client", "Visitor"]

Pair = tuple[Any, bool, str, None]
IN_PANIC = "Flagship is in panic: {} is refused"


class Visitor:
    """One visitor. `client` is the environment they are visitors of; without an id they get one.

    `authenticated` gives them an anonymous id besides their own, where decisions are the vendor's.
    """

    def __init__(
        self, client: Client, visitor_id: str | None = None, authenticated: bool = False,
        context: Mapping[Any, Any] | None = None,
    ) -> None:  # fmt: skip
        self._client = client
        device = client.generated_id() if authenticated and not client.bucketing else None
        self.who = Who(visitor_id or client.generated_id(), device)
        self._context: dict[str, Any] = visitor_context({}).values
        self._held = Decision()
        self._panic = False
        self._accept(context or {})
        client.log(DEBUG, f"visitor {self.visitor_id} created")

    @classmethod
    def create(cls, client: Client, visitor_id: str | None = None, **more: Any) -> Visitor:
        """The same as the constructor."""
        return cls(client, visitor_id, **more)

    @property
    def visitor_id(self) -> str:
        return self.who.visitor_id

    @property
    def anonymous_id(self) -> str | None:
        return self.who.anonymous_id

    @property
    def panic(self) -> bool:
        """Decided here: what the file says. Else what this visitor was told last."""
        return self._client.file.panic if self._client.bucketing else self._panic

    # --- context -----------------------------------------------------------------------------------------------

    def get_context(self) -> dict[str, Any]:
        return dict(self._context)

    def update_context(self, context: Any, synchronize: bool = False) -> tuple[Any, Outcome | None]:
        """Takes a dict, or one pair `(key, value)`. Gives (key, accepted, why not, None) a pair, and the outcome."""
        if self._refused("update_context"):
            return (), None
        pair = isinstance(context, tuple) and len(context) == 2
        pairs: list[Any] = [context] if pair else list(context.items()) if isinstance(context, dict) else []
        told = self._accept(dict(pairs))
        return (told[0] if pair else tuple(told)), self.synchronize_modifications() if synchronize else None

    def _accept(self, pairs: Mapping[Any, Any]) -> list[Pair]:
        told: list[Pair] = []
        for key, value in pairs.items():
            key = key.value if isinstance(key, Enum) else key
            taken = accept([(key, value)])
            self._context.update(taken.values)
            why = str(taken.refused[0]) if taken.refused else ""
            if why:
                self._client.log(ERROR, why)
            told.append((key, not why, why, None))
        return told

    # --- decisions ---------------------------------------------------------------------------------------------

    def synchronize_modifications(self) -> Outcome:
        """Decides anew, tells what is known of the visitor, remembers. (worked, why not)."""
        if self._client.bucketing and self._refused("synchronize_modifications"):
            return False, IN_PANIC.format("synchronize_modifications")
        outcome: Outcome = self._client.hold(self._decide() if self._client.bucketing else self._ask())
        self._client.log(DEBUG, f"modifications of {self.visitor_id}: {sorted(self._held.values)}")
        return outcome

    def _decide(self) -> Question:
        cached = yield from self._client.lookup(self.visitor_id)
        decider = self._client.file.decider
        self._held = decider.decide(self.visitor_id, self._context, cached) if decider else Decision()
        for finding in self._held.problems:
            self._client.log(ERROR, str(finding))
        return (yield from self._told())

    def _ask(self) -> Question:
        try:
            reply: Response = yield self._client.endpoints.campaigns(
                self.who, self._context, timeout=self._client.timeout, patient=False
            )
            decision = read_campaigns(reply)
        except (NotNow, TurnedAway) as error:
            why = f"campaigns could not be had: {error}; what was held stays"
            self._client.log(ERROR, why)
            if not isinstance(error, Unreadable):
                yield from self._client.sent(self._event())
            return False, why
        self._panic = decision.panic
        if self._refused("synchronize_modifications"):
            return False, IN_PANIC.format("synchronize_modifications")
        for finding in decision.problems:
            self._client.log(ERROR, str(finding))
        self._held = decision
        return (yield from self._told())

    def _told(self) -> Question:
        """The context event and the cache, after a decision."""
        yield from self._client.sent(self._event())
        yield from self._client.save(self.visitor_id, self._held)
        return True, ""

    def _event(self) -> Request:
        return self._client.endpoints.context_event(self.who, self._context, patient=False)

    # --- reading -----------------------------------------------------------------------------------------------

    def get_modification(self, key: str, default: Any, activate: bool = False) -> Any:
        """The value as it is; the default in panic, for a key that is not held and for null."""
        return self.get_modification_with_results(key, default, activate)[0]

    def get_modification_with_results(
        self, key: str, default: Any, activate: bool = False
    ) -> tuple[Any, bool, str, Outcome | None]:
        """(value, found, why not, what came of the activation)."""
        if self._refused("get_modification"):
            return default, False, IN_PANIC.format("get_modification"), None
        reading = modification(self._held.values, key, default, type_mismatch=self._client.type_mismatch)
        if not reading.found:
            return default, False, self._not_held(key), None
        return reading.value, True, "", self.activate_modification(key) if activate and reading.exposed else None

    def get_modification_info(self, key: str) -> dict[str, Any] | None:
        """campaignId, variationGroupId, variationId and isReference of what gave the key its value."""
        if self._refused("get_modification_info"):
            return None
        info = self._held.info.get(key)
        if info is None:
            self._not_held(key)
        return None if info is None else dict(info)

    def activate_modification(self, key: str) -> Outcome:
        """Tells that the visitor has seen the variation that holds the key."""
        if self._refused("activate_modification"):
            return False, IN_PANIC.format("activate_modification")
        info = self._held.info.get(key)
        if info is None:
            return False, self._not_held(key)
        seen = exposure(self.who, info["variationGroupId"], info["variationId"])
        return self._client.send(self._client.endpoints.activation(seen, patient=False))

    def _not_held(self, key: str) -> str:
        why = f"modification {key!r} is not held by visitor {self.visitor_id}"
        self._client.log(ERROR, why)
        return why

    # --- hits --------------------------------------------------------------------------------------------------

    def send_hit(self, hit: Hit) -> Outcome:
        """Sends a hit that keeps the documented limits. (worked, status or why not)."""
        if self._refused("send_hit"):
            return False, IN_PANIC.format("send_hit")
        ids = (self.visitor_id, self.anonymous_id)
        try:
            if not isinstance(hit, Hit):
                raise RecordError("hit-kind", f"a hit is expected, not {type(hit).__name__}")
            built = build(hit.kind, hit.fields, self._client.endpoints.env_id, *ids, self._client.on_violation)
        except RecordError as error:
            self._client.log(ERROR, error.reason)
            return False, error.reason
        for note in built.notes:
            self._client.log(WARNING, f"{hit.kind}: {note.field} {note.text}; it is left out or cut")
        return self._client.send(self._client.endpoints.hit(built.body, patient=False))

    # --- experience continuity -----------------------------------------------------------------------------------

    def authenticate(
        self, visitor_id: str | None, context: Mapping[Any, Any] | None = None, synchronize: bool = False
    ) -> None:
        """The visitor logs in; their id until now becomes the anonymous one."""
        if self._refused_here("authenticate") or not visitor_id:
            return
        self._become(self.who.authenticated(visitor_id), context, synchronize)

    def unauthenticate(self, context: Mapping[Any, Any] | None = None, synchronize: bool = False) -> None:
        """The visitor logs out: the anonymous id is theirs again."""
        if self._refused_here("unauthenticate"):
            return
        if self.anonymous_id is None:
            self._client.log(WARNING, "unauthenticate: nobody is logged in")
            return
        self._become(self.who.unauthenticated(), context, synchronize)

    def _become(self, other: Who, context: Mapping[Any, Any] | None, synchronize: bool) -> None:
        self.who = other
        if context is not None:
            self._context = {}
            self._accept(context)
        if synchronize:
            self.synchronize_modifications()

    def _refused_here(self, call: str) -> bool:
        if self._client.bucketing:
            self._client.log(WARNING, f"{call} is for mode decision_api: it does nothing in mode bucketing")
        return self._client.bucketing

    def _refused(self, call: str) -> bool:
        if self.panic:
            self._client.log(ERROR, IN_PANIC.format(call))
        return self.panic
