"""Two files with one `name` share positions, locks and dead letters: hardly ever is that meant."""

from __future__ import annotations

from pathlib import Path

from engine.config.pipeline import Pipeline
from engine.errors import Refused
from engine.runtime.state import State

SPACE = "#file"  # no pipeline's name can hold it


def namesake(state: State, pipeline: Pipeline, *, unfinished: bool) -> str | None:
    """Remembers whose state this is. A warning where the last run under the name was of another file that is still
    there; `Refused` where that run is `unfinished`: this file would go on with the other's position.
    """
    own = pipeline.path.resolve()
    before = state.recall(SPACE, state.pipeline)
    other = Path(before.decode("utf-8", "surrogateescape")) if before else own
    shared = other != own and other.is_file()
    if shared and unfinished:
        raise Refused(
            f"a run of {pipeline.name} was cut off, and it was of another file, {other}: give one of the two another "
            "name, finish that run, or start anew with --fresh"
        )
    if other != own or before is None:
        state.remember(SPACE, state.pipeline, str(own).encode("utf-8", "surrogateescape"))
    if not shared:
        return None
    return f"name-shared: {other} has the name {pipeline.name}, too: they share positions, ids and dead letters"
