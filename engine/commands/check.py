"""`engine check`: all findings of all files in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from engine.commands.files import checked
from engine.commands.sarif import sarif
from engine.config.load import Loaded
from engine.config.messages import Finding
from engine.console import json_text, several, stderr, stdout
from engine.registry import Registry


def check_files(files: Sequence[Path], sets: Sequence[str], env: str | None, style: str) -> int:
    """0 where no file has an error (warnings are no errors), else 2."""
    registry = Registry.installed()
    found: list[Finding] = []
    for file in files:
        loaded, findings = checked(file, registry, sets, env, sandbox=False, sending=False)
        found += findings
        if env is None:
            found += _elsewhere(file, registry, sets, loaded, findings)
    _show(found, style)
    errors = sum(finding.is_error for finding in found)
    stderr(_summary(len(files), errors, len(found) - errors))
    return 2 if errors else 0


OF_A_PLACE = frozenset({"unset-variable", "unreadable-secret"})
"""What is found where a file is checked, and need not be so where it will run."""


def _elsewhere(
    file: Path, registry: Registry, sets: Sequence[str], loaded: Loaded, findings: Sequence[Finding]
) -> list[Finding]:
    """What is wrong in the environments of a file only: each is laid over it as `--env` would do."""
    root = loaded.document.root.get("environments") if loaded.document is not None else None
    seen = {_known(finding) for finding in findings}
    found: list[Finding] = []
    for name in root.entries if root is not None else ():
        for finding in checked(file, registry, sets, name, sandbox=False, sending=False)[1]:
            if finding.code not in OF_A_PLACE and _known(finding) not in seen:
                seen.add(_known(finding))
                found.append(replace(finding, message=f"{finding.message} (with --env {name})"))
    return found


def _known(finding: Finding) -> tuple[object, ...]:
    return finding.line, finding.column, finding.code, finding.message


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
