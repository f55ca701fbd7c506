"""The targeting rules of the vendor's decision server.

A test says True, False or `None`: the kinds do not go together, and the whole variation group does not match.
Kinds are text, number, boolean, list, null and object; a number never equals a boolean.
"""

from __future__ import annotations

import operator as compare
from collections.abc import Callable
from typing import Any

from engine.vendors.buckets import semver
from engine.vendors.buckets.document import Finding, Group, Rule, shown
from engine.vendors.buckets.folding import fold, lower

Test = Callable[[Any], bool | None]
ABSENT = object()
DEPTH = 16  # lists within lists within a rule's value
ANY_OF, ALL_OF = ("EQUALS", "CONTAINS"), ("NOT_EQUALS", "NOT_CONTAINS")
NUMBERS = frozenset({int, float})
SAME_KIND: dict[type, frozenset[type]] = {
    str: frozenset({str}), bool: frozenset({bool}), int: NUMBERS, float: NUMBERS,
}  # fmt: skip
PRESENCE = {"EXISTS": True, "NOT_EXISTS": False}
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "LOWER_THAN": compare.lt,
    "GREATER_THAN": compare.gt,
    "LOWER_THAN_OR_EQUALS": compare.le,
    "GREATER_THAN_OR_EQUALS": compare.ge,
}
EQUALITY: dict[str, Callable[[Any, Any], bool]] = {"EQUALS": compare.eq, "NOT_EQUALS": compare.ne}
SEMVER = {f"SEMVER_{name}": test for name, test in {**ORDERS, **EQUALITY}.items()}
AFFIXES: dict[str, Callable[[str, str], bool]] = {
    "STARTS_WITH": str.startswith,
    "ENDS_WITH": str.endswith,
    "CONTAINS": compare.contains,
    "NOT_CONTAINS": lambda text, part: part not in text,
}
KNOWN = frozenset({*ORDERS, *EQUALITY, *SEMVER, *AFFIXES, *PRESENCE})


def matcher(group: Group, problems: list[Finding]) -> Callable[[str, Callable[..., Any]], bool]:
    """A function of the visitor's id and the context's `get`: does the group's targeting match?

    Every rule of every alternative is looked at, for one whose kinds do not go together spoils them all.
    """
    alternatives = [[_rule(rule, problems) for rule in rules] for rules in group.alternatives if rules]

    def matches(visitor_id: str, get: Callable[..., Any]) -> bool:
        matched = False
        for rules in alternatives:
            results = [rule(visitor_id, get) for rule in rules]
            if None in results:
                return False
            matched = matched or all(results)
        return matched

    return matches


def _rule(rule: Rule | None, problems: list[Finding]) -> Callable[[str, Callable[..., Any]], bool | None]:
    if rule is None:
        return lambda visitor_id, get: False
    if rule.operator not in KNOWN:
        problems.append(Finding("unknown-operator", rule.where, f"uses {shown(rule.operator)}, which never matches"))
    if rule.key == "fs_all_users":
        return lambda visitor_id, get: True
    if _too_deep(rule.value):
        problems.append(Finding("malformed-rule", rule.where, "has a value nested too deep; it never matches"))
        return lambda visitor_id, get: False
    key, test, presence = rule.key, tester(rule.operator, rule.value), rule.operator in PRESENCE
    if key == "fs_users":
        return lambda visitor_id, get: test(visitor_id)

    def check(visitor_id: str, get: Callable[..., Any]) -> bool | None:
        value = get(key, ABSENT)
        return False if value is ABSENT and not presence else test(value)

    return check


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH):
        level = [item for each in level if isinstance(each, list) for item in each]
        if not level:
            return False
    return True


def tester(operator: str, target: Any) -> Test:
    """The test of a context value against a rule's operator and value."""
    if operator in PRESENCE:
        wanted = PRESENCE[operator] == (target is True)
        return lambda value: (value is not ABSENT) == wanted
    if type(target) is list:
        return _over_list(operator, list, _against_list(operator, target))
    known, kinds = _scalar(operator, target), SAME_KIND.get(type(target), frozenset())
    over_list = _over_list(operator, type(target), lambda value: known(value) if type(value) in kinds else None)

    def test(value: Any) -> bool | None:
        return known(value) if type(value) in kinds else over_list(value) if type(value) is list else None

    return test


def _over_list(operator: str, kind: type, single: Test) -> Test:
    """A list in the context: any item for EQUALS and CONTAINS, all items for their opposites."""
    kinds = SAME_KIND.get(kind, frozenset({kind}))

    def test(value: Any) -> bool | None:
        if type(value) is not list:
            return single(value)
        if value and type(value[0]) not in kinds:
            return None
        results = [single(item) for item in value]
        if None in results:
            return False
        return any(results) if operator in ANY_OF else operator in ALL_OF and all(results)

    return test


def _against_list(operator: str, targets: list[Any]) -> Test:
    """A list in the rule: an item of another kind is no match, and spoils nothing but NOT_EQUALS, NOT_CONTAINS."""
    if operator not in ANY_OF and operator not in ALL_OF:
        return lambda value: False
    tests = [tester(operator, target) for target in targets]
    if operator in ANY_OF:
        return lambda value: any(test(value) for test in tests)
    return lambda value: all(test(value) for test in tests)


def _scalar(operator: str, target: Any) -> Test:
    """The test of a value of the target's own kind, where the operator goes with that kind."""
    if type(target) is str:
        return _text(operator, target)
    if type(target) is bool and operator in EQUALITY:
        same = EQUALITY[operator]
        return lambda value: same(value, target)
    if type(target) in (int, float) and operator in {**ORDERS, **EQUALITY}:
        test, number = {**ORDERS, **EQUALITY}[operator], _float(target)
        return lambda value: test(_float(value), number)
    return _clash


def _clash(value: Any) -> None:
    return None


def _text(operator: str, target: str) -> Test:
    if operator in EQUALITY:
        same, folded = EQUALITY[operator], fold(target)
        return lambda value: same(fold(value), folded)
    if operator in SEMVER:
        return _version(SEMVER[operator], semver.parse(target))
    test = ORDERS.get(operator) or AFFIXES.get(operator)
    if test is None:
        return _clash
    known, small = test, lower(target)
    return lambda value: known(lower(value), small)


def _version(test: Callable[[Any, Any], bool], target: semver.Version | None) -> Callable[[Any], bool]:
    def check(value: str) -> bool:
        version = semver.parse(value)
        return version is not None and target is not None and test(version, target)

    return check


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf") if number > 0 else float("-inf")
