"""`engine check` of a file of two hundred fields, once the modules are there: what an editor waits for."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from engine.commands.files import checked
from engine.registry import Registry

FIELDS = 200


def least(rounds: int) -> float:
    """The best of the rounds, in seconds of CPU time: what else the machine does is no part of it."""
    with tempfile.TemporaryDirectory() as folder:
        file = written(Path(folder))
        registry = Registry.installed()
        return min(cost(file, registry) for _ in range(max(2, rounds)))


def written(folder: Path) -> Path:
    """A pipeline of one mapping, and the head of the file that it reads."""
    (folder / "people.csv").write_text("id," + ",".join(f"c{n}" for n in range(FIELDS)) + "\n")
    file = folder / "people.yaml"
    fields = "".join(f'      f{n}: "{{{{ record.c{n} | trim | lower | default(omit) }}}}"\n' for n in range(FIELDS))
    file.write_text(
        "version: 1\nname: people\nsources:\n  people: {type: file, path: people.csv, key: id}\n"
        "sinks:\n  out: {type: stdout}\nmappings:\n  people:\n    from: people\n    to: out\n    fields:\n" + fields
    )
    return file


def cost(file: Path, registry: Registry) -> float:
    began = time.process_time()
    _, findings = checked(file, registry, (), None, sandbox=True, sending=False)
    spent = time.process_time() - began
    if findings:
        raise SystemExit("\n".join(finding.render() for finding in findings))
    return spent
