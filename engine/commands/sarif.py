"""Findings as SARIF 2.1.0, the form in which code hosts show them beside the lines of a change."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.config.messages import Finding
from engine.explanations import explanations

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Iterable[Finding]) -> dict[str, Any]:
    """One run of `engine check` as a SARIF log."""
    found = list(findings)
    codes = sorted({finding.code for finding in found})
    tool = {"name": "engine", "version": version("engine"), "rules": [_rule(code) for code in codes]}
    results = [_result(finding, codes.index(finding.code)) for finding in found]
    run = {"tool": {"driver": tool}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    said = explanations().get(code)
    if not said:
        return {"id": code}
    return {"id": code, "shortDescription": {"text": said[0].means}, "help": {"text": said[0].do}}


def _result(finding: Finding, rule: int) -> dict[str, Any]:
    text = f"{finding.message}; {finding.hint}" if finding.hint else finding.message
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(finding.file)}}
    if finding.line:
        place["region"] = _region(finding.line, finding.column, finding.length)
    result: dict[str, Any] = {
        "ruleId": finding.code, "ruleIndex": rule, "level": finding.severity, "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }  # fmt: skip
    if finding.related is not None:
        related = finding.related
        result["relatedLocations"] = [{
            "message": {"text": related.note},
            "physicalLocation": {**place, "region": _region(related.line, related.column, 1)},
        }]  # fmt: skip
    return result


def _region(line: int, column: int, length: int) -> dict[str, int]:
    return {"startLine": line, "startColumn": column, "endColumn": column + max(1, length)}


def _uri(file: str) -> str:
    """A path below the working directory as a relative reference, any other as a whole one."""
    path = Path(os.path.abspath(file))  # noqa: PTH100 - links stay as they were named
    if path.is_relative_to(Path.cwd()):
        return Path(path.relative_to(Path.cwd())).as_posix().replace(" ", "%20")
    return path.as_uri()
