"""Run reports for programs: a JSON line each, on stdout (`--json`) and in a file (`--report`)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from engine.console import json_text, lose, stderr
from engine.errors import Halt
from engine.runtime.masks import Masker


class Reports:
    """Where the reports of one command go. Made before anything is sent: raises `Halt` for a file it cannot write."""

    def __init__(self, as_json: bool, path: Path | None) -> None:
        self._as_json, self._path = as_json, path
        self._lines: list[str] = []
        if path is not None:
            self._write(os.O_APPEND, "")

    def publish(self, report: dict[str, Any], mask: Masker) -> None:
        """A report joins those of the files before it."""
        line = mask.json(json_text(report)) + "\n"
        self._lines.append(line)
        if self._as_json:
            _print(line)
        if self._path is not None:
            self._write(os.O_TRUNC, "".join(self._lines))

    def _write(self, how: int, text: str) -> None:
        """A report may name files and counts of a business: readable by its owner only."""
        assert self._path is not None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | how, 0o600), "w", encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            reason = f"cannot write the report: {error.strerror}"
            raise Halt(reason, where=str(self._path), code="disk") from error


def _print(line: str) -> None:
    try:
        sys.stdout.write(line)
        sys.stdout.flush()
    except OSError as error:  # what the run came to does not change
        gone = isinstance(error, BrokenPipeError)
        why = "nobody reads stdout any more" if gone else f"cannot write to stdout: {error.strerror}"
        stderr(f"{why}: the report went nowhere")
        lose(sys.stdout)
