"""The `stdout` sink: one JSON value a line, for looking and for pipes."""

from __future__ import annotations

import sys
from typing import Any, BinaryIO

from engine.plugin import Halt, InvalidPipeline, Payloads, Verdicts


class StdoutSink:
    """Writes the encoded payloads as they are, each with a line feed. `stream` may be set before `open`.

    What is printed cannot be taken back: after a kill, payloads since the last commit are printed again.
    """

    transactional = False
    stream: BinaryIO | None = None

    def open(self, state: Any) -> None:
        self.stream = self.stream or sys.stdout.buffer

    def write(self, payloads: Payloads) -> Verdicts | None:
        if payloads.bodies:
            self._do("write", b"\n".join([*payloads.bodies, b""]))
        return None

    def sync(self) -> Any:
        self._do("flush")
        return None

    def finish(self) -> None:
        self._do("flush")

    def part(self, number: int, of: int) -> None:
        raise InvalidPipeline("standard output is one stream, which several processes cannot share; write a file")

    def close(self) -> None:
        """Lets go; standard output itself stays open."""
        self.stream = None

    def _do(self, verb: str, *arguments: Any) -> None:
        if self.stream is None:
            return
        try:
            getattr(self.stream, verb)(*arguments)
        except ValueError as error:  # a closed file object
            raise Halt("stdout closed", where="stdout", code="stdout-closed") from error
        except OSError as error:
            reason = "stdout closed" if isinstance(error, BrokenPipeError) else f"stdout: {error.strerror or error}"
            raise Halt(reason, where="stdout", code="stdout-closed") from error
