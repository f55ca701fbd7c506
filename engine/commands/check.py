"""`engine check`: all findings of all files in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.commands.files import checked
from engine.commands.sarif import sarif
from engine.config.messages import Finding
from engine.console import json_text, several, stderr, stdout
from engine.registry import Registry


def check_files(files: Sequence[Path], sets: Sequence[str], env: str | None, style: str) -> int:
    """0 where no file has an error (warnings are no errors), else 2."""
    registry = Registry.installed()
    found: list[Finding] = []
    for file in files:
        found += checked(file, registry, sets, env, sandbox=False, sending=False)[1]
    _show(found, style)
    errors = sum(finding.is_error for finding in found)
    stderr(_summary(len(files), errors, len(found) - errors))
    return 2 if errors else 0


def _show(findings: Sequence[Finding], style: str) -> None:
    if style == "sarif":
        stdout(json_text(sarif(findings), indent=2) + "\n")
        return
    for finding in findings:
        if style == "json":
            stdout(json_text(finding.to_json()) + "\n")
        else:
            stderr(finding.render())


def _summary(files: int, errors: int, warnings: int) -> str:
    checked_files = several(files, "file")
    if not errors and not warnings:
        return f"{checked_files} checked, nothing wrong"
    return f"{checked_files} checked: {several(errors, 'error')}, {several(warnings, 'warning')}"
