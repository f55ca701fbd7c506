"""Fast forms of common filters: (emitter, code of the value, literal arguments) → (text, kind), or None."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from engine.mapping import dates
from engine.mapping.helpers import Memo
from engine.mapping.values import MAX_MEMBERS

Special = Callable[[Any, Any, dict[Any, Any]], tuple[str, str] | None]
TEXTS = ("str", "cell")


def _text_method(name: str) -> Special:
    """A method that only texts have: on anything else it raises."""

    def special(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
        return None if given or value.kind == "num" else (f"{value.text}.{name}()", "str")

    return special


def _trim(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
    if not given:
        return f"{value.text}.strip()", "str"
    chars = given.get(0, given.get("chars"))
    return (f"{value.text}.strip({chars!a})", "str") if chars.__class__ is str else None


def _title(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
    return None if given else (f"_title[{value.text}]", "str")


def _string(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
    return None if given else (value.text if value.kind == "str" else f"_text({value.text})", "str")


def _int(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
    if given:
        return None
    text = emitter.temp()
    plain, otherwise = _plain_text(value, text, "int")
    return f"(int({text}) if {plain} else {otherwise})", "num"


def _float(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
    if given:
        return None
    text, number = emitter.temp(), emitter.temp()
    plain, otherwise = _plain_text(value, text, "float")
    return f"({number} if {plain} and ({number} := float({text})) - {number} == 0.0 else {otherwise})", "num"


def _plain_text(value: Any, text: str, reader: str) -> tuple[str, str]:
    """(condition under which Python reads `text` as our reader does, what to do otherwise)."""
    if value.kind in TEXTS:
        return f'"_" not in ({text} := {value.text}) and {text}.isascii()', "_bail()"
    condition = f'({text} := {value.text}).__class__ is str and "_" not in {text} and {text}.isascii()'
    return condition, f"_to_{reader}({text})"


def _bool(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
    return None if given else (f"_bool[{value.text}]", "bool")


def _length(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
    return None if given else (f"len({value.text})", "num")


def _round(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
    places = given.get(0, given.get("precision", 0))
    if value.kind != "num" or set(given) - {0, "precision"} or places.__class__ is not int or abs(places) > 15:
        return None
    return f"round({value.text}, {places})", "num"


def _sum(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
    temp = emitter.temp()
    if not given and value.kind == "nums":
        return f"({temp} if -1e300 < ({temp} := sum({value.text})) < 1e300 else _bail())", "num"
    name = given.get("attribute")
    if set(given) != {"attribute"} or name.__class__ is not str or "." in name or name.isdecimal():
        return None
    return f"_sum_of({value.text}, {name!a})", "num"


def _split(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
    if set(given) != {0} or given[0].__class__ is not str or not given[0]:
        return None
    temp = emitter.temp()
    cut = f"{value.text}.split({given[0]!a}, {MAX_MEMBERS})"
    return f"({temp} if len({temp} := {cut}) <= {MAX_MEMBERS} else _bail())", "list"


def _replace(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
    if set(given) != {0, 1} or any(part.__class__ is not str for part in given.values()):
        return None
    old, new = given[0], given[1]
    if not old or len(new) > len(old):
        return None
    return f"{value.text}.replace({old!a}, {new!a})", "str"


def _remembered(function: Callable[..., Any], kind: str) -> Special:
    """Few values come often: each text is computed once."""

    def special(emitter: Any, value: Any, given: dict[Any, Any]) -> tuple[str, str] | None:
        arguments = [given[place] for place in sorted(key for key in given if isinstance(key, int))]
        named = {key: made for key, made in given.items() if isinstance(key, str)}
        memo = Memo(_with(function, arguments, named))
        return f"{emitter.bind(memo, 'memo')}[{value.text}]", "any" if given else kind

    return special


def _with(function: Callable[..., Any], arguments: list[Any], named: dict[str, Any]) -> Callable[[Any], Any]:
    return partial(_call, function, arguments, named) if arguments or named else function


def _call(function: Callable[..., Any], arguments: list[Any], named: dict[str, Any], value: Any) -> Any:
    return function(value, *arguments, **named)


def quick_method(emitter: Any, value: Any, name: str, given: list[Any]) -> tuple[str, str] | None:
    """A method of a text, with literal arguments."""
    if name in ("split", "replace"):
        return SPECIAL[name](emitter, value, dict(enumerate(given)))
    if name in ("lower", "upper") and not given:
        return f"{value.text}.{name}()", "str"
    if name in ("strip", "lstrip", "rstrip", "startswith", "endswith") and all(
        part.__class__ is str for part in given
    ):
        asks = name in ("startswith", "endswith")
        if len(given) == 1 or not (given or asks):
            return f"{value.text}.{name}({''.join(map(ascii, given))})", "bool" if asks else "str"
    return None


SPECIAL: dict[str, Special] = {
    "lower": _text_method("lower"),
    "upper": _text_method("upper"),
    "capitalize": _text_method("capitalize"),
    "trim": _trim,
    "title": _title,
    "string": _string,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "length": _length,
    "count": _length,
    "round": _round,
    "sum": _sum,
    "split": _split,
    "replace": _replace,
    "parse_date": _remembered(dates.parse_date, "str"),
    "iso": _remembered(dates.iso, "str"),
    "epoch": _remembered(dates.epoch, "num"),
    "epoch_ms": _remembered(dates.epoch_ms, "num"),
}
