"""What expressions work on: JSON values, and the few things that are no values (missing, omit, skip, reject)."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import msgspec
from jinja2 import StrictUndefined

from engine.errors import RecordError

MAX_SIZE = 1_000_000  # bytes (of JSON, or characters of text) that one expression may give
MAX_MEMBERS = 100_000  # members of a list that an expression walks or makes
MAX_NUMBER = 10**4300  # more digits than Python reads; beyond it only a bomb computes
MAX_DEPTH = 100
QUOTED = 80  # characters of a value shown in a reason


class Skip(Exception):
    """The record (or the element) is left out on purpose; `why` says so."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Missing(StrictUndefined):
    """Stands where nothing is. Any use but `default`, `is defined` and `coalesce` raises the reason."""

    __slots__ = ("_field", "_known", "_subject", "at")

    at: tuple[int, int] | None
    """Where in the expression it came to be missing, where somebody noted it."""

    def __init__(
        self, hint: str | None = None, obj: Any = None, name: str | None = None, exc: Any = None,
        *, subject: str = "", known: Iterable[str] = (),
    ) -> None:  # fmt: skip
        super().__init__(hint, obj, name, exc=_missing_field)  # type: ignore[arg-type]
        self._subject, self._field, self._known = subject, name, known
        self.at = None

    def gone(self) -> RecordError:
        """The reason, and the place."""
        error = _missing_field(self._undefined_message)
        error.at = self.at
        return error

    def __bool__(self) -> NoReturn:
        raise self.gone()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        return f"{self._subject or 'value'} has no field {show(self._field)}{nearest(self._field, self._known)}"


class Signal(StrictUndefined):
    """A decision that waits until somebody needs the value: `omit`, `skip(…)`, `reject(…)`."""

    __slots__ = ("_make", "at")

    at: tuple[int, int] | None

    def __init__(self, make: Callable[[], Exception]) -> None:
        super().__init__(exc=self._give)  # type: ignore[arg-type]
        self._make, self.at = make, None

    def _give(self, _: str) -> Exception:
        error = self._make()
        if isinstance(error, RecordError):
            error.at = self.at
        return error

    @property
    def _undefined_message(self) -> str:
        return ""


def _missing_field(message: str) -> RecordError:
    return RecordError("missing-field", message)


def _misused() -> RecordError:
    return RecordError("misused-omit", "omit can only be the whole value of a field; nothing can be made from it")


OMIT = Signal(_misused)
MISSING = Missing("value is missing")


def demand(value: Any) -> Any:
    """The value itself; raises where it is none."""
    if isinstance(value, StrictUndefined):
        if value.__class__ is Missing:
            raise value.gone()
        value._fail_with_undefined_error()
    return value


def settle(value: Any) -> Any:
    """What a field may end up with: a value or `OMIT`; raises what waits otherwise."""
    return value if value is OMIT else demand(value)


# --- words for reasons ----------------------------------------------------------------------------------------


def show(value: Any) -> str:
    """A value as it looks in JSON, shortened."""
    try:
        text = msgspec.json.encode(value[:QUOTED] if isinstance(value, str | list) else value).decode()
    except (TypeError, ValueError, RecursionError):
        text = kind(value)
    return text if len(text) <= QUOTED + 2 else text[:QUOTED] + "…"


def kind(value: Any) -> str:
    """What sort of value it is, in words."""
    if value is None:
        return "null"
    for types, word in ((bool, "a boolean"), (str, "a text"), ((int, float), "a number"),
                        (list, "a list"), (dict, "a map")):  # fmt: skip
        if isinstance(value, types):
            return word
    return "no value"


def nearest(name: Any, known: Iterable[str]) -> str:
    """`; did you mean "email"?`, or nothing."""
    word = closest(name, known)
    return f"; did you mean {show(word)}?" if word else ""


def closest(name: Any, known: Iterable[str]) -> str | None:
    names = [each for each in known if isinstance(each, str)][:2000]
    if not isinstance(name, str) or len(name) > 200:
        return None
    swapped = next((each for each in names if each != name and sorted(each) == sorted(name)), None)
    found = [swapped] if swapped is not None else difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if found:
        return found[0]
    return next((each for each in names if each.lower() == name.lower()), None)


def bad_type(reason: str) -> RecordError:
    return RecordError("bad-type", reason)


def bad_value(reason: str) -> RecordError:
    return RecordError("bad-value", reason)


def too_large(what: str) -> RecordError:
    return RecordError("too-large", f"{what} is larger than an expression may make")


# --- results ----------------------------------------------------------------------------------------------------


def to_text(value: Any) -> str:
    """A value in the middle of text: numbers as in JSON, `true` and `false`; null, lists and maps are refused."""
    if value.__class__ is str:
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, int | float):
        return str(number(value))
    demand(value)
    raise bad_type(f"{kind(value)} cannot stand in the middle of text" + _text_hint(value))


def _text_hint(value: Any) -> str:
    if value is None:
        return "; write `| default('', true)` to put nothing there"
    return "; write `| json` to have it as JSON" if isinstance(value, list | dict) else ""


def number(value: Any) -> Any:
    """A number that JSON can hold and that is not absurdly large."""
    if -MAX_NUMBER < value < MAX_NUMBER:
        return value
    if isinstance(value, int):
        raise RecordError("too-large", "the number has more than 4,300 digits")
    raise bad_value("the result is not a finite number")


def limited(text: str, what: str = "the text") -> str:
    """The text, if it is not too long."""
    if len(text) > MAX_SIZE:
        raise too_large(what)
    return text


def json_value(value: Any) -> Any:
    """The value itself, if it is JSON of a sane size and depth; raises `RecordError` otherwise."""
    _weigh(value, 0, MAX_DEPTH)
    return value


def _weigh(value: Any, weight: int, depth: int) -> int:
    """`weight` plus about the bytes of the value as JSON; raises as soon as it is too much."""
    if weight > MAX_SIZE:
        raise too_large("the result")
    if value is None or value is True or value is False:
        return weight + 5
    kind_ = value.__class__
    if kind_ is str:
        return _grown(weight + len(value) + 2)
    if kind_ is int or kind_ is float:
        number(value)
        return weight + 8
    if depth == 0:
        raise too_large("the nesting of the result")
    if kind_ is list:
        for member in value:
            weight = _weigh(member, weight + 1, depth - 1)
        return _grown(weight + 2)
    if kind_ is dict:
        for key, member in value.items():
            if key.__class__ is not str:
                raise bad_type(f"{show(key)} cannot be a key: keys are texts")
            weight = _weigh(member, weight + len(key) + 4, depth - 1)
        return _grown(weight + 2)
    return _refuse(value)


def _grown(weight: int) -> int:
    if weight > MAX_SIZE:
        raise too_large("the result")
    return weight


def _refuse(value: Any) -> NoReturn:
    demand(value)
    raise bad_type(f"the result is no JSON value ({type(value).__name__})")
