"""The pretend vendors of a simulation, which write down each payload that takes effect, and the faults between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from engine.model import Response, WireRequest
from engine.sandbox.bodies import whole
from engine.sandbox.faults import Fault, announced, fault, in_process
from engine.sandbox.flagship import PretendFlagship
from engine.sandbox.iterable import PretendIterable
from engine.sandbox.lumidatum import PretendLumidatum
from engine.sandbox.lumidatum_models import Model
from tests.simulation.shop import GONE, TAKEN


class Name(NamedTuple):
    """A payload: which mapping made it, from which row, and which of the row's payloads it is."""

    mapping: str
    n: int
    element: int = 0


Effect = Callable[[Name, Any], None]
TYPES = {"n": "long", "at": "long", "t": "long", "age": "long", "pad": "string", "email": "string"}


class Iterable(PretendIterable):
    """Knows the types of the fields, some people who are erased and one whose address is taken."""

    def __init__(self, clock: Any, effect: Effect, *, rates: bool) -> None:
        super().__init__(clock, forgotten=[GONE.format(key) for key in range(12)], disallowed=["Banned"], rates=rates)
        self._effect = effect
        self.lenient = False  # nobody is refused for an address that is taken
        self._user_fields.types.update(TYPES)
        self._purchase_fields.types.update(TYPES)
        self.people.upsert({"email": TAKEN}, {})

    def _track_bulk(self, said: Mapping[str, Any]) -> Response:
        for row in said["events"]:
            if row["eventName"] not in self._event_fields:
                from engine.sandbox.iterable_fields import Fields

                self._event_fields[row["eventName"]] = fields = Fields(row["eventName"], 8000)
                fields.types.update(TYPES)
        return super()._track_bulk(said)

    def _update(self, row: Mapping[str, Any], fields: Mapping[str, Any]) -> None:
        if self.lenient:
            fields = {name: value for name, value in fields.items() if name != "email"}
            row = {**row, "dataFields": fields}
        super()._update(row, fields)
        if "n" in fields:
            self._effect(Name("profiles", fields["n"]), None)

    def _store(self, memory: dict[str, Any], row: Mapping[str, Any], instead: Mapping[str, Any]) -> str:
        made = super()._store(memory, row, instead)
        data = row["dataFields"]
        name = Name("visits", data["n"], data["at"]) if memory is self.events else Name("orders", data["n"])
        self._effect(name, row.get("id") or made)
        return made


class Flagship(PretendFlagship):
    def __init__(self, clock: Any, effect: Effect) -> None:
        super().__init__(clock, file={"campaigns": []}, rates=False)
        self._effect = effect

    def _collect(self, request: WireRequest) -> Response:
        known = len(self.hits)
        answer = super()._collect(request)
        for hit in self.hits[known:]:
            self._effect(_hit(hit), None)
        return answer


def _hit(hit: Mapping[str, Any]) -> Name:
    if hit["t"] == "SCREENVIEW":
        return Name("views", int(hit["dl"].partition("-")[2]))
    n, _, element = hit["el"].partition("-")
    return Name("hits", int(n), int(element))


class Lumidatum(PretendLumidatum):
    def __init__(self, clock: Any, effect: Effect) -> None:
        super().__init__(clock, demo=False)
        self._effect = effect

    def model(self, name: Any) -> Model:
        if str(name) not in self.models:
            self.models[str(name)] = Loaded(str(name), self._effect)
        return self.models[str(name)]


class Loaded(Model):
    def __init__(self, name: str, effect: Effect) -> None:
        super().__init__(name, demo=False)
        self._effect = effect

    def store(self, kind: str, record: Mapping[str, Any]) -> None:
        super().store(kind, record)
        self._effect(Name("models", record["n"]), None)


def names_in(request: WireRequest) -> list[Name]:
    """The payloads in a request; none in one that asks for something, or holds a file."""
    if not isinstance(request.body, bytes) or not request.body or request.method != "POST":
        return []
    path = urlsplit(request.url).path
    if path == "/api/data":
        lines = [msgspec.json.decode(line) for line in request.body.split(b"\n")]
        return [Name("models", one["n"]) for one in lines if "n" in one]
    said = msgspec.json.decode(request.body)
    if path.endswith("bulkUpdate"):
        return [Name("profiles", user["dataFields"]["n"]) for user in said["users"]]
    if path.endswith("trackBulk"):
        return [Name("visits", one["dataFields"]["n"], one["dataFields"]["at"]) for one in said["events"]]
    if path.endswith("trackPurchase"):
        return [Name("orders", said["dataFields"]["n"])]
    return [_hit(hit) for hit in (said["h"] if said.get("t") == "BATCH" else [said])]


class Vendors:
    """All of them; `fired` counts the faults that struck."""

    def __init__(self, clock: Any, effect: Effect, faults: list[Fault], *, rates: bool) -> None:
        self.iterable = Iterable(clock, effect, rates=rates)
        self.flagship, self.lumidatum = Flagship(clock, effect), Lumidatum(clock, effect)
        self._faults = faults

    def answer(self, request: WireRequest) -> tuple[Response, bool]:
        """The answer, and whether it is what the vendor said."""
        given: list[Response] = []

        def work() -> Response:
            given.append(self._vendor(request).handle(request))
            return given[0]

        answering: Callable[[], Response] = work
        alone = len(names_in(request)) == 1
        for striking in self._faults:
            if striking.says.get("status") == 413 and alone:
                continue  # a request of one payload that is too large is that payload's end
            if striking.strikes("", ""):
                answering = striking.apply(answering)
        answer = in_process(announced(answering()))
        return answer, bool(given) and (answer.status, answer.body) == (given[0].status, given[0].body)

    def _vendor(self, request: WireRequest) -> Any:
        host = urlsplit(request.url).hostname or ""
        if host == "storage.lumidatum.test":
            return self.lumidatum.storage
        if host.endswith("lumidatum.com"):
            return self.lumidatum
        return self.iterable if host.endswith("iterable.com") else self.flagship


class Anonymous(Fault):
    """A bulk answer counts failures, and does not say whose they are."""

    def apply(self, answering: Callable[[], Response]) -> Callable[[], Response]:
        def answer() -> Response:
            given = answering()
            try:
                said = msgspec.json.decode(given.body)
            except msgspec.DecodeError:
                said = None
            named = said.get("failedUpdates") or {} if isinstance(said, dict) else {}
            if not named or not said.get("failCount") or any(named.get("forgottenEmails", ())):
                self.fired -= 1
                return given
            said = {"successCount": said["successCount"], "failCount": said["failCount"], "failedUpdates": {}}
            return Response(given.status, given.headers, msgspec.json.encode(said), given.delay)

        return answer


class Garbling(Fault):
    """Spoils answers of success only: of a refusal that nobody can read the engine's own table would be right."""

    def _spoil(self, given: Response) -> Response:
        if given.status < 400 or "status" in self.says:
            return super()._spoil(given)
        self.fired -= 1
        return given


GARBLE = {"cut", "empty", "html", "invalid_json"}


def made(says: Mapping[str, Any]) -> Fault:
    """A fault from its map: the vocabulary of the pretend vendors, and `anonymous`."""
    if says.get("anonymous"):
        return Anonymous(says)
    fault(dict(says))  # checks the words
    return (Garbling if GARBLE & says.keys() else Fault)(says)


__all__ = ["Name", "Vendors", "made", "names_in", "whole"]
