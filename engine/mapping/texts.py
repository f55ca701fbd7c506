"""Filters on texts: Jinja's pure ones and ours."""

from __future__ import annotations

import hashlib
from typing import Any

import mmh3
import msgspec
from jinja2.filters import do_title

from engine.mapping.values import (
    MAX_MEMBERS,
    MAX_SIZE,
    bad_type,
    bad_value,
    json_value,
    kind,
    limited,
    show,
    to_text,
    too_large,
)


def lower(value: Any) -> str:
    """`"Ada" | lower` is `"ada"`."""
    return to_text(value).lower()


def upper(value: Any) -> str:
    """`"Ada" | upper` is `"ADA"`."""
    return to_text(value).upper()


def title(value: Any) -> str:
    """`"ada LOVELACE" | title` is `"Ada Lovelace"` (as Jinja does it: `"o'neil"` is `"O'neil"`)."""
    return do_title(to_text(value))


def capitalize(value: Any) -> str:
    """`"ADA" | capitalize` is `"Ada"`."""
    return to_text(value).capitalize()


def trim(value: Any, chars: str | None = None) -> str:
    """`" a " | trim` is `"a"`; `chars` names what to take off instead of blanks."""
    return to_text(value).strip(chars)


def string(value: Any) -> str:
    """`12 | string` is `"12"`; `true` is `"true"`."""
    return to_text(value)


def replace(value: Any, old: Any, new: Any, count: int | None = None) -> str:
    """`"a-b" | replace("-", "_")` is `"a_b"`."""
    text, old, new = to_text(value), to_text(old), to_text(new)
    if count is not None and count.__class__ is not int:
        raise bad_type("replace: count must be a whole number")
    times = text.count(old) if count is None or count < 0 else min(text.count(old), count)
    if len(text) + times * (len(new) - len(old)) > MAX_SIZE:
        raise too_large("the text")
    return text.replace(old, new, -1 if count is None else count)


def split(value: Any, sep: Any = None, maxsplit: int = -1) -> list[str]:
    """`"a,b" | split(",")` is `["a", "b"]`; without a separator it cuts at blanks."""
    if value.__class__ is not str:
        raise bad_type(f"split works on text, not on {kind(value)}")
    if sep == "" or not (sep is None or isinstance(sep, str)) or maxsplit.__class__ is not int:
        raise bad_type("split: the separator must be a text of at least one character")
    if (sep is not None and value.count(sep) >= MAX_MEMBERS) or len(value) > 2 * MAX_SIZE:
        raise too_large("the list")
    return value.split(sep, maxsplit)


# --- digests and JSON ------------------------------------------------------------------------------------------


def _bytes(value: Any) -> bytes:
    try:
        return to_text(value).encode()
    except UnicodeEncodeError:
        raise bad_value("the text holds half a surrogate pair and cannot be encoded") from None


def md5(value: Any) -> str:
    """Hex MD5 of the text in UTF-8."""
    return hashlib.md5(_bytes(value), usedforsecurity=False).hexdigest()


def sha256(value: Any) -> str:
    """Hex SHA-256 of the text in UTF-8."""
    return hashlib.sha256(_bytes(value)).hexdigest()


def murmur3(value: Any, seed: int = 0) -> int:
    """MurmurHash3 (x86, 32 bits, unsigned) of the text in UTF-8."""
    if seed.__class__ is not int or not 0 <= seed < 2**32:
        raise bad_type("murmur3: seed must be a whole number of 32 bits")
    return mmh3.hash(_bytes(value), seed, signed=False)


def json(value: Any) -> str:
    """The value as JSON text."""
    try:
        return limited(msgspec.json.encode(json_value(value)).decode())
    except UnicodeEncodeError:
        raise bad_value("the value holds half a surrogate pair and cannot be encoded") from None


def from_json(value: Any) -> Any:
    """The value that a JSON text holds."""
    if value.__class__ is not str or len(value) > MAX_SIZE:
        raise bad_type(f"from_json reads text of at most {MAX_SIZE:,} characters, not {kind(value)}")
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeEncodeError, ValueError, RecursionError):
        raise bad_value(f"from_json: {show(value)} is not JSON") from None
