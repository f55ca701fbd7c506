"""From mapped payloads to items: checked against the action's schema, encoded once, given their keys.

The quick way does each step for the whole micro-batch; where anything is refused, the careful way goes payload by
payload and buries what cannot go out.
"""

from __future__ import annotations

from typing import Any

from engine.errors import RecordError
from engine.model import Mapped, Rows
from engine.runtime.books import Books
from engine.runtime.lanes import Item
from engine.runtime.ledger import Ticket
from engine.runtime.payloads import REFUSALS, encode, refusal
from engine.runtime.plan import MappingPlan, SourcePlan, stable_id
from engine.runtime.sinks import SinkAction


class Packer:
    """Makes the items of a micro-batch and mapping."""

    def __init__(self, pipeline: str, books: Books) -> None:
        self._pipeline, self._books = pipeline, books

    def items(self, plan: MappingPlan, source: SourcePlan, rows: Rows, ticket: Ticket, result: Mapped) -> list[Item]:
        """One item for each payload that may go out; the others are in the books, their rows settled."""
        if plan.action.stable_id is not None:
            self._fill(plan.action.stable_id, plan, source, rows, result)
        if result.elements is None and rows.numbers is None:
            items = _quickly(plan, source, rows, ticket, result)
            if items is not None:
                return items
        return self._carefully(plan, source, rows, ticket, result)

    def _fill(self, field: str, plan: MappingPlan, source: SourcePlan, rows: Rows, result: Mapped) -> None:
        """Gives each payload a stable id, unless it has its own."""
        for number, payload in enumerate(result.payloads):
            if payload.__class__ is dict and payload.get(field) in (None, ""):
                element = 0 if result.elements is None else result.elements[number]
                identity = source.identity(rows, result.sources[number])
                payload[field] = stable_id(self._pipeline, source.spec.name, plan.spec.name, identity, element)

    def _carefully(
        self, plan: MappingPlan, source: SourcePlan, rows: Rows, ticket: Ticket, result: Mapped
    ) -> list[Item]:
        items = []
        for number, (payload, record) in enumerate(zip(result.payloads, result.sources, strict=True)):
            element = 0 if result.elements is None else result.elements[number]
            row = rows.row(record)
            try:
                fit, body = encoded(plan.action, payload)
                key = result.keys[number] if result.keys is not None else _key(plan, source, rows, record, fit)
                items.append(Item(body, key, ticket, row, element))
            except REFUSALS as error:
                self._books.rejected(plan.spec.name, rows, record, element, refusal(error), payload)
                ticket.settle(row, element)
        return items


def _quickly(plan: MappingPlan, source: SourcePlan, rows: Rows, ticket: Ticket, result: Mapped) -> list[Item] | None:
    """All items at once; None where any payload needs a closer look."""
    payloads, action = result.payloads, plan.action
    try:
        if not all(map(action.check.accepts, payloads)):
            return None
        if action.prepare is not None:
            payloads = list(map(action.prepare, payloads))
        bodies = list(map(encode, payloads))
    except REFUSALS:
        return None
    if bodies and max(map(len, bodies)) > action.max_payload:
        return None
    if result.keys is not None:
        keys: Any = result.keys
    elif action.key is not None:
        keys = map(action.key, payloads)
    else:
        keys = source.keys(rows, result.sources)
    return [Item(body, key, ticket, row) for body, key, row in zip(bodies, keys, result.sources, strict=True)]


def encoded(action: SinkAction, payload: Any) -> tuple[Any, bytes]:
    """The payload, mended if need be and prepared, and its bytes; raises one of `REFUSALS`."""
    if not action.check.accepts(payload):
        payload = _mended(action, payload)
    if action.prepare is not None:
        payload = action.prepare(payload)
    body = encode(payload)
    if len(body) > action.max_payload:
        raise RecordError("too-large", f"{len(body)} bytes are more than one request may have ({action.max_payload})")
    return payload, body


def _key(plan: MappingPlan, source: SourcePlan, rows: Rows, record: int, payload: Any) -> Any:
    return source.key(rows, record) if plan.action.key is None else plan.action.key(payload)


def _mended(action: SinkAction, payload: Any) -> Any:
    """The payload as the vendor's `mend` makes it, if that passes; else the reason of the refusal."""
    mended = payload
    if action.mend is not None:
        mended = action.mend(payload)
        if action.check.accepts(mended):
            return mended
    raise action.check.explain(mended)
