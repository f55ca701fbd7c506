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


def make_project(folder: Path) -> int:
    """Writes the files of a new project; raises `InvalidPipeline`, and writes nothing, where one is there."""
    new = {name: content(name) for name in FILES}
    new[SCHEMA] = msgspec.json.format(msgspec.json.encode(composed_schema(Registry.installed())), indent=2) + b"\n"
    there = [name for name in new if (folder / name).exists() or (folder / name).is_symlink()]
    if there:
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
    pipeline = near(folder / "pipelines/customers.yaml")
    click.echo(f"\nNow: engine check {pipeline}\n     engine test {pipeline}\n     engine run {pipeline} --sandbox")
    return 0
