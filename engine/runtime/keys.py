"""What columns a source has, as far as that is known beforehand; its `key` is one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engine.config.messages import did_you_mean
from engine.config.pipeline import SourceSpec
from engine.errors import EngineError, InvalidPipeline
from engine.model import Problem
from engine.plugin import Source
from engine.runtime.unfit import bad_setting

Shapes = list[tuple[str, ...] | None]
"""The sets of columns that rows are known to have; None where they are not known."""


def key_problems(spec: SourceSpec, shapes: Iterable[tuple[str, ...] | None]) -> list[Problem]:
    """A key that a file's header does not have; `shapes` are the columns of files, None where they are not known."""
    for columns in shapes:
        if spec.key is not None and columns is not None and spec.key not in columns:
            message = f'{spec.name} has no column "{spec.key}" that could be its key'
            hint = did_you_mean(spec.key, columns)
            return [Problem("unknown-column", message, ("sources", spec.name, "key"), hint=hint)]
    return []


def common_shapes(sources: Sequence[Source], declared: int) -> Shapes:
    """What is known of the columns of any record, where one source is `declared` and could be made; else nothing."""
    return shapes_of(sources[0]) if len(sources) == declared == 1 else [None]


def shapes_of(source: Source) -> Shapes:
    """The sets of columns that can be known beforehand: by headers, else by the source's `declared` ones, if any."""
    try:
        look = getattr(source, "shapes", None)  # what costs little, whatever the file says
        found = look() if look else {source.columns(name) for name in source.partitions()}
    except (EngineError, OSError):
        found = set()
    if not found - {None}:
        return [getattr(source, "declared", None)]
    return sorted(found, key=lambda c: c or ())


def header_problems(spec: SourceSpec, source: Source) -> list[Problem]:
    """A header that a run would refuse, as far as it is there to read: doubled columns, or a missing one."""
    look = getattr(source, "shapes", None)
    try:
        if look is not None:
            look()
    except InvalidPipeline as error:
        return [bad_setting(error, "sources", spec)]
    except (EngineError, OSError):
        pass
    return []
