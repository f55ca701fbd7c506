"""One filter that hides secrets in everything that leaves the engine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from engine.model import MASK, Secret

_SHORTEST = 4  # shorter secrets would mask words of everyday
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|-?\d[\d.eE+-]*+|[{}\[\]]')
_COLON = re.compile(r"\s*:")


class Masker:
    """Replaces every secret by a mask, the longest first; shorter than four characters nothing is replaced.

    A secret is known as it is, as JSON writes it (also as a text inside a text), and as URLs and forms write it.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        long = {s for s in secrets if len(s) >= _SHORTEST}
        self._secrets = sorted({form for s in long for form in _forms(s)}, key=lambda s: (-len(s), s))
        self._numbers = {s for s in long if s[-1].isdigit()}

    def __call__(self, text: str) -> str:
        """The text without secrets. For JSON see `json`: this may make it something else."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, MASK)
        return text

    def value(self, value: Any) -> Any:
        """A value that JSON can hold, its secrets masked as `json` does."""
        text = msgspec.json.encode(value).decode()
        return msgspec.json.decode(self.json(text)) if self._may_hold_any(text) else value

    def json(self, text: str) -> str:
        """JSON without secrets, and JSON still: masked are strings, and numbers that are a secret.

        The names of an outermost object stay: they are the engine's own words.
        """
        return self._masked_json(text) if self._may_hold_any(text) else text

    def _may_hold_any(self, text: str) -> bool:
        if not self._secrets:
            return False
        # These escapes can write any secret in another way, which only the decoded string shows.
        return "\\u" in text or "\\/" in text or any(secret in text for secret in self._secrets)

    def _masked_json(self, text: str) -> str:
        parts: list[str] = []
        end = depth = 0
        for token in _TOKEN.finditer(text):
            found = token.group()
            if found in "{[":
                depth += 1
            elif found in "}]":
                depth -= 1
            elif not (depth == 1 and found[0] == '"' and _COLON.match(text, token.end())):
                parts += text[end : token.start()], self._masked_value(found)
                end = token.end()
        return "".join([*parts, text[end:]])

    def _masked_value(self, token: str) -> str:
        if token[0] != '"':
            return f'"{MASK}"' if {token, token.lstrip("-")} & self._numbers else token
        value = json.loads(token, strict=False)
        masked = self(value)
        return token if masked == value else _quoted(masked)


def _forms(secret: str) -> Iterator[str]:
    """The ways a secret may be written, itself included."""
    yield secret
    for ascii_only in (False, True):
        once = json.dumps(secret, ensure_ascii=ascii_only)[1:-1]
        yield once
        yield json.dumps(once)[1:-1]
    raw = secret.encode("utf-8", "surrogatepass")
    for encoded in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield encoded
        yield re.sub("%[0-9A-F]{2}", lambda found: found.group().lower(), encoded)


def _quoted(text: str) -> str:
    """A JSON string that can be written as UTF-8: half of a surrogate pair stays an escape."""
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half.group()):04x}", json.dumps(text, ensure_ascii=False))


def secrets_in(value: Any) -> set[str]:
    """The secrets inside settings, lists and maps."""
    if isinstance(value, Secret):
        return {value.reveal()}
    if isinstance(value, dict):
        return set().union(*map(secrets_in, value.values())) if value else set()
    if isinstance(value, (list, tuple)):
        return set().union(*map(secrets_in, value)) if value else set()
    return set()
