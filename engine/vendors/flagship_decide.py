"""The lookup `flagship.decide`: what each visitor is given, asked of the Decision API or decided here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec

from engine.plugin import (
    LATER,
    Failure,
    InvalidPipeline,
    Note,
    Question,
    Recall,
    RecordError,
    Remember,
    Secret,
    Vendor,
    lookup,
)
from engine.vendors.buckets import RULES, Decision, modification, visitor_context
from engine.vendors.flagship_answers import read_campaigns
from engine.vendors.flagship_file import BucketingFile
from engine.vendors.flagship_memory import memory
from engine.vendors.flagship_panic import keep_panic
from engine.vendors.flagship_wire import (
    BUCKETING_URL,
    DECISION_URL,
    MODES,
    Who,
    check_polling,
    endpoints,
    exposure,
    one_of,
    who,
)

CONTEXT_EVENTS = ("never", "changed", "always")
ANSWERS = 10_000  # of different sets of variations, kept ready


class Decide(Vendor):
    """Decides for one environment. `mode` says where: at the vendor for each visitor, or here from its file.

    `rules` are those of bucketing: `python-2.1` as the SDK has them, `server` as the vendor's server. `context_event`
    sends what is known of a visitor: never, where it differs from what was sent last, or at every decision.
    `defaults` are given for flags that a visitor does not hold; with `type_mismatch: default` also for values of
    another kind. `activate` names the flags whose activation is sent; `once` sends each variation's once per visitor
    and run.
    """

    def __init__(
        self,
        *,
        env_id: str,
        api_key: Secret | None = None,
        mode: str = "decision_api",
        rules: str = "python-2.1",
        decision_url: str = DECISION_URL,
        bucketing_url: str = BUCKETING_URL,
        polling_interval: float = 60.0,
        visitor_cache: Any = "off",
        context_event: str = "never",
        blank_presets: bool = True,
        defaults: Mapping[str, Any] | None = None,
        type_mismatch: str = "value",
        activate: Sequence[str] = (),
        once: bool = False,
    ) -> None:
        if mode == "decision_api" and api_key is None:
            raise InvalidPipeline("api_key is missing: the Decision API asks for it (mode: bucketing needs none)")
        one_of("mode", mode, MODES)
        one_of("rules", rules, RULES)
        one_of("context_event", context_event, CONTEXT_EVENTS)
        one_of("type_mismatch", type_mismatch, ("value", "default"))
        check_polling(polling_interval)
        self.endpoints = endpoints(
            env_id, api_key, decision_url=decision_url, bucketing_url=bucketing_url, blank_presets=blank_presets
        )
        self.base_url = self.endpoints.decision_url
        self.bucketing = mode == "bucketing"
        self._file = BucketingFile(self.endpoints, rules)
        self._polling = polling_interval
        self._memory = memory(env_id, visitor_cache, by_group=rules == "server")
        self._context_event, self._lists = context_event, rules == "server"
        self._defaults, self._type_mismatch = dict(defaults or {}), type_mismatch
        self._activate, self._once = tuple(activate), once
        self._activated: set[bytes] = set()
        self._answers: dict[tuple[int, ...], Any] = {}
        self._silent = self.bucketing and not activate and context_event == "never" and self._memory is None

    @property
    def refresh(self) -> float | None:
        """How often the file is asked for again."""
        return self._polling or None if self.bucketing else None

    def fetch(self) -> Question:
        """Brings the bucketing file, where decisions are made here."""
        if self.bucketing and (yield from self._file.fetch()):
            self._answers.clear()

    # --- one visitor -------------------------------------------------------------------------------------------

    @lookup(rate=200, concurrency=8, timeout=2.0, prepare="fetch", at_once="decide_now")
    def decide(
        self, visitor_id: str, context: Mapping[str, Any] | None = None, anonymous_id: str | None = None,
        authenticated: bool | None = None, decision_group: str | None = None,
    ) -> Question:  # fmt: skip
        """Which variations and flags a visitor has: POST /v2/ENV/campaigns/, or computed from the bucketing file."""
        try:
            visitor = who(visitor_id, anonymous_id, authenticated)
        except RecordError as error:
            return Failure(error.code, error.reason, error.field)
        known = visitor_context(context or {}, lists=self._lists)
        for finding in known.refused:
            yield Note(finding.code, f"{finding}; the pair is left out")
        steps = self._bucket if self.bucketing else self._ask
        decision: Decision = yield from steps(visitor, known.values, decision_group or "")
        if not decision.panic:
            yield from self._tell(visitor, known.values)
            if self._memory is not None:
                yield from self._memory.save(visitor.visitor_id, decision)
            yield from self._expose(visitor, decision)
        return self._answer(decision)

    def decide_now(
        self, visitor_id: str, context: Mapping[str, Any] | None = None, anonymous_id: str | None = None,
        authenticated: bool | None = None, decision_group: str | None = None,
    ) -> Any:  # fmt: skip
        """The same for a visitor about whom nothing need be asked, told or remembered; else `LATER`."""
        decider = self._file.decider
        if not self._silent or decider is None or anonymous_id or authenticated or not visitor_id:
            return LATER
        known = visitor_context(context or {}, lists=self._lists)
        return (
            LATER
            if known.refused
            else self._answer(decider.decide(visitor_id, known.values, decision_group=decision_group or ""))
        )

    def _ask(self, visitor: Who, context: Mapping[str, Any], group: str) -> Question:
        decision = read_campaigns((yield self.endpoints.campaigns(visitor, context, group)))
        for finding in decision.problems:
            yield Note(finding.code, str(finding))
        yield from keep_panic(self.endpoints.env_id, decision.panic)
        return decision

    def _bucket(self, visitor: Who, context: Mapping[str, Any], group: str) -> Question:
        decider = self._file.decider
        if decider is None or decider.panic:  # None: a rehearsal that fetches nothing
            return Decision(panic=decider is not None)
        cached = anonymous = None
        if self._memory is not None:
            cached = yield from self._memory.lookup(visitor.visitor_id)
            if visitor.anonymous_id is not None:
                anonymous = yield from self._memory.lookup(visitor.anonymous_id, save_follows=False)
        return decider.decide(visitor.visitor_id, context, cached, anonymous=anonymous, decision_group=group)

    def _tell(self, visitor: Who, context: Mapping[str, Any]) -> Question:
        """The context event, where one is wanted."""
        if self._context_event == "never":
            return
        request = self.endpoints.context_event(visitor, context)
        if self._context_event == "always":
            yield request
            return
        key = f"flagship/context/{self.endpoints.env_id}/{visitor.visitor_id}"
        print_ = blake2b(msgspec.json.encode(request.json, order="sorted"), digest_size=16).digest()
        if (yield Recall(key)) != print_:
            yield request
            yield Remember(key, print_)

    def _expose(self, visitor: Who, decision: Decision) -> Question:
        """An activation for each flag that is read here, as the SDK sends one for each reading."""
        info, held = decision.info, decision.values
        for flag in self._activate:
            if flag not in info or not self._read(held, flag).exposed:
                continue
            owner = info[flag]
            request = self.endpoints.activation(exposure(visitor, owner["variationGroupId"], owner["variationId"]))
            mark = blake2b(msgspec.json.encode(request.json), digest_size=16).digest()
            if not self._once or mark not in self._activated:
                yield request
            if self._once:
                self._activated.add(mark)

    # --- the answer -----------------------------------------------------------------------------------------------

    def _answer(self, decision: Decision) -> dict[str, Any]:
        """What mappings see. The same variations make the same answer, so most are there already."""
        known = tuple(map(id, decision.chosen))
        if self.bucketing and not decision.panic and (found := self._answers.get(known)) is not None:
            return found  # type: ignore[no-any-return]
        answer = {
            "values": self._values(decision),
            "assignments": list(decision.assignments),
            "info": decision.info,
            "panic": decision.panic,
        }
        if self.bucketing and not decision.panic and len(self._answers) < ANSWERS:
            self._answers[known] = answer
        return answer

    def _values(self, decision: Decision) -> dict[str, Any]:
        held = decision.values
        read = {flag: self._read(held, flag, decision.panic).value for flag in self._defaults}
        return {flag: value for flag, value in {**held, **read}.items() if value is not None}

    def _read(self, held: Mapping[str, Any], flag: str, panic: bool = False) -> Any:
        if flag not in self._defaults:
            return modification(held, flag, "")
        return modification(held, flag, self._defaults[flag], panic=panic, type_mismatch=self._type_mismatch)
