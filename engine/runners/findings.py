"""Everything that is known to be wrong with a file, that of its expressions and settings included."""

from __future__ import annotations

from engine.config.load import Loaded
from engine.config.messages import Finding
from engine.registry import Registry
from engine.runtime.plan import build

DUMMY_RUN = {"id": "0000000000000000", "started_at": "2000-01-01T00:00:00.000Z"}


def all_findings(loaded: Loaded, registry: Registry) -> list[Finding]:
    """Everything that is known to be wrong with a file, in its order: its shape, its expressions, its settings."""
    findings = list(loaded.findings)
    if loaded.draft is not None and loaded.document is not None:
        _, problems = build(loaded.draft.pipeline, registry, DUMMY_RUN, broken=loaded.draft.broken)
        findings += [loaded.document.place(problem) for problem in loaded.draft.news(problems)]
    unique = {(f.line, f.column, f.code, f.message): f for f in reversed(findings)}  # one mistake, used by several
    return sorted(unique.values(), key=lambda f: (f.file, f.line, f.column))
