"""From a mapped value to the bytes that go out: checked against the action's schema, encoded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonschema_rs
import msgspec

from engine.errors import RecordError
from engine.model import Failure


class Check:
    """A payload schema: accepts fast, explains slowly."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._free = not schema or schema == {"type": "object"}
        self.accepts: Callable[[Any], bool] = jsonschema_rs.validator_for(schema).is_valid

    def explain(self, payload: Any) -> RecordError:
        """Why the schema refuses the payload: place, what was found, what would do."""
        import jsonschema  # late: only refusals need its words
        import referencing

        validator = jsonschema.Draft202012Validator(self._schema, registry=referencing.Registry())
        error = jsonschema.exceptions.best_match(validator.iter_errors(payload))
        if error is None:
            return RecordError("invalid-payload", "a value that JSON cannot hold")
        place = ".".join(str(part) for part in error.absolute_path)
        return RecordError("invalid-payload", _words(error, place), place)


def _words(error: Any, place: str) -> str:
    where = f"{place}: " if place else ""
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{where}{', '.join(missing)} missing"
    if error.validator == "anyOf" and all(set(s) == {"required"} for s in error.validator_value):
        return f"{where}needs " + " or ".join(" and ".join(s["required"]) for s in error.validator_value)
    if error.validator == "additionalProperties":
        return f"{where}{error.message}"
    if error.validator in ("pattern", "not") and error.schema.get("description"):
        return f"{where}{_short(error.instance)} is not acceptable: {error.schema['description']}"
    wanted = error.validator_value if error.validator in ("type", "enum", "pattern", "maxLength") else error.validator
    return f"{where}{_short(error.instance)} is not acceptable: {error.validator} {_short(wanted)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return repr(value) if len(text) <= 60 and isinstance(value, str) else text[:60]


encode = msgspec.json.Encoder().encode

# What checking and encoding raise for a payload that cannot go out.
REFUSALS = (
    RecordError,
    UnicodeEncodeError,
    TypeError,
    ValueError,
    OverflowError,
    RecursionError,
    msgspec.MsgspecError,
)


def refusal(error: Exception) -> Failure:
    """One of `REFUSALS` as the reason of a dead letter."""
    if isinstance(error, RecordError):
        return Failure(error.code, error.reason, error.field)
    if isinstance(error, UnicodeEncodeError):
        return Failure("not-json", "a text with a lone surrogate, which JSON in UTF-8 cannot hold")
    return Failure("not-json", f"a value that JSON cannot hold: {error}")
