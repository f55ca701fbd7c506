"""From nodes to the values that constructors take: secrets, units and paths, as a schema's annotations say.

`x-secret: true` gives a `Secret`; `x-unit: duration | size | ratio` seconds, bytes or a fraction; `x-path: true` an
absolute path (addresses and `-` stay; for constructors that take no `base`); `x-expression: true` the text as a
template's.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.config.messages import printable
from engine.config.nodes import Node
from engine.config.nodes import Path as NodePath
from engine.config.references import Schema, step_into
from engine.config.units import FORMS, read_unit
from engine.config.variables import template
from engine.model import Problem, Secret

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_UNSENDABLE = re.compile(r"[^\x20-\x7e\xa0-\xff]")
MAX_SECRET_BYTES = 64 * 1024


@dataclass(slots=True)
class Conversion:
    """Turns nodes into values; collects what cannot be turned."""

    folder: Path
    problems: list[Problem] = field(default_factory=list)

    def value(self, node: Node, schema: Schema, path: NodePath) -> Any:
        """The value of a node as its schema's annotations say."""
        if node.kind == "map":
            template_below = {"x-expression": True} if schema.get("x-expression") else {}
            return {
                name: self.value(child, {**step_into(schema, name), **template_below}, (*path, name))
                for name, child in node.children()
            }
        if node.kind == "list":
            return [self.value(child, step_into(schema, step), (*path, step)) for step, child in node.children()]
        return self._scalar(node, schema, path)

    def _scalar(self, node: Node, schema: Schema, path: NodePath) -> Any:
        if node.value is None:
            return None
        if schema.get("x-secret"):
            return Secret(str(node.value))
        if "x-unit" in schema and not node.unset:
            return self._quantity(node, schema["x-unit"], path)
        if isinstance(node.value, float) and schema.get("type") == "integer":
            return int(node.value)
        text = template(node) if schema.get("x-expression") and node.parts else node.value
        return self._path(text, path) if schema.get("x-path") and isinstance(text, str) else text

    def _path(self, text: str, path: NodePath) -> str:
        if text.startswith("~"):
            self.problems.append(Problem("bad-value", "~ is not expanded", path, hint="write ${HOME}/…"))
        return absolute(text, self.folder)

    def _quantity(self, node: Node, unit: str, path: NodePath) -> Any:
        try:
            return read_unit(unit, node.value)
        except (ValueError, OverflowError):
            self.problems.append(Problem("bad-value", f"{path[-1]} is no {unit}", path, hint=FORMS[unit]))
            return None


def absolute(text: str, folder: Path) -> str:
    """A path below the folder, unless it is absolute, an address or `-`."""
    if text == "-" or _ADDRESS.match(text) or Path(text).is_absolute():
        return text
    return os.path.normpath(f"{folder}/{text}")


# --- secrets ---------------------------------------------------------------------------------------------------


def secret_trouble(value: str) -> str:
    """Why a secret cannot be used in a header, or an empty text. The value itself is never told."""
    if not value:
        return "is empty"
    if _UNSENDABLE.search(value):
        return "holds a line break or another character that no header can carry"
    return ""


def read_secret_file(path: Path) -> tuple[str, str]:
    """The secret in a file, without white space around it, and why it cannot be read (one of the two is empty)."""
    trouble = secret_file_trouble(path)
    if trouble:
        return "", trouble
    try:
        with path.open("rb") as file:
            return file.read(MAX_SECRET_BYTES + 1).decode("utf-8").strip(), ""
    except (OSError, ValueError):
        return "", f"the secret file {_shown(path)} cannot be read as text"


def secret_file_trouble(path: Path) -> str:
    """Why a file cannot hold a secret, without opening it; an empty text if it can."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return f"the secret file {_shown(path)} does not exist or is out of reach"
    if not stat.S_ISREG(found.st_mode):
        return f"the secret file {_shown(path)} is no regular file"
    if found.st_size > MAX_SECRET_BYTES:
        return f"the secret file {_shown(path)} is larger than {MAX_SECRET_BYTES // 1024} KiB"
    return ""


def _shown(path: Path) -> str:
    return printable(str(path))[:200]
