"""Every error of the engine, named by what to do next.

EngineError
├── InvalidPipeline   the file, the command line or a setting is wrong        exit 2
├── Halt              nothing more will work now; run again to resume         exit 3
├── Refused           another run holds the lock, state or source conflict    exit 4
├── RecordError       this record or payload cannot go on; bury it            a dead letter
├── Split             these payloads were refused together; send the halves   (raised by a vendor)
├── TurnedAway        an answer that is no success, thrown into a conversation: it may catch it and go on
└── NotNow            no usable answer; send the same request again           retried
    ├── NoAnswer      refused, reset, timed out
    └── Unreadable    a success that cannot be read proves nothing
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class EngineError(Exception):
    """The root of all errors that the engine raises on purpose."""


class InvalidPipeline(EngineError):
    """The file, the command line or a setting is wrong; nothing was sent.

    `findings` are all that is known to be wrong, where a whole file was looked at.
    """

    def __init__(self, message: str = "", *, findings: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.findings = list(findings)


class Halt(EngineError):
    """Nothing more will work now. `where` names what must be mended: a sink, a path, a source."""

    def __init__(self, reason: str, *, where: str = "", code: str = "halted") -> None:
        super().__init__(reason)
        self.reason, self.where, self.code = reason, where, code


class Refused(EngineError):
    """Another run holds the lock, the state is damaged, or the source changed under the checkpoint."""


class RecordError(EngineError):
    """One record or payload cannot go on.

    `code` is a short name in kebab case; `field` the place in the payload (`dataFields.ltv`), if any. An expression
    that fails says where: `path` in the pipeline file, and `at`, the characters of the scalar's text (start, length).
    """

    def __init__(self, code: str, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.code, self.reason, self.field = code, reason, field
        self.path: tuple[str | int, ...] | None = None
        self.at: tuple[int, int] | None = None

    def again(self, reason: str) -> RecordError:
        """The same error in other words."""
        error = RecordError(self.code, reason, self.field)
        error.path, error.at = self.path, self.at
        return error


class Split(EngineError):
    """The vendor refused these payloads together and named nobody: halve until the bad one is alone."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class TurnedAway(EngineError):
    """An answer that is no success. `response` is the answer; what is not caught is for the engine's own table."""

    def __init__(self, response: Any) -> None:
        super().__init__(f"HTTP {response.status}")
        self.response = response


class NotNow(EngineError):
    """No usable answer: wait, then send the same request again."""

    def __init__(self, reason: str, *, wait: float | None = None, ambiguous: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait  # seconds the vendor asked for, if it did
        self.ambiguous = ambiguous  # the vendor may have processed the request


class NoAnswer(NotNow):
    """Refused, reset or timed out. `ambiguous` unless the request certainly never arrived."""


class Unreadable(NotNow):
    """A success whose body is not what was promised: it proves nothing."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, ambiguous=True)
