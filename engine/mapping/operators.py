"""What dots, brackets, signs and method calls mean. Each function takes values and gives a value or raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.errors import RecordError
from engine.mapping.values import (
    MAX_MEMBERS,
    Missing,
    bad_type,
    demand,
    kind,
    limited,
    number,
    show,
    to_text,
    too_large,
)

# --- access: on maps only keys count, so that a field always wins over a method -------------------------------


def get_field(value: Any, name: str, subject: str = "") -> Any:
    """`value.name`."""
    if value.__class__ is dict:
        try:
            return value[name]
        except KeyError:
            return Missing(name=name, subject=subject, known=value)
    demand(value)
    return Missing(f"{_subject(subject, value)} is {kind(value)} and has no field {show(name)}")


def get_item(value: Any, key: Any, subject: str = "") -> Any:
    """`value[key]`: a key of a map, or a place in a list or text (negative ones count from the end)."""
    demand(key)
    if value.__class__ is dict:
        if key.__class__ is str:
            return get_field(value, key, subject)
        return Missing(f"{_subject(subject, value)} has no field {show(key)}: keys are texts")
    if value.__class__ in (list, str) and key.__class__ is int:
        try:
            return value[key]
        except IndexError:
            return Missing(f"{_subject(subject, value)} has no element {key}: it has {len(value)}")
    demand(value)
    return Missing(f"{_subject(subject, value)} is {kind(value)} and has no element {show(key)}")


def get_slice(value: Any, start: Any, stop: Any, step: Any) -> Any:
    """`value[start:stop:step]` of a list or a text."""
    if demand(value).__class__ not in (list, str):
        raise bad_type(f"only a list or a text can be cut, not {kind(value)}")
    for bound in (start, stop, step):
        if demand(bound) is not None and bound.__class__ is not int:
            raise bad_type(f"{show(bound)} is no place in a list")
    if step == 0:
        raise bad_type("a slice cannot have step 0")
    return value[start:stop:step]


def _subject(subject: str, value: Any) -> str:
    return subject or show(value)


# --- numbers and texts ------------------------------------------------------------------------------------------


NUMBERS = frozenset({int, float, bool})


def _numbers(sign: str, left: Any, right: Any) -> None:
    if left.__class__ in NUMBERS and right.__class__ in NUMBERS:
        return
    for side in (left, right):
        if not isinstance(demand(side), int | float):
            raise bad_type(f"{sign} works on numbers, not on {kind(side)} ({show(side)}); `| float` makes one")


def add(left: Any, right: Any) -> Any:
    """Numbers, two texts, or two lists."""
    if left.__class__ is right.__class__ is str:
        return limited(left + right)
    if left.__class__ is right.__class__ is list:
        if len(left) + len(right) > MAX_MEMBERS:
            raise too_large("the list")
        return left + right
    if str in (left.__class__, right.__class__):
        demand(left), demand(right)
        raise bad_type(f"cannot add {kind(left)} and {kind(right)}; `~` joins texts, `| float` makes a number")
    _numbers("+", left, right)
    return number(left + right)


def subtract(left: Any, right: Any) -> Any:
    _numbers("-", left, right)
    return number(left - right)


def multiply(left: Any, right: Any) -> Any:
    _numbers("*", left, right)
    return number(left * right)


def divide(left: Any, right: Any) -> Any:
    _numbers("/", left, right)
    _not_zero(right)
    return number(left / right)


def floor_divide(left: Any, right: Any) -> Any:
    _numbers("//", left, right)
    _not_zero(right)
    return number(left // right)


def modulo(left: Any, right: Any) -> Any:
    _numbers("%", left, right)
    _not_zero(right)
    return number(left % right)


def _not_zero(value: Any) -> None:
    if value == 0:
        raise RecordError("bad-value", "division by zero")


def negative(value: Any) -> Any:
    _numbers("-", value, 0)
    return -value


def positive(value: Any) -> Any:
    _numbers("+", value, 0)
    return +value


def concat(*parts: Any) -> str:
    """`a ~ b`: each part as it stands in the middle of text."""
    total, texts = 0, []
    for part in parts:
        texts.append(to_text(part))
        total += len(texts[-1])
        if total > 1_000_000:
            raise too_large("the text")
    return "".join(texts)


# --- comparisons --------------------------------------------------------------------------------------------------


def _ordered(sign: str, compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(left: Any, right: Any) -> bool:
        try:
            return compare(demand(left), demand(right))
        except TypeError:
            raise bad_type(
                f"cannot compare {kind(left)} ({show(left)}) {sign} {kind(right)} ({show(right)})"
            ) from None

    return ordered


def contains(member: Any, whole: Any) -> bool:
    """`member in whole`."""
    demand(member), demand(whole)
    try:
        return member in whole
    except TypeError:
        raise bad_type(f"cannot look for {kind(member)} in {kind(whole)}") from None


def _no_order(left: Any, right: Any) -> tuple[Any, Any]:
    return demand(left), demand(right)


COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "eq": lambda left, right: demand(left) == demand(right),
    "ne": lambda left, right: demand(left) != demand(right),
    "lt": _ordered("<", lambda left, right: bool(left < right)),
    "lteq": _ordered("<=", lambda left, right: bool(left <= right)),
    "gt": _ordered(">", lambda left, right: bool(left > right)),
    "gteq": _ordered(">=", lambda left, right: bool(left >= right)),
    "in": contains,
    "notin": lambda left, right: not contains(left, right),
}
