"""A pretend Flagship environment: decides, serves its file, takes activations, contexts and hits; remembers them all.

What the vendor does with a broken hit nobody can see from outside; this one says 400 and what is wrong.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import msgspec

from engine.plugin import Response, Secret, WireRequest
from engine.sandbox.flagship_checks import wrong_activation, wrong_campaigns, wrong_context, wrong_hit
from engine.sandbox.flagship_file import DEMO
from engine.vendors.buckets import PRESETS, Decider, compile_file

MODIFIED = "Mon, 05 Jan 2026 08:00:00 GMT"
RATE, BURST = 200.0, 600.0  # campaigns requests a second, and at once
BATCH_BYTES = 2_500_000
MOST_ACTIVATIONS = 100


class Clock(Protocol):
    def now(self) -> float: ...


class Refused(Exception):
    """An answer other than success; nothing was remembered."""

    def __init__(self, status: int, message: Any) -> None:
        super().__init__(str(message))
        self.response = _answer(status, {"message": message})


class PretendFlagship:
    """One account in memory. `files` are bucketing files by environment id; other environments have `file`.

    `panic` is the switch; `rules` those by which the Decision API decides; `rates` False lifts its limit.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        file: Mapping[str, Any] = DEMO,
        files: Mapping[str, Mapping[str, Any]] | None = None,
        panic: bool = False,
        rules: str = "server",
        rates: bool = True,
    ) -> None:
        self._clock, self._rules, self._rates = clock, rules, rates
        self._level, self._at = 0.0, 0.0
        self._default, self._files = dict(file), dict(files or {})
        self._modified: dict[str, str] = {}
        self._deciders: dict[str, Decider] = {}
        self.panic = panic
        self.visitors: list[dict[str, Any]] = []  # those who were decided for, with what they were asked with
        self.contexts: list[dict[str, Any]] = []
        self.activations: list[dict[str, Any]] = []
        self.hits: list[dict[str, Any]] = []
        self._transactions: set[tuple[str, str]] = set()

    def publish(self, env_id: str, file: Mapping[str, Any], modified: str) -> None:
        """A new file for an environment, and the date it was made."""
        self._files[env_id], self._modified[env_id] = file, modified
        self._deciders.pop(env_id, None)

    def state(self) -> dict[str, Any]:
        return {
            "visitors": self.visitors,
            "contexts": self.contexts,
            "activations": self.activations,
            "hits": self.hits,
            "panic": self.panic,
        }

    def handle(self, request: WireRequest) -> Response:
        parts = urlsplit(request.url)
        try:
            return self._route(request, parts.path.strip("/").split("/"), parse_qs(parts.query))
        except Refused as refused:
            return refused.response

    def _route(self, request: WireRequest, steps: list[str], query: Mapping[str, list[str]]) -> Response:
        match request.method, steps:
            case "GET", [env_id, "bucketing.json"]:
                return self._file(env_id, request)
            case "POST", ["v2", env_id, "campaigns"]:
                return self._campaigns(env_id, request, query)
            case "POST", ["v2", env_id, "events"]:
                return self._take(self.contexts, wrong_context, _read(request) | {"env": env_id})
            case "POST", ["v2", "activate"]:
                return self._activate(_read(request))
            case "POST", [""]:
                return self._collect(request)
            case "POST", ["_panic", "on" | "off" as switch]:
                self.panic = switch == "on"
                return Response(204)
        raise Refused(404, f"no such route: {request.method} /{'/'.join(steps)}")

    # --- decisions ------------------------------------------------------------------------------------------------

    def _campaigns(self, env_id: str, request: WireRequest, query: Mapping[str, list[str]]) -> Response:
        if _header(request, "x-api-key") in ("", "invalid"):
            raise Refused(401, "the API key is missing or wrong")
        self._throttle()
        asked = _read(request)
        if wrong := wrong_campaigns(asked):
            raise Refused(400, wrong)
        visitor = asked["visitorId"]
        self.visitors.append({"env": env_id, **asked})
        if self._in_panic(env_id):
            return _answer(200, {"visitorId": visitor, "campaigns": [], "panic": True})
        expose_all = query.get("exposeAllKeys", ["false"])[0] == "true"
        context = {**PRESETS, **(asked.get("context") or {})}
        group = asked.get("decision_group") or ""
        decision = self._decider(env_id).decide(visitor, context, decision_group=group)
        campaigns = [_campaign(self._file_of(env_id), chosen.assignment, expose_all) for chosen in decision.chosen]
        return _answer(200, {"visitorId": visitor, "campaigns": campaigns})

    def _throttle(self) -> None:
        now = self._clock.now()
        self._level, self._at = max(0.0, self._level - (now - self._at) * RATE), now
        if self._rates and self._level + 1 > BURST:
            raise Refused(429, "too many requests")
        self._level += 1

    def _decider(self, env_id: str) -> Decider:
        if env_id not in self._deciders:
            self._deciders[env_id] = compile_file(self._file_of(env_id), self._rules)
        return self._deciders[env_id]

    def _file_of(self, env_id: str) -> Mapping[str, Any]:
        return self._files.get(env_id, self._default)

    def _in_panic(self, env_id: str) -> bool:
        return self.panic or self._file_of(env_id).get("panic") is True

    def _file(self, env_id: str, request: WireRequest) -> Response:
        """The file with its date and tag; 304 to those who have it."""
        content = {"panic": True} if self.panic else self._file_of(env_id)
        body = json.dumps(content).encode()
        tag = f'"{blake2b(body, digest_size=8).hexdigest()}"'
        date = "Tue, 06 Jan 2026 08:00:00 GMT" if self.panic else self._modified.get(env_id, MODIFIED)
        headers = {"content-type": "application/json", "last-modified": date, "etag": tag}
        known = _header(request, "if-none-match") or _header(request, "if-modified-since")
        if known in (tag, date):
            return Response(304, headers)
        return Response(200, headers, body)

    # --- what is told to it -----------------------------------------------------------------------------------------

    def _take(
        self, kept: list[dict[str, Any]], wrong: Callable[[Mapping[str, Any]], Any], said: dict[str, Any]
    ) -> Response:
        if found := wrong(said):
            raise Refused(400, found)
        kept.append(said)
        return Response(204)

    def _activate(self, said: dict[str, Any]) -> Response:
        several = said.get("batch")
        if several is None:
            return self._take(self.activations, wrong_activation, said)
        if not isinstance(several, list) or not 0 < len(several) <= MOST_ACTIVATIONS:
            raise Refused(400, f"batch: 1 to {MOST_ACTIVATIONS} activations")
        each = [{"cid": said.get("cid"), **one} for one in several]
        for one in each:
            if found := wrong_activation(one):
                raise Refused(400, found)
        self.activations += each
        return Response(204)

    def _collect(self, request: WireRequest) -> Response:
        if len(request.body) > BATCH_BYTES:
            raise Refused(413, "too large")
        said = _read(request)
        hits = said.get("h") if said.get("t") == "BATCH" else [said]
        if not isinstance(hits, list) or not hits:
            raise Refused(400, "h: a list of hits")
        mine: set[tuple[str, str]] = set()  # transactions of this request
        for hit in hits:
            if wrong := wrong_hit(hit, self._transactions | mine if mine else self._transactions):
                raise Refused(400, wrong)
            if hit["t"] == "TRANSACTION":
                mine.add((hit["vid"], hit["tid"]))
        self.hits += hits
        self._transactions |= mine
        return _answer(200, {})


def _campaign(file: Mapping[str, Any], chosen: Mapping[str, Any], expose_all: bool) -> dict[str, Any]:
    """A campaign of an answer, from the file; with null for keys that only sibling variations hold."""
    campaign = next(one for one in file["campaigns"] if one["id"] == chosen["campaignId"])
    group = next(one for one in campaign["variationGroups"] if one["id"] == chosen["variationGroupId"])
    variation = next(one for one in group["variations"] if one["id"] == chosen["variationId"])
    siblings = [one["modifications"]["value"] for one in group["variations"]] if expose_all else []
    values = {key: None for held in siblings for key in held} | variation["modifications"]["value"]
    return {
        "id": campaign["id"],
        "variationGroupId": group["id"],
        "type": campaign.get("type", "ab"),
        "slug": campaign.get("slug"),
        "name": campaign.get("name", ""),
        "variationGroupName": group.get("name", ""),
        "variation": {
            "id": variation["id"],
            "name": variation.get("name", ""),
            "reference": variation.get("reference", False),
            "modifications": {"type": variation["modifications"]["type"], "value": values},
        },
    }


def _read(request: WireRequest) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(request.body)  # type: ignore[arg-type]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refused(400, "invalid JSON body") from None
    if not isinstance(said, dict):
        raise Refused(400, "a JSON object is expected")
    return said


def _header(request: WireRequest, name: str) -> str:
    found = {key.lower(): value for key, value in request.headers.items()}.get(name, "")
    return found.reveal() if isinstance(found, Secret) else found


def _answer(status: int, said: Any) -> Response:
    return Response(status, {"content-type": "application/json"}, msgspec.json.encode(said))
