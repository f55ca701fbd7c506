"""What goes to Flagship's hosts: addresses, headers, and who a request is about. No network, no state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NamedTuple

from engine.plugin import InvalidPipeline, RecordError, Request, Secret
from engine.vendors.buckets import sendable

DECISION_URL = "https://decision.flagship.io/v2"
BUCKETING_URL = "https://cdn.flagship.io"
COLLECT_URL = "https://ariane.abtasty.com/"
BATCH_URL = "https://events.flagship.io/"
SDK = {"x-sdk-client": "python", "x-sdk-version": "2.1.5"}
FILE_TIMEOUT = 30.0  # seconds; the file is larger than any other answer


class Who(NamedTuple):
    """A visitor as experience continuity knows them: after a login both ids are there."""

    visitor_id: str
    anonymous_id: str | None = None

    def authenticated(self, new_id: str) -> Who:
        """The device's visitor logs in, or another person does on the same device."""
        return Who(new_id, self.anonymous_id or self.visitor_id)

    def unauthenticated(self) -> Who:
        """Logged out: the device's id counts again."""
        return self if self.anonymous_id is None else Who(self.anonymous_id)

    @property
    def in_campaigns(self) -> dict[str, str]:
        names = {"visitorId": self.visitor_id}
        return names if self.anonymous_id is None else {**names, "anonymousId": self.anonymous_id}

    @property
    def in_activation(self) -> dict[str, str]:
        names = {"vid": self.visitor_id}
        return names if self.anonymous_id is None else {**names, "aid": self.anonymous_id}


def who(visitor_id: Any, anonymous_id: Any = None, authenticated: bool | None = None) -> Who:
    """Who a record is about.

    Both ids: that person has logged in on that device, unless `authenticated` is false: then only the device counts.
    `authenticated` without a device gets an anonymous id of its own, the same at every run. Raises `RecordError` for
    an id that is no text or a visitor id that is empty.
    """
    for word, name in (("visitor_id", visitor_id), ("anonymous_id", anonymous_id)):
        if not isinstance(name, str) and not (word == "anonymous_id" and name is None):
            raise RecordError("visitor-id", f"{word} must be a text, not {type(name).__name__}", word)
    device = anonymous_id or None
    if authenticated is False and device is not None:
        return Who(device)
    if not visitor_id:
        raise RecordError("visitor-id", "visitor_id is empty", "visitor_id")
    if authenticated and device is None:
        device = device_of(visitor_id)
    return Who(visitor_id, device)


def device_of(visitor_id: str) -> str:
    """19 digits, as the SDK's generated ids have, but of the visitor's own: a repeated run asks for the same."""
    digest = blake2b(visitor_id.encode("utf-8", "surrogatepass"), digest_size=8, person=b"anonymous").digest()
    return f"{10**18 + int.from_bytes(digest, 'big') % (9 * 10**18)}"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """An environment and where its hosts are. The key goes with the question for campaigns alone."""

    env_id: str
    api_key: Secret | None = None
    decision_url: str = DECISION_URL
    bucketing_url: str = BUCKETING_URL
    collect_url: str = COLLECT_URL
    batch_url: str = BATCH_URL
    blank_presets: bool = True  # are presets that nobody filled sent?

    def campaigns(self, visitor: Who, context: Mapping[str, Any], group: str = "", **more: Any) -> Request:
        """What is this visitor given? Those of one `group` are given the same."""
        key = {} if self.api_key is None else {"x-api-key": self.api_key}
        body = {**visitor.in_campaigns, "trigger_hit": False, "context": self._sent(context)}
        if group:
            body["decision_group"] = group
        path = f"{self.decision_url}/{self.env_id}/campaigns/?exposeAllKeys=true&sendContextEvent=false"
        return Request("POST", path, body, headers={**key, **SDK}, **more)

    def context_event(self, visitor: Who, context: Mapping[str, Any], **more: Any) -> Request:
        """What is known of this visitor. It never names the device."""
        body = {"type": "CONTEXT", "visitorId": visitor.visitor_id, "data": self._sent(context)}
        return Request("POST", f"{self.decision_url}/{self.env_id}/events", body, headers=SDK, **more)

    def activation(self, seen: Mapping[str, Any], **more: Any) -> Request:
        """A visitor has seen a variation (an `exposure`)."""
        body = {"cid": self.env_id, **seen}
        return Request("POST", f"{self.decision_url}/activate", body, headers=SDK, **more)

    def activations(self, exposures: Sequence[Mapping[str, Any]]) -> Request:
        """Several of them at once."""
        body = {"cid": self.env_id, "batch": list(exposures)}
        return Request("POST", f"{self.decision_url}/activate", body, headers=SDK)

    def hit(self, body: Mapping[str, Any], **more: Any) -> Request:
        return Request("POST", self.collect_url, dict(body), **more)

    def hits(self, bodies: Sequence[Mapping[str, Any]]) -> Request:
        """Several hits at once; each says how long it waited."""
        waited = [{"qt": 0, **body} for body in bodies]
        return Request("POST", self.batch_url, {"t": "BATCH", "ds": "APP", "cid": self.env_id, "h": waited})

    def file(self, since: Mapping[str, str], **more: Any) -> Request:
        """The bucketing file, where it is newer than `since` (headers) say."""
        address = f"{self.bucketing_url}/{self.env_id}/bucketing.json"
        return Request("GET", address, headers=since, **{"timeout": FILE_TIMEOUT, **more})

    def _sent(self, context: Mapping[str, Any]) -> dict[str, Any]:
        return sendable(context, blank_presets=self.blank_presets)


def exposure(visitor: Who, group: Any, variation: Any) -> dict[str, Any]:
    """An activation without its environment. `caid` is the variation group, despite its name."""
    return {"caid": group, "vaid": variation, **visitor.in_activation}


MODES = ("decision_api", "bucketing")
SHORTEST_POLL = 1.0  # second


def one_of(setting: str, value: str, known: Iterable[str]) -> None:
    """Raises `InvalidPipeline` for a value that a setting does not have."""
    if value not in known:
        raise InvalidPipeline(f"{setting} is {value!r}: it can be {', '.join(known)}")


def check_polling(seconds: float) -> None:
    """Raises `InvalidPipeline` for a time between two looks at the file that nobody should ask for."""
    if seconds < 0 or 0 < seconds < SHORTEST_POLL:
        raise InvalidPipeline("polling_interval is at least 1s; 0 reads the file once")


def endpoints(env_id: str, api_key: Secret | None, **urls: Any) -> Endpoints:
    """Raises `InvalidPipeline` for an environment id that cannot be part of an address."""
    if not env_id or not all(character.isalnum() or character in "-_" for character in env_id):
        raise InvalidPipeline(f"env_id is {env_id!r}: it has letters, digits, - and _ only")
    for name in ("decision_url", "bucketing_url"):
        if name in urls:
            urls[name] = urls[name].rstrip("/")
    return Endpoints(env_id, api_key, **urls)
