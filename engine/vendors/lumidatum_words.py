"""What Lumidatum's answers and addresses mean: models, recommendations, presigned addresses, reports."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from engine.plugin import Halt, InvalidPipeline, Response, Split, TurnedAway, Unreadable

REPORTS = {"ltv": "LTV", "segmentation": "SEG"}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
STAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d):?(\d\d):?(\d\d)Z)?")
XML = re.compile(r"<Code>([^<]*)</Code>.*?(?:<Message>([^<]*)</Message>|\Z)", re.S)


def model_text(model: Any) -> str:
    """A model id as it is sent. Raises `InvalidPipeline` for what cannot be one."""
    if isinstance(model, bool) or not isinstance(model, (str, int)):
        raise InvalidPipeline(f"model_id: {model!r} is no model; write a whole number or a text")
    text = str(model).strip()
    if text in ("", ".", ".."):
        raise InvalidPipeline(f"model_id: {model!r} is no model; write a whole number or a text")
    return text


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return quote(text, safe="")


def base(address: str, *, insecure: bool) -> str:
    """The address without slashes at its end. `http` is for loopback, unless `insecure`."""
    parts = urlsplit(address)
    if parts.username or parts.password:
        raise InvalidPipeline("base_url: credentials do not belong into an address")
    if parts.scheme != "https" and not insecure and parts.hostname not in LOOPBACK:
        raise InvalidPipeline(f"base_url: {parts.scheme}://{parts.hostname} would carry the token in the clear")
    return address.rstrip("/")


def said(answer: Response) -> str:
    """The vendor's own words in a refusal: `error`, `detail`, S3's XML, or the beginning of the body."""
    if found := XML.search(answer.text):
        return ": ".join(word for word in found.groups() if word)
    try:
        value = answer.json()
    except Unreadable:
        return answer.text[:200].strip()
    words = [value[name] for name in ("error", "detail") if name in value] if isinstance(value, dict) else []
    return str(words[0]) if words else answer.text[:200]


# --- recommendations ------------------------------------------------------------------------------------------


def rows(answer: Any) -> list[dict[str, Any]]:
    """Recommendations in either shape as `{id, score, description}`; raises `Split` for what is none."""
    found = answer.get("recommendations") if isinstance(answer, dict) else answer
    if not isinstance(found, list):
        raise Split("unexpected-answer", "Lumidatum's answer holds no list of recommendations")
    return [_row(one) for one in found]


def _row(one: Any) -> dict[str, Any]:
    if isinstance(one, list) and 1 <= len(one) <= 2:
        return {"id": one[0], "score": one[1] if len(one) == 2 else None, "description": None}
    if isinstance(one, dict) and ("product_id" in one or "id" in one):
        name = one.get("product_id", one.get("id"))
        return {"id": name, "score": one.get("score"), "description": one.get("product_description")}
    if isinstance(one, (int, str)) and not isinstance(one, bool):
        return {"id": one, "score": None, "description": None}
    raise Split("unexpected-answer", f"Lumidatum's answer holds a recommendation of unknown form: {str(one)[:80]!r}")


# --- signed addresses -----------------------------------------------------------------------------------------


def granted(reply: Response, base_url: str) -> tuple[str, Mapping[str, Any]]:
    """The signed address and the form's fields of a presign; no fields: a plain PUT."""
    url, fields = reply["url"], reply.json().get("fields") or {}
    if not isinstance(url, str) or not isinstance(fields, dict):
        raise Unreadable(f"HTTP {reply.status} that is no signed address: {reply.text[:200]!r}")
    parts = urlsplit(url)
    plain = parts.scheme == "http" and (parts.hostname in LOOPBACK or base_url.startswith("http:"))
    if parts.scheme != "https" and not plain:
        raise Halt(f"Lumidatum names an address that is not safe to use: {parts.scheme}:", code="unsafe-address")
    return url, fields


def refused_by_storage(error: TurnedAway) -> Halt:
    answer = error.response
    return Halt(f"storage refused it: {said(answer)} (HTTP {answer.status})", code=f"storage-{answer.status}")


# --- reports --------------------------------------------------------------------------------------------------


def report_type(report: str) -> str:
    if report not in REPORTS:
        raise InvalidPipeline(f"report: {report!r} is none of {', '.join(REPORTS)}")
    return REPORTS[report]


def newest_key(reply: Response) -> str | None:
    """The key of the newest report in a listing; None where there is none."""
    listed = _object(reply)
    key = listed.get("latest_key_name")
    if isinstance(key, str) and key:
        return key
    keys = [one for one in listed.get("available_key_names") or [] if isinstance(one, str) and one]
    return max(keys, key=lambda one: (stamp(one) or one, -len(one)), default=None)


def timestamps(reply: Response) -> list[str]:
    """The dates in a listing, newest first; a single newest one wins."""
    listed = _object(reply)
    newest = listed.get("latest_report_timestamp")
    if isinstance(newest, str) and newest:
        return [newest]
    found: Sequence[Any] = listed.get("report_timestamps") or []
    return sorted((one for one in found if isinstance(one, str)), reverse=True)


def stamp(key: str) -> str:
    """The date in a key's last part, as listings write it; empty where none can be told."""
    found = STAMP.search(key.rpartition("/")[2])
    if found is None:
        return ""
    return f"{found[1]}T{found[2]}:{found[3]}:{found[4]}Z" if found[2] else found[1]


def _object(reply: Response) -> dict[str, Any]:
    listed = reply.json()
    if not isinstance(listed, dict):
        raise Unreadable(f"HTTP {reply.status} that is no listing: {reply.text[:200]!r}")
    return listed


def expired(answer: Response) -> bool:
    """Did storage refuse a signature or policy because it is too old?"""
    return answer.status == 403 and "expired" in answer.text.lower()
