"""The targeting rules of the SDK 2.1, as Python conditions over a context.

A condition's source holds nothing of the file: keys, values and the functions it calls are names in a namespace.
A key that is absent fails every operator; so does a value that a context cannot hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from engine.vendors.buckets.document import Finding, Group, Rule, shown
from engine.vendors.buckets.texts import text

ALWAYS, NEVER = "True", "False"
ABSENT = object()
NUMBERS = frozenset({int, float, bool})
SCALARS = frozenset({*NUMBERS, str})

ORDERS = {"GREATER_THAN": ">", "LOWER_THAN": "<", "GREATER_THAN_OR_EQUALS": ">=", "LOWER_THAN_OR_EQUALS": "<="}


class Names:
    """Hands out the names under which a condition finds what it needs: `k3` for a constant, `c2` for a context value.

    `visitor` is the name of the visitor's id.
    """

    visitor = "visitor"

    def __init__(self) -> None:
        self.constants: dict[str, Any] = {
            "kind": type, "text": text, "Text": str, "numbers": NUMBERS, "scalars": SCALARS, "absent": ABSENT,
        }  # fmt: skip
        self.keys: dict[str, str] = {}
        self.problems: list[Finding] = []

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def key(self, key: str) -> str:
        return self.keys.setdefault(key, f"c{len(self.keys)}")


def condition(group: Group, names: Names) -> str:
    """The source of an expression that is true where the group's targeting matches."""
    alternatives = [_all(rules, names) for rules in group.alternatives]
    if ALWAYS in alternatives:
        return ALWAYS
    possible = [alternative for alternative in alternatives if alternative != NEVER]
    return " or ".join(possible) if possible else NEVER


def _all(rules: Iterable[Rule | None], names: Names) -> str:
    terms = [NEVER if rule is None else _term(rule, names) for rule in rules]
    if NEVER in terms:
        return NEVER
    needed = [f"({term})" for term in terms if term != ALWAYS]
    return " and ".join(needed) if needed else ALWAYS


def _term(rule: Rule, names: Names) -> str:
    if rule.operator not in OPERATORS:
        names.problems.append(
            Finding(
                "unknown-operator", rule.where, f"uses {shown(rule.operator)}, which never matches by these rules"
            )
        )
        return ALWAYS if rule.key == "fs_all_users" else NEVER
    if rule.key == "fs_all_users":
        return ALWAYS
    subject = names.visitor if rule.key == "fs_users" else names.key(rule.key)
    try:
        return OPERATORS[rule.operator](rule.operator, subject, rule.value, names)
    except RecursionError:
        names.problems.append(Finding("malformed-rule", rule.where, "has a value nested too deep; it never matches"))
        return NEVER


# --- one function per family of operators: (operator, subject, target, names) -> source ---------------------


def _equals(_: str, subject: str, target: Any, names: Names) -> str:
    if isinstance(target, list):
        return f"kind({subject}) in scalars and {subject} in {names.constant(_comparable(target))}"
    if type(target) not in SCALARS:
        return NEVER
    return f"{subject} == {names.constant(target)}"


def _not_equals(_: str, subject: str, target: Any, names: Names) -> str:
    if isinstance(target, list):
        return f"kind({subject}) in scalars and {subject} not in {names.constant(_comparable(target))}"
    if type(target) not in SCALARS:
        return f"kind({subject}) in scalars"
    return f"kind({subject}) in scalars and {subject} != {names.constant(target)}"


def _order(operator: str, subject: str, target: Any, names: Names) -> str:
    comparison = f"{subject} {ORDERS[operator]}"
    if type(target) is str:
        return f"kind({subject}) is Text and {comparison} {names.constant(target)}"
    if type(target) in NUMBERS:
        return f"kind({subject}) in numbers and {comparison} {names.constant(target)}"
    return NEVER


def _contains(operator: str, subject: str, target: Any, names: Names) -> str:
    wanted = operator == "CONTAINS"
    if isinstance(target, list):
        found = f"{names.constant(_any_inside([text(item) for item in target]))}({{}})"
        found = found if wanted else f"not {found}"
    else:
        found = f"{names.constant(text(target))} {'in' if wanted else 'not in'} {{}}"
    return _on_text(subject, found)


def _affix(operator: str, subject: str, target: Any, names: Names) -> str:
    method = "startswith" if operator == "STARTS_WITH" else "endswith"
    return _on_text(subject, f"{{}}.{method}({names.constant(text(target))})")


def _on_text(subject: str, test: str) -> str:
    plain, other = test.format(subject), test.format(f"text({subject})")
    return f"{plain} if kind({subject}) is Text else kind({subject}) in numbers and {other}"


def _any_inside(needles: list[str]) -> Callable[[str], bool]:
    def search(haystack: str) -> bool:
        return any(needle in haystack for needle in needles)

    return search


def _comparable(items: list[Any]) -> frozenset[Any]:
    """Null, lists and objects equal no context value. Equal numbers hash alike whatever their kind."""
    return frozenset(item for item in items if type(item) in SCALARS)


OPERATORS: dict[str, Callable[[str, str, Any, Names], str]] = {
    "EQUALS": _equals,
    "NOT_EQUALS": _not_equals,
    "CONTAINS": _contains,
    "NOT_CONTAINS": _contains,
    "STARTS_WITH": _affix,
    "ENDS_WITH": _affix,
    **dict.fromkeys(ORDERS, _order),
}
