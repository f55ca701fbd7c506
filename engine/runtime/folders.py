"""Folders of the engine's own: what lies in them is for their owner alone."""

from __future__ import annotations

from pathlib import Path

MODE = 0o700


def make_private(folder: Path) -> None:
    """Makes the folder and every part of its path that is missing, each private; raises `OSError`.

    `mkdir(mode, parents=True)` would give the mode to the last part only. Parts that exist stay as they are.
    """
    missing = [part for part in folder.parents if not part.exists()]
    for part in (*reversed(missing), folder):
        part.mkdir(mode=MODE, exist_ok=True)
