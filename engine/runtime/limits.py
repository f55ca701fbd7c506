"""When a run has seen too many errors to go on."""

from __future__ import annotations

from engine.config.pipeline import Errors
from engine.runtime.counts import Counts

JUDGED_FROM = 1000  # records; a ratio of fewer says nothing


def too_many(counts: Counts, errors: Errors) -> str | None:
    """The reason to halt, or None. Every dead letter counts."""
    bad = counts.dead_letters
    if errors.max_count is not None and bad > errors.max_count:
        return f"{bad} dead letters are more than errors.max_count ({errors.max_count})"
    read = sum(source.read for source in counts.sources.values())
    if errors.max_ratio is not None and read >= JUDGED_FROM and bad > errors.max_ratio * read:
        return f"{bad} dead letters in {read} rows are more than errors.max_ratio ({errors.max_ratio:.2%})"
    return None
