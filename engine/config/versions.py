"""The version of a file's format, and the one place where older files are read as the present version's.

When version 2 comes: `CURRENT` becomes 2 (the schema's `version` too), and `UPGRADES[1]` turns the tree of a file of
version 1 into one of version 2. It moves nodes and keeps them, so that every finding stays at the line that the
author wrote; a warning says what to write now. Files of older versions are upgraded step by step, and never
rewritten on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from engine.config.nodes import Entry, Node
from engine.model import Problem

Upgrade = Callable[[Node], tuple[Node, list[Problem]]]

CURRENT = 1
UPGRADES: Mapping[int, Upgrade] = {}
"""By the version that they start from; each gives a tree of the next version, and warnings."""


def upgraded(
    root: Node, current: int = CURRENT, upgrades: Mapping[int, Upgrade] = UPGRADES
) -> tuple[Node | None, list[Problem]]:
    """The tree as one of the current version; None where the file is of a later one, which nothing here can judge."""
    node = root.get("version")
    version = node.value if node is not None else None
    if isinstance(version, bool) or not isinstance(version, int):
        return root, []  # the schema says so
    if version > current:
        message = f"the file is of version {version}, and this engine reads versions up to {current}"
        return None, [Problem("bad-version", message, ("version",), hint="upgrade the engine, or use an older file")]
    problems: list[Problem] = []
    for number in range(version, current):
        if number not in upgrades:
            return root, []  # no such version ever was: the schema says so
        root, found = upgrades[number](root)
        problems += found
    return (root if version == current else _labelled(root, current)), problems


def _labelled(root: Node, version: int) -> Node:
    """The tree with this version; its place stays where the author wrote the old one."""
    entry = root.entries["version"]
    node = replace(entry.value, value=version, text=str(version))
    return root.with_entries({**root.entries, "version": Entry(node, entry.key, entry.used)})
