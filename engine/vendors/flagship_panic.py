"""Panic: the vendor's switch that stops everything. What a decision learns of it, the hits of the same pipeline obey.

The Decision API says it in its answers; nobody says it to those who only send hits. So a lookup keeps it in the
pipeline's memory with the time, for as long as it can matter to what is under way.
"""

from __future__ import annotations

import msgspec

from engine.plugin import Now, Question, Recall, Remember

HOLDS = 900.0  # seconds: a later run that asks nobody must not be stopped by an old answer


def _key(env_id: str) -> str:
    return f"flagship/panic/{env_id}"


def keep_panic(env_id: str, panic: bool) -> Question:
    """Remembers what an answer said."""
    known = yield Recall(_key(env_id))
    if panic:
        yield Remember(_key(env_id), msgspec.json.encode((yield Now())))
    elif known is not None:
        yield Remember(_key(env_id), None)


def in_panic(env_id: str) -> Question:
    """Has an answer said so lately, and none the contrary since?"""
    known = yield Recall(_key(env_id))
    if known is None:
        return False
    since: float = msgspec.json.decode(known)
    return (yield Now()) - since <= HOLDS
