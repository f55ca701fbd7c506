"""A source's `key`: a column that its rows have."""

from __future__ import annotations

from collections.abc import Iterable

from engine.config.messages import did_you_mean
from engine.config.pipeline import SourceSpec
from engine.model import Problem


def key_problems(spec: SourceSpec, shapes: Iterable[tuple[str, ...] | None]) -> list[Problem]:
    """A key that a file's header does not have; `shapes` are the columns of files, None where they are not known."""
    for columns in shapes:
        if spec.key is not None and columns is not None and spec.key not in columns:
            message = f'{spec.name} has no column "{spec.key}" that could be its key'
            hint = did_you_mean(spec.key, columns)
            return [Problem("unknown-column", message, ("sources", spec.name, "key"), hint=hint)]
    return []
