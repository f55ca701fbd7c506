"""The files of a new project, as `engine init` writes them: here by their own names, there by those of `FILES`."""

from __future__ import annotations

from importlib.resources import files

FILES = {
    "README.md": "README.md",
    ".gitignore": "gitignore.txt",
    "pipelines/customers.yaml": "customers.yaml",
    "pipelines/data/customers.csv": "customers.csv",
    "pipelines/data/one.json": "one.json",
}
SCHEMA = "pipelines/pipeline.schema.json"
"""For editors: made of what is installed, not copied."""


def content(name: str) -> bytes:
    """What a file of a new project holds."""
    return files(__package__).joinpath(FILES[name]).read_bytes()
