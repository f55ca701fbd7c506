"""Deciding as the SDK 2.1 does, its plain defects mended: one generated function walks all campaigns.

Generated, because a pipeline decides millions of times over one file: conditions become plain comparisons, and a
group whose hundred buckets all give the same variation needs no hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.plugin import RecordError
from engine.vendors.buckets.decision import Decision
from engine.vendors.buckets.document import Broken, Campaign, File, Finding, Group, Variation
from engine.vendors.buckets.hashing import BUCKETS, murmur, running_sums, table, utf8
from engine.vendors.buckets.python21 import ALWAYS, NEVER, Names, condition

Choice = Variation | Broken | None
Walk = Callable[..., None]  # the parameters are those of `walk` below
PANIC = Decision(panic=True)


class PythonDecider:
    """Decides for `rules: python-2.1`. `problems` names what the file has that is malformed or never matches."""

    rules = "python-2.1"

    def __init__(self, file: File) -> None:
        names = Names()
        picks = [[_Pick(group, condition(group, names)) for group in campaign.groups] for campaign in file.campaigns]
        self.panic = file.panic
        self.campaigns: tuple[Campaign, ...] = file.campaigns
        self._hashing = _compile(picks, names, _Pick.by_hash)
        self._remembering = _compile(picks, names, _Pick.by_call)
        self.problems = (*file.problems, *dict.fromkeys(names.problems))

    def decide(
        self,
        visitor_id: str,
        context: Mapping[str, Any],
        cached: Iterable[Any] | None = None,
        *,
        anonymous: Any = None,
        decision_group: str = "",
    ) -> Decision:
        """One visitor's decision. `context` is the whole context, presets included; `cached` the remembered ids.

        `anonymous` and `decision_group` belong to `rules: server` and change nothing here. Raises `RecordError` for
        a visitor id that is no text.
        """
        if self.panic:
            return PANIC
        if not isinstance(visitor_id, str):
            raise RecordError("visitor-id", f"A visitor id must be a text, not {type(visitor_id).__name__}.")
        chosen: list[Variation] = []
        problems: list[Finding] = []
        raw = utf8(visitor_id)
        if cached is None:
            self._hashing(visitor_id, raw, context.get, chosen.append, problems.append, None)
        else:
            self._remembering(visitor_id, raw, context.get, chosen.append, problems.append, _ids(cached))
        return Decision(chosen, False, problems)


class _Pick:
    """How a group chooses a variation, and the source of doing so."""

    def __init__(self, group: Group, when: str) -> None:
        self.group, self.when = group, when
        self.raw = utf8(group.id)
        self.table = _table(group)
        self.walk = [_remembered(variation) for variation in group.variations]

    def __call__(self, raw: bytes, ids: frozenset[Any]) -> Choice:
        """The first variation that is remembered, else the bucket's. The walk may end at one that cannot be read."""
        for name, choice in self.walk:
            if name is None or name in ids:
                return choice
        return self.table[murmur(self.raw + raw) % BUCKETS]

    def by_hash(self, names: Names) -> str:
        if all(choice is self.table[0] for choice in self.table):
            return names.constant(self.table[0])
        return f"{names.constant(self.table)}[murmur({names.constant(self.raw)} + raw) % {BUCKETS}]"

    def by_call(self, names: Names) -> str:
        return f"{names.constant(self)}(raw, ids)"


def _remembered(variation: Variation | Broken) -> tuple[str | int | None, Variation | Broken]:
    """An id and what it stands for; no id for a variation that spoils its group as soon as it is looked at."""
    known = variation.known if isinstance(variation, Broken) else variation
    return (None, variation) if known is None else (known.id, known)


def _table(group: Group) -> list[Choice]:
    """The choice of each bucket. From a broken variation on, whoever gets there gets it."""
    readable: list[Variation] = []
    beyond: Broken | None = None
    for variation in group.variations:
        if isinstance(variation, Broken):
            beyond = variation
            break
        readable.append(variation)
    sums = running_sums([variation.allocation for variation in readable])
    choices: list[Choice] = list(readable)
    return table(sums, choices, beyond)


def _ids(cached: Iterable[Any]) -> frozenset[Any]:
    values = cached.values() if isinstance(cached, Mapping) else cached
    return frozenset(value for value in values if isinstance(value, str | int))


def _compile(picks: list[list[_Pick]], names: Names, pick: Callable[[_Pick, Names], str]) -> Walk:
    body = [line for campaign in picks for line in _campaign(campaign, names, pick)]
    reads = [f"    {name} = get({names.constant(key)}, absent)" for key, name in names.keys.items()]
    source = ["def walk(visitor, raw, get, choose, note, ids):", *reads, *body, "    return None"]
    namespace = {**names.constants, "__builtins__": {}, "murmur": murmur, "Broken": Broken}
    exec(compile("\n".join(source), "<bucketing file>", "exec"), namespace)  # noqa: S102 - nothing of the file is in it
    walk: Walk = namespace["walk"]
    return walk


def _campaign(picks: list[_Pick], names: Names, pick: Callable[[_Pick, Names], str]) -> list[str]:
    """The first group that matches and has a variation decides; a gap goes on to the next group."""
    lines: list[str] = []
    for each in picks:
        if each.when == NEVER or (not each.group.variations):
            continue
        first = not lines
        tests = [] if first else ["found is None"]
        tests += [] if each.when == ALWAYS else [each.when if first else f"({each.when})"]
        if first and tests:
            lines.append("    found = None")
        indent = "    "
        if tests:
            lines.append(f"    if {' and '.join(tests)}:")
            indent = "        "
        lines.append(f"{indent}found = {pick(each, names)}")
        if any(isinstance(variation, Broken) for variation in each.group.variations):
            lines += [
                f"{indent}if kind(found) is Broken:",
                f"{indent}    note(found.finding)",
                f"{indent}    found = None",
            ]
    if lines:
        lines += ["    if found is not None:", "        choose(found)"]
    return lines
