"""Whole recorded scenarios of the SDK 2.1.5, played again: every request, every result, every log of weight.

Where ours differs the contract names a repair; `REPAIRED` lists each difference, and nothing else may differ.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.model import Secret
from engine.python.flagship import Event, Hit, Item, Page, Screen, Transaction
from engine.vendors.buckets import PRESETS
from tests.vendors.flagship.golden import rows
from tests.vendors.flagship.scripted import Cache, Handler, Kept, Server, client

TRANSCRIPTS = {row["id"]: row for row in rows("transcripts")}
MODES = {"api": "decision_api", "bucketing": "bucketing"}

GONE = object()
FAILED = {"result": False}  # 12.2, item 7: an error status or no answer is no success
ACCEPTED = {"log_levels": GONE}  # 12.2, item 12: panic takes no context away
REPAIRED: dict[tuple[str, int], dict[str, Any]] = {
    ("api_errors", 3): FAILED,
    ("api_errors", 4): {**FAILED, "raises": GONE, "log_levels": [40]},
    ("api_errors", 6): FAILED,
    ("api_timeout", 2): FAILED,
    ("api_panic_authenticate_drops_context", 3): ACCEPTED,
    ("bucketing_panic", 1): ACCEPTED,
    ("bucketing_panic", 2): {"result": {**PRESETS, "plan": "pro"}},
    ("file_200_without_last_modified", 3): {"result": True, "log_levels": GONE},  # item 10: it is used
}
# 12.2, item 12 again: what was given with the login is sent.
CONTEXTS = {("api_panic_authenticate_drops_context", 4): {"b": 1}}


def hit(said: dict[str, Any]) -> Hit:
    words = dict(said)
    kind = words.pop("type")
    if kind == "PAGE":
        built: Any = Page(words.pop("location"))
    elif kind == "SCREEN":
        built = Screen(words.pop("location"))
    elif kind == "EVENT":
        built = Event(words.pop("category"), words.pop("action"))
    elif kind == "TRANSACTION":
        built = Transaction(words.pop("transaction_id"), words.pop("affiliation"))
    else:
        built = Item(words.pop("transaction_id"), words.pop("product_name"), words.pop("product_sku"))
    for word, value in words.items():
        name = f"with_event_{word}" if word in ("label", "value") else f"with_{word}"
        getattr(built, name)(*value) if word == "resolution" else getattr(built, name)(value)
    return built


class Play:
    """A transcript played to its end; `told` is the trace as the recorder writes it."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row, self.server, self.handler = row, Server(row["server"]), Handler()
        self.cache = Cache(row["cache"]) if "cache" in row else None
        disk = row["config"].get("disk")
        kept = Kept(**({f"flagship/file/{row['env_id']}": json.dumps(disk).encode()} if disk else {}))
        more = {"timeout": row["config"]["timeout"]} if "timeout" in row["config"] else {}
        self.client = client(
            self.server, env_id=row["env_id"], api_key=row["api_key"], kept=kept, mode=MODES[row["mode"]],
            event_handler=self.handler, visitor_cache_manager=self.cache, **more,
        )  # fmt: skip
        self.visitor: Any = None
        self.generated: dict[str, str] = {}
        self.handler.levels()
        self.told = [{"step": "start", "requests": self.requests()}]
        for step in row["steps"]:
            self.told.append(self.step(*step))

    def step(self, name: str, *arguments: Any) -> dict[str, Any]:
        told: dict[str, Any] = {"step": name}
        result = getattr(self, name)(*arguments)
        if name not in ("create", "authenticate", "unauthenticate"):
            told["result"] = result
        told["requests"] = self.requests()
        told["visitor"] = [self.named(self.visitor.visitor_id), self.named(self.visitor.anonymous_id)]
        if levels := self.handler.levels():
            told["log_levels"] = levels
        if self.cache is not None and self.cache.saved:
            told["cache_saved"] = self.cache.saved.pop()
        return told

    def create(self, visitor_id: str | None, authenticated: bool, context: Any) -> None:
        self.visitor = self.client.create_visitor(visitor_id, authenticated, context)

    def sync(self) -> Any:
        return self.visitor.synchronize_modifications()[0]

    def authenticate(self, *arguments: Any) -> None:
        self.visitor.authenticate(*arguments)

    def unauthenticate(self, *arguments: Any) -> None:
        self.visitor.unauthenticate(*arguments)

    def hit(self, said: Any) -> Any:
        return self.visitor.send_hit(hit(said))[0]

    def activate(self, key: str) -> Any:
        return self.visitor.activate_modification(key)[0]

    def get(self, *arguments: Any) -> Any:
        return self.visitor.get_modification(*arguments)

    def get_with_results(self, *arguments: Any) -> Any:
        value, found, _, activated = self.visitor.get_modification_with_results(*arguments)
        return [value, found, None if activated is None else activated[0]]

    def info(self, key: str) -> Any:
        return self.visitor.get_modification_info(key)

    def update(self, context: Any, sync: bool = False) -> Any:
        return [[key, taken] for key, taken, _, _ in self.visitor.update_context(context, sync)[0]]

    def update_pair(self, key: str, value: Any) -> Any:
        return list(self.visitor.update_context((key, value))[0][:2])

    def context(self) -> Any:
        return self.visitor.get_context()

    def named(self, visitor_id: str | None) -> str | None:
        """Generated ids have 19 digits; the recorder numbers them."""
        if visitor_id is None or not (visitor_id.isdigit() and len(visitor_id) == 19):
            return visitor_id
        return self.generated.setdefault(visitor_id, f"<generated:{len(self.generated) + 1}>")

    def requests(self) -> list[Any]:
        return [self.shown(request) for request in self.server.taken()]

    def shown(self, request: Any) -> Any:
        mattering = ("x-api-key", "x-sdk-client", "x-sdk-version", "content-type", "if-modified-since")
        headers = {name.lower(): value for name, value in request.headers.items()}
        shown = {name: v.reveal() if isinstance(v, Secret) else v for name, v in headers.items() if name in mattering}
        text = request.body.decode()
        for generated in self.generated or {}:
            text = text.replace(generated, self.generated[generated])
        if self.visitor is not None:
            for known in (self.visitor.visitor_id, self.visitor.anonymous_id):
                if known:
                    text = text.replace(f'"{known}"', json.dumps(self.named(known)))
        return {
            "method": request.method,
            "url": request.url,
            "headers": shown,
            "body": json.loads(text) if text else None,
        }


def recorded(step: dict[str, Any]) -> dict[str, Any]:
    requests = [
        {"method": one["method"], "url": one["url"], "headers": one.get("headers", {}), "body": one.get("body")}
        for one in step["requests"]
    ]
    return {**step, "requests": requests}


@pytest.mark.parametrize("name", list(TRANSCRIPTS))
def test_a_scenario_is_played_as_it_was_recorded(name: str) -> None:
    row = TRANSCRIPTS[name]
    told = Play(row).told
    assert len(told) == len(row["trace"])
    for number, (ours, theirs) in enumerate(zip(told, map(recorded, row["trace"]), strict=True)):
        if theirs["step"] == "hit" and theirs["result"] is None:
            theirs["result"] = True  # 12.2, item 12: success is reported
        theirs |= REPAIRED.get((name, number), {})
        for request in theirs["requests"] if (name, number) in CONTEXTS else ():
            request["body"]["data" if "data" in request["body"] else "context"] = CONTEXTS[name, number]
        assert ours == {word: value for word, value in theirs.items() if value is not GONE}, (name, number)


def test_there_are_21_scenarios() -> None:
    assert len(TRANSCRIPTS) == 21
    assert {name for name, _ in REPAIRED} <= set(TRANSCRIPTS)
