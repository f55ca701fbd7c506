"""The `discard` sink: takes everything and keeps nothing, for measuring and for trying out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.plugin import Payloads, Verdicts


class DiscardSink:
    """A writer that writes nowhere."""

    transactional = False

    def open(self, state: Any) -> None: ...

    def write(self, payloads: Payloads) -> Verdicts | None:
        return None

    def sync(self) -> Any:
        return None

    def part(self, number: int, of: int) -> None: ...

    def join(self, states: Sequence[Any]) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...
