"""One filter that hides secrets in everything that leaves the engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from engine.model import MASK, Secret


class Masker:
    """Replaces every secret by a mask, the longest first; shorter than four characters nothing is replaced."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted({s for s in secrets if len(s) >= 4}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text


def secrets_in(value: Any) -> set[str]:
    """The secrets inside settings, lists and maps."""
    if isinstance(value, Secret):
        return {value.reveal()}
    if isinstance(value, dict):
        return set().union(*map(secrets_in, value.values())) if value else set()
    if isinstance(value, (list, tuple)):
        return set().union(*map(secrets_in, value)) if value else set()
    return set()
