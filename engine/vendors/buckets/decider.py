"""Bucketing file in, decider out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from engine.plugin import InvalidPipeline
from engine.vendors.buckets.decision import Decision
from engine.vendors.buckets.document import Finding
from engine.vendors.buckets.parse import read_file
from engine.vendors.buckets.python_decider import PythonDecider
from engine.vendors.buckets.server_decider import ServerDecider

RULES: Mapping[str, Any] = {kind.rules: kind for kind in (PythonDecider, ServerDecider)}


class Decider(Protocol):
    """A compiled bucketing file. It never changes and may be shared between threads."""

    rules: str
    panic: bool  # nobody is assigned anything
    problems: Sequence[Finding]  # what the file has that is malformed, or can never match

    def decide(
        self,
        visitor_id: str,
        context: Mapping[str, Any],
        cached: Any = None,
        *,
        anonymous: Any = None,
        decision_group: str = "",
    ) -> Decision: ...


def compile_file(document: Any, rules: str = "python-2.1") -> Decider:
    """Compiles a decoded bucketing file once, to decide for any number of visitors.

    Raises `Unreadable` where the document is no JSON object, `InvalidPipeline` for rules that do not exist.
    Everything else that is wrong with it is named in `Decider.problems` and skipped.
    """
    if rules not in RULES:
        raise InvalidPipeline(f"rules: {rules!r} does not exist; choose one of {', '.join(RULES)}.")
    decider: Decider = RULES[rules](read_file(document))
    return decider
