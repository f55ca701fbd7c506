"""`engine init`: a project that passes `check` and `test` and runs at once against the pretend vendors."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from engine.config.editors import composed_schema
from engine.console import near
from engine.errors import InvalidPipeline
from engine.registry import Registry
from engine.template import FILES, SCHEMA, content

YOURS = {"README.md": "", ".gitignore": ": it should hold the line `.engine/`"}
"""What a folder may have before: it stays as it is."""


def make_project(folder: Path) -> int:
    """Writes the files of a new project; raises `InvalidPipeline`, and writes nothing, where a pipeline is there."""
    new = {name: content(name) for name in FILES}
    new[SCHEMA] = msgspec.json.format(msgspec.json.encode(composed_schema(Registry.installed())), indent=2) + b"\n"
    there = [name for name in new if (folder / name).exists() or (folder / name).is_symlink()]
    kept = [name for name in there if name in YOURS]
    new = {name: data for name, data in new.items() if name not in kept}
    if there := [name for name in there if name not in kept]:
        raise InvalidPipeline(f"{near(folder)} has {', '.join(there)} already; nothing was written")
    try:
        for name, data in new.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(data)
    except OSError as error:
        raise InvalidPipeline(f"{error.filename}: cannot be written: {error.strerror}") from error
    click.echo("\n".join(f"wrote {near(folder / name)}" for name in new))
    for name in kept:
        click.echo(f"kept {near(folder / name)}{YOURS[name]}")
    pipeline = near(folder / "pipelines/customers.yaml")
    click.echo(f"\nNow: engine check {pipeline}\n     engine test {pipeline}\n     engine run {pipeline} --sandbox")
    return 0
