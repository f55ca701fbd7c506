"""Regular expressions of bounded cost, with the standard library's engine.

Python's engine backtracks, so a pattern is a literal of the pipeline file, and its worst case is reckoned when the
file is checked: with k variable repeats a text of n characters costs at most about n^(k+1) / (k+1)! steps (one power
less when the pattern is anchored at the start), times the number of ways through its options. From that follows the
longest text it may be tried on; a longer one is a failure of that record. Repeats inside repeats, back references
and look-around are refused. An engine of linear time would need a compiled dependency for a handful of filters.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from functools import lru_cache
from math import factorial
from typing import Any, NamedTuple

from engine.mapping.values import MAX_MEMBERS, MAX_SIZE, bad_type, kind, limited, show, too_large

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from re import _constants as codes  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]

STEPS = 30_000_000
SHORTEST = 32  # a pattern that cannot be tried on this many characters is of no use
LONGEST_PATTERN = 500
_GROUP = re.compile(r"\\(?:(?P<number>[0-9]{1,2})|g<(?P<name>\w{1,50})>|\\)", re.ASCII)
_PLAIN = {codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN, codes.AT}


class Pattern(NamedTuple):
    regex: re.Pattern[str]
    longest: int  # characters of a text it may be tried on


class BadPattern(ValueError):
    """The pattern is no regular expression, or none that is safe."""


@lru_cache(maxsize=512)
def compile_pattern(text: str) -> Pattern:
    """The compiled pattern; raises `BadPattern`."""
    if len(text) > LONGEST_PATTERN:
        raise BadPattern(f"a pattern has at most {LONGEST_PATTERN} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tree = parser.parse(text)
            cost = _Cost()
            _walk(list(tree), cost, inside=False)
            longest = cost.longest(anchored=_anchored(list(tree)))
            return Pattern(re.compile(text), longest)
    except BadPattern:
        raise
    except (re.error, RecursionError, OverflowError, Warning, ValueError) as error:
        raise BadPattern(f"{show(text)} is not a regular expression: {error}") from None


class _Cost:
    """Counts what makes backtracking expensive."""

    def __init__(self) -> None:
        self.repeats, self.ways = 0, 1

    def longest(self, anchored: bool) -> int:
        power = self.repeats + (0 if anchored else 1)
        if power <= 1 and self.ways <= 8:
            return 2 * MAX_SIZE
        longest = int((STEPS * factorial(power) / self.ways) ** (1 / max(power, 1)))
        if longest < SHORTEST or self.ways > STEPS:
            raise BadPattern("the pattern has too many repeats and options to be tried safely; make it simpler")
        return min(longest, 2 * MAX_SIZE)


def _anchored(tree: list[Any]) -> bool:
    return bool(tree) and tree[0][0] is codes.AT and tree[0][1] in (codes.AT_BEGINNING, codes.AT_BEGINNING_STRING)


def _walk(tree: list[Any], cost: _Cost, inside: bool) -> None:
    for code, argument in tree:
        if code in _PLAIN:
            continue
        if code is codes.SUBPATTERN:
            _walk(list(argument[3]), cost, inside)
        elif code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
            least, most, body = argument
            _repeat(least, most, body, cost, inside)
        elif code is codes.BRANCH and not inside:
            cost.ways *= len(argument[1])
            for option in argument[1]:
                _walk(list(option), cost, inside)
        elif code is codes.BRANCH:
            raise BadPattern("options inside a repeat can take for ever; use a character class such as [ab]")
        else:
            raise BadPattern("look-around, back references and conditions are not supported")


def _repeat(least: int, most: int, body: Any, cost: _Cost, inside: bool) -> None:
    if least != most:
        if inside:
            raise BadPattern("a repeat inside a repeat can take for ever")
        if most == codes.MAXREPEAT or most - least > 8:
            cost.repeats += 1
        else:
            cost.ways *= most - least + 1
    cost.ways *= max(least, 1)
    _walk(list(body), cost, inside=True)


def _tried(name: str, value: Any, pattern: Any) -> re.Pattern[str]:
    if value.__class__ is not str or pattern.__class__ is not str:
        raise bad_type(f"{name} works on text, not on {kind(value)}")
    try:
        compiled = compile_pattern(pattern)
    except BadPattern as error:
        raise bad_type(str(error)) from None
    if len(value) > compiled.longest:
        raise bad_type(
            f"{name}: the text has {len(value):,} characters; this pattern is tried on {compiled.longest:,}"
        )
    return compiled.regex


def regex_search(value: Any, pattern: str, group: Any = None) -> Any:
    """The first match: its `group`, else its only group, else all of it; null where nothing matches."""
    found = _tried("regex_search", value, pattern).search(value)
    if found is None:
        return None
    if group is None:
        group = 1 if found.re.groups == 1 else 0
    try:
        return found.group(group)
    except (IndexError, TypeError):
        raise bad_type(f"regex_search: the pattern has no group {show(group)}") from None


def regex_replace(value: Any, pattern: str, replacement: str = "", count: int = 0) -> str:
    """Every match (or the first `count`) replaced; `\\1` and `\\g<name>` stand for groups."""
    regex = _tried("regex_replace", value, pattern)
    if replacement.__class__ is not str or count.__class__ is not int:
        raise bad_type("regex_replace: the replacement must be a text, the count a whole number")
    pieces = _pieces(replacement, regex)
    matches = _counted(regex, value, pieces, count)
    parts, end = [], 0
    for found in matches:
        parts += [value[end : found.start()], _filled(pieces, found)]
        end = found.end()
    return limited("".join([*parts, value[end:]]))


def _counted(
    regex: re.Pattern[str], value: str, pieces: list[str | tuple[str | int]], count: int
) -> list[re.Match[str]]:
    """The matches to replace. What would become too large is refused from its size alone: nothing is made of it."""
    fixed = sum(len(piece) for piece in pieces if isinstance(piece, str))
    times = Counter(piece[0] for piece in pieces if not isinstance(piece, str))
    if len(value) > MAX_MEMBERS:  # a pattern tried on so long a text is quick, and `subn` counts quickest
        rest, number = regex.subn("", value, count if 0 < count <= MAX_MEMBERS else MAX_MEMBERS + 1)
        if number > MAX_MEMBERS or number * fixed + times[0] * (len(value) - len(rest)) > MAX_SIZE:
            raise too_large("the text")
    matches, total = [], 0
    for number, found in enumerate(regex.finditer(value), 1):
        total += fixed
        for group, often in times.items():
            total += often * len(found[group] or "")
        if total > MAX_SIZE or number > MAX_MEMBERS:
            raise too_large("the text")
        matches.append(found)
        if number == count:
            break
    return matches


def _filled(pieces: list[str | tuple[str | int]], found: re.Match[str]) -> str:
    """What takes the place of a match."""
    return "".join([piece if isinstance(piece, str) else found[piece[0]] or "" for piece in pieces])


def _pieces(replacement: str, regex: re.Pattern[str]) -> list[str | tuple[str | int]]:
    """The replacement as literal texts and groups."""
    pieces: list[str | tuple[str | int]] = []
    end = 0
    for found in _GROUP.finditer(replacement):
        name = found["number"] or found["name"]
        pieces += [
            replacement[end : found.start()],
            "\\" if name is None else (int(name) if name.isdigit() else name,),
        ]
        end = found.end()
    groups = {0, *range(1, regex.groups + 1), *regex.groupindex}
    for piece in pieces:
        if isinstance(piece, tuple) and piece[0] not in groups:
            raise bad_type(f"regex_replace: the pattern has no group {show(piece[0])}")
    return [*pieces, replacement[end:]]
