"""One record through the mappings, field by field: what each gives, or why it gives nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from engine.config.nodes import Path
from engine.errors import InvalidPipeline
from engine.mapping.compiler import compile_mapping
from engine.model import Failure, PlacedFailure
from engine.trials.coverage import dotted
from engine.trials.running import Seen

KINDS = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null", list: "array",
         dict: "object"}  # fmt: skip
OMITTED: Any = object()


@dataclass(frozen=True)
class Field:
    """A field of a mapping. `path` is its place in the pipeline file, `at` the start and length of what fails there.

    `value` is `OMITTED` where the field is left out.
    """

    path: Path
    name: str
    value: Any = OMITTED
    failure: Failure | None = None
    element: int | None = None

    @property
    def at(self) -> tuple[int, int] | None:
        return self.failure.at if isinstance(self.failure, PlacedFailure) else None

    @property
    def kind(self) -> str:
        """The JSON type of the value."""
        return KINDS.get(type(self.value), type(self.value).__name__)


def fields_of(seen: Seen, record: int = 0) -> Iterator[Field]:
    """Every field for one record of a micro-batch: each is computed alone, so that one's failure hides no other.

    Nothing where `when` leaves the record out. What fails before any field (`let`, `when`, `each`) comes alone.
    """
    spec = seen.plan.spec
    root: Path = ("mappings", spec.name)
    before = _parts(seen, {}, record)
    if isinstance(before, Failure):
        yield Field(_blamed(before, (*root, *_steps(before.field))), before.field or spec.name, failure=before)
        return
    if not before:
        return
    for path, value in _leaves(spec.fields):
        name, place = dotted(path) or "the payload", (*root, "fields", *path)
        for element, found in enumerate(_alone(seen, value, record)):
            at = element if spec.each is not None else None
            if isinstance(found, Failure):
                inner = [step for step in found.field.split(".")[1:] if step]
                found = _of_the_file(found, place)
                yield Field(_blamed(found, place), ".".join([name, *inner]), failure=found, element=at)
            else:
                yield Field(place, name, found, element=at)


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Fields that are computed alone: lists of `$each` as a whole."""
    if isinstance(value, dict) and value and "$each" not in value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path, value


def _alone(seen: Seen, value: Any, record: int) -> list[Any]:
    """What one field gives, per element of `each`; a `Failure` where it gives nothing."""
    whole = value is seen.plan.spec.fields
    made = _parts(seen, value if whole else {"value": value}, record)
    if isinstance(made, Failure):
        return [made]
    return [payload if whole else payload.get("value", OMITTED) for payload in made]


def _parts(seen: Seen, fields: Any, record: int) -> list[Any] | Failure:
    """The payloads that the mapping would make of the record if it had these fields only."""
    spec = replace(seen.plan.spec, fields=fields)
    mapper, problems = compile_mapping(spec, context=seen.plan.context, columns=seen.rows.columns)
    if mapper is None:
        raise InvalidPipeline("; ".join(problem.message for problem in problems))
    for name in mapper.needs_lookups:
        if isinstance(lost := seen.lookups[name][record], Failure):
            return lost
    mapped = mapper(seen.rows, [record], seen.lookups)
    return mapped.failed[0][1] if mapped.failed else mapped.payloads


def _of_the_file(failure: Failure, place: Path) -> Failure:
    """A field that was computed alone stood under `fields.value`; in the file it stands at `place`."""
    if not isinstance(failure, PlacedFailure) or failure.path[2:4] != ("fields", "value"):
        return failure
    moved = PlacedFailure(*failure)
    moved.path, moved.at = (*place, *failure.path[4:]), failure.at
    return moved


def _blamed(failure: Failure, otherwise: Path) -> Path:
    """The place of the expression that failed."""
    return failure.path if isinstance(failure, PlacedFailure) else otherwise


def _steps(field: str) -> Path:
    """`let.total` → its path below the mapping."""
    head, _, rest = field.partition(".")
    if head == "let":
        return ("let", rest.partition(".")[0]) if rest else ("let",)
    return (head,) if head in ("when", "each", "key") else ("fields",)
