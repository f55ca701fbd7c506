"""What Iterable's refusals (4xx, and 5xx where they say more) mean.

The HTTP status decides, never the code alone: refusals with the code `Success` exist. What is not named here is left
to the engine's own table: wait and repeat, halt on 401 and 403, halve a batch that was refused as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from engine.plugin import Halt, Payloads, Response, Split, Unreadable, Verdict, again, rejected
from engine.vendors.iterable_bulk import KINDS

FORGOTTEN, CONFLICT = KINDS[0].verdict, KINDS[3].verdict
NOT_STORED = again("batch-refused", "a row of its batch was refused, and nothing was stored")
ROW = re.compile(r"obj\.\w+\[(\d+)\]")

NOBODY = ("BadParams", "UnknownEmailError", "UnknownUserIdError", "error.users.noUserWithIdExists")

CODES = {  # codes of a refusal of one payload → code of its dead letter
    "EmailAlreadyExists": "conflict",
    "ExternalKeyConflict": "conflict",
    "InvalidEmailAddressError": "invalid-identifier",
    "InvalidUserIdError": "invalid-identifier",
    "UnknownEmailError": "not-found",
    "UnknownUserIdError": "not-found",
    "UserIdAlreadyExists": "conflict",
    "error.users.noUserWithIdExists": "not-found",
}


def refusal(answer: Response, payloads: Payloads) -> Mapping[int, Verdict] | None:
    """Verdicts by position; None leaves the answer to the engine's table. Raises `Split` or `Halt`."""
    said = _said(answer)
    if said["code"] == "RequestFieldsTypesMismatched":
        return _mismatch(said, payloads)
    if answer.status == 413 or (said["code"] == "BatchTooLarge" and answer.status < 500):
        raise Split("too-large", f"Iterable finds the request too large: {_sentence(answer, said)}")
    if answer.status == 404:
        raise Halt(f"Iterable does not know this: {_sentence(answer, said)}", code="no-such-target")
    if answer.status == 409:
        return _conflict(said, payloads)
    if names_nobody(answer) and _bare(payloads):
        return None  # a deletion's conversation knows that nobody being there is no failure
    if answer.status == 400:
        return _bad_request(answer, said, payloads)
    return None


def names_nobody(answer: Response) -> bool:
    """Is this how the service says that there is nobody to delete?"""
    said = _said(answer)
    return answer.status == 400 and (said["code"] in NOBODY or any(name in said["msg"] for name in NOBODY[1:]))


def _bare(payloads: Payloads) -> bool:
    """One payload that is nothing but a person's name."""
    return len(payloads) == 1 and payloads[0].keys() in ({"email"}, {"userId"})


def _bad_request(answer: Response, said: Mapping[str, Any], payloads: Payloads) -> Mapping[int, Verdict] | None:
    if said["code"] == "UniqueFieldsLimitExceeded":
        raise Halt(f"the Iterable project is full of fields: {_sentence(answer, said)}", code="field-limit")
    if "invalidListId" in said["msg"]:
        raise Halt(f"Iterable has no such list: {_sentence(answer, said)}", code="no-such-target")
    if len(payloads) == 1:
        return {0: _single(answer, said)}
    if said["code"] == "BadJsonBody":
        return _named_rows(said["params"], len(payloads))
    return None


def _single(answer: Response, said: Mapping[str, Any]) -> Verdict:
    if said["code"] == "ForgottenUserError":
        return FORGOTTEN
    code = CODES.get(said["code"]) or next((CODES[name] for name in CODES if name in said["msg"]), "refused")
    return rejected(code, f"Iterable: {_sentence(answer, said)}")


def _conflict(said: Mapping[str, Any], payloads: Payloads) -> Mapping[int, Verdict]:
    if len(payloads) > 1:
        return dict.fromkeys(range(len(payloads)), again("conflict", "Iterable finds a conflict within the batch"))
    if said["code"] == "ForgottenUserError" or "forgotten" in said["msg"].lower():
        return {0: FORGOTTEN}
    return {0: rejected("conflict", f"{CONFLICT.reason}: {said['msg'] or said['code']}")}


def _named_rows(params: Mapping[str, Any], count: int) -> Mapping[int, Verdict] | None:
    """`{"obj.users[1].userId": "String value expected"}`: nothing was stored; row 1 is out, the rest goes again."""
    verdicts: dict[int, Verdict] = {}
    for place, reason in params.items():
        if (match := ROW.match(place)) and int(match[1]) < count:
            verdicts[int(match[1])] = rejected("refused", f"Iterable: {place[match.end() :].lstrip('.')}: {reason}")
    return {index: verdicts.get(index, NOT_STORED) for index in range(count)} if verdicts else None


# --- types of fields ---------------------------------------------------------------------------------


def _mismatch(said: Mapping[str, Any], payloads: Payloads) -> Mapping[int, Verdict]:
    """The first value of a field fixes its type for ever; nothing of the batch was stored."""
    errors = said["params"].get("validationErrors")
    errors = {place.rpartition(":::")[2]: _object(error) for place, error in _object(errors).items()}
    reason = "; ".join(_type_sentence(field, error) for field, error in errors.items()) or said["msg"]
    if len(payloads) == 1:
        return {0: rejected("type-mismatch", f"Iterable: {reason or 'a field has another type than before'}")}
    culprits = {row for row, payload in enumerate(payloads) if _carries_any(payload, errors)}
    if not culprits:
        raise Split("type-mismatch", f"Iterable: {reason}")
    suspect = again("type-mismatch", f"Iterable: {reason}")
    return {row: suspect if row in culprits else NOT_STORED for row in range(len(payloads))}


def _type_sentence(field: str, error: Mapping[str, Any]) -> str:
    incoming = "/".join(map(str, error.get("incomingTypes") or ["another type"]))
    return f"{field} is of type {error.get('expectedType')}, and {error.get('offendingValue')!r} is {incoming}"


def _carries_any(payload: Any, errors: Mapping[str, Mapping[str, Any]]) -> bool:
    return any(_carries(payload, field, error.get("offendingValue")) for field, error in errors.items())


def _carries(payload: Any, field: str, value: Any) -> bool:
    fields = payload.get("dataFields") or {}
    found = fields[field] if field in fields else _dig(fields, field.split("."))
    return found is not None and value is not None and (found == value or str(found) == str(value))


def _dig(value: Any, path: list[str]) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


# --- the shapes of a refusal -----------------------------------------------------------------------------


def _said(answer: Response) -> dict[str, Any]:
    """`{msg, code, params}` and `{error, message, code, data}` alike; empty for a gateway's page."""
    try:
        body = _object(answer.json())
    except Unreadable:
        body = {}
    return {
        "code": str(body.get("code") or ""),
        "msg": str(body.get("msg") or body.get("message") or body.get("error") or ""),
        "params": _object(body.get("params")),
    }


def _sentence(answer: Response, said: Mapping[str, Any]) -> str:
    details = "; ".join(f"{place}: {reason}" for place, reason in said["params"].items())
    words = [word for word in (said["code"], said["msg"], details) if word]
    return f"HTTP {answer.status} {': '.join(words) or answer.text[:200]}"


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
