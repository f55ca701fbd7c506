"""A vendor: an action and a lookup. It performs no I/O; it yields requests and is sent the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from engine.plugin import Conversation, Payloads, Question, Secret, Vendor, action, get, lookup, post, rejected


class Acme(Vendor):
    """An Acme account."""

    schema: ClassVar[dict[str, Any]] = {
        "title": "Acme",
        "description": "Notes and segments of Acme.",
        "type": "object",
        "additionalProperties": False,
        "required": ["token"],
        "properties": {
            "token": {"title": "Token", "description": "The account's token.", "type": "string", "x-secret": True},
            "base_url": {"title": "Address", "description": "The service.", "type": "string",
                         "default": "https://acme.example"},
        },
        "$defs": {
            "add_note": {
                "description": "A note about somebody.",
                "type": "object",
                "additionalProperties": False,
                "required": ["who", "text"],
                "properties": {
                    "who": {"description": "Whom the note is about.", "type": "string"},
                    "text": {"description": "The note.", "type": "string"},
                },
            },
            "with": {
                "type": "object",
                "additionalProperties": False,
                "required": ["who"],
                "properties": {"who": {"description": "Whose segment.", "type": "string"}},
            },
        },
    }  # fmt: skip

    def __init__(self, *, token: Secret, base_url: str = "https://acme.example") -> None:
        self.token, self.base_url = token, base_url.rstrip("/")

    def headers(self) -> Mapping[str, str | Secret]:
        return {"Acme-Token": self.token}

    @action(max_records=50, rate=10, key=lambda note: note["who"])
    def add_note(self, notes: Payloads) -> Conversation:
        """Add notes: POST /notes. The answer lists those that were refused."""
        reply = yield post("/notes", {"notes": notes})
        return {one["index"]: rejected("acme-note", one["why"]) for one in reply["refused"]}

    @lookup(rate=20)
    def segment(self, who: str) -> Question:
        """The segment that somebody is in."""
        reply = yield get(f"/segments/{who}")
        return reply["segment"]
