"""What the commands share: load pipeline files and show what is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import click

from engine.config.load import Loaded, load
from engine.config.messages import Finding
from engine.config.pipeline import Pipeline
from engine.console import stderr
from engine.errors import InvalidPipeline
from engine.registry import Registry
from engine.runners.findings import all_findings as all_findings
from engine.runners.pretended import pretended, unpretended


def checked(
    file: Path, registry: Registry, sets: Sequence[str], env: str | None, *, sandbox: bool, sending: bool
) -> tuple[Loaded, list[Finding]]:
    """The file and all findings about it, those of its expressions included."""
    loaded = load(
        file, registry, sets=parse_sets(sets), env=env, environ=os.environ, sandbox=sandbox, sending=sending
    )
    return loaded, all_findings(loaded, registry)


def load_all(
    files: Sequence[Path], registry: Registry, sets: Sequence[str], env: str | None, *, sandbox: bool, sending: bool
) -> list[tuple[Pipeline, tuple[str, ...]]] | None:
    """The pipelines with their secrets; None where any file is wrong. Findings go to stderr."""
    found, wrong = [], False
    for file in files:
        loaded, findings = checked(file, registry, sets, env, sandbox=sandbox, sending=sending)
        for finding in findings:
            stderr(finding.render())
        wrong |= any(finding.is_error for finding in findings)
        if loaded.pipeline is not None:
            if sandbox:
                _tell_of_strangers(file, loaded.pipeline, registry)
            found.append((pretended(loaded.pipeline, registry) if sandbox else loaded.pipeline, loaded.secrets))
    return None if wrong else found


def _tell_of_strangers(file: Path, pipeline: Pipeline, registry: Registry) -> None:
    for vendor in unpretended(pipeline, registry):
        stderr(f"{file}: warning: nothing in the sandbox answers as {vendor}; `engine test` does, by `vendor:`")


def pipeline_of(file: Path, state: Path | None = None) -> Pipeline:
    """The pipeline of a file for commands that send nothing; unset variables do not matter to them."""
    from dataclasses import replace

    loaded = load(file, Registry.installed(), sets={}, env=None, environ=os.environ, sandbox=True, sending=False)
    if loaded.pipeline is None:
        for finding in loaded.findings:
            stderr(finding.render())
        raise InvalidPipeline(f"{file} is not a pipeline that can be read")
    return loaded.pipeline if state is None else replace(loaded.pipeline, state=state.absolute())


def parse_sets(sets: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise click.UsageError(f"--set takes name=value, not {text!r}")
        found[name] = value
    return found
