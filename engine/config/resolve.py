"""Variables and secrets of a file: `${X}`, `{secret_file: …}`, and what stands in for those that are missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.config.explain import MAX_PROBLEMS
from engine.config.nodes import Entry, Node, walk
from engine.config.nodes import Path as NodePath
from engine.config.references import Schema, step_into
from engine.config.scalars import NotAScalar
from engine.config.settings import read_secret_file, secret_file_trouble, secret_trouble
from engine.config.shapes import KINDS, Shapes
from engine.config.variables import Trouble, is_whole, read_as_scalar, substitute
from engine.model import Problem

STAND_IN = "sandbox"
"""The secret that pretend vendors are given."""


@dataclass(slots=True)
class Surroundings:
    """What a file is read in: its folder, the environment, and whether anything will be sent."""

    folder: Path
    environ: Mapping[str, str]
    sandbox: bool = False
    sending: bool = True
    found: set[str] = field(default_factory=set)

    def secrets(self) -> tuple[str, ...]:
        """Every secret text that was found, longest first, so that masking one never leaves a piece of another."""
        return tuple(sorted(self.found, key=lambda text: (-len(text), text)))


class Resolver:
    """Resolves one tree; `root` is the tree afterwards."""

    def __init__(self, root: Node, shapes: Shapes, around: Surroundings) -> None:
        self.root, self.shapes, self.around = root, shapes, around
        self.problems: list[Problem] = []

    def resolve(self) -> list[Problem]:
        """Replaces variables and secret files; gives what is wrong with them."""
        self._variables()
        for kind in (*KINDS, "connections"):
            parts = self.root.get(kind)
            for name, node in list(parts.children()) if parts is not None and parts.kind == "map" else []:
                schema = self.shapes.of_part(self.root, kind, str(name))
                self._secrets(node, schema, (kind, name))
        return self.problems

    def _tell(self, problem: Problem) -> None:
        """Keeps a problem; of thousands of one severity the first will do."""
        if sum(known.warning == problem.warning for known in self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)

    # --- ${X} -------------------------------------------------------------------------------------------------

    def _variables(self) -> None:
        """Types first: which setting is secret, or a template, depends on them."""
        places = sorted(self._places(), key=lambda place: place[0][-1:] != ("type",))
        templates = {id(node) for path, node in places if self.shapes.is_template(self.root, path)}
        done: set[int] = set()
        for path, node in places:
            if id(node) not in done:
                done.add(id(node))
                template = id(node) in templates or self.shapes.is_template(self.root, path)
                for trouble in substitute(node, self.around.environ, template):
                    self._trouble(node, path, trouble)
            self._typed(node, path)

    def _places(self) -> Iterator[tuple[NodePath, Node]]:
        for name, entry in self.root.entries.items():
            if name == "environments" or name.startswith("x-"):
                continue
            for path, node in walk(entry.value, (name,)):
                if node.kind == "scalar" and "${" in node.text and isinstance(node.value, str):
                    yield path, node

    def _trouble(self, node: Node, path: NodePath, trouble: Trouble) -> None:
        secret = bool(self.shapes.at(self.root, path).get("x-secret"))
        if trouble.unset and secret and self.around.sandbox:
            node.value, node.unset = STAND_IN, True
            return
        if trouble.unset and secret:
            trouble = replace(trouble, hint=f"{trouble.hint.partition(',')[0]}, or run with --sandbox")
        warning = trouble.unset and secret and not self.around.sending
        self._tell(
            Problem(
                trouble.code, trouble.message, path, trouble.at, trouble.length, hint=trouble.hint, warning=warning
            )
        )

    def _typed(self, node: Node, path: NodePath) -> None:
        """A setting that is not text, and an unquoted var, reads what was brought in as YAML would."""
        if node.unset or not any(part.replaced for part in node.parts):
            return
        wanted = self.shapes.at(self.root, path)
        if (is_whole(node) and path[0] == "vars") or _is_no_text(wanted):
            try:
                read_as_scalar(node)
            except NotAScalar as error:
                self._tell(Problem("bad-number", str(error), path, 0))

    # --- secrets ----------------------------------------------------------------------------------------------

    def _secrets(self, node: Node, schema: Schema, path: NodePath) -> None:
        if node.kind == "scalar":
            return
        for step, child in list(node.children()):
            below = step_into(schema, step)
            if not below.get("x-secret"):
                self._secrets(child, below, (*path, step))
                continue
            if child.kind == "map" and "secret_file" in child.entries:
                child = self._secret_file(child, (*path, step))
                _replace(node, step, child)
            self._secret(child, (*path, step))

    def _secret(self, node: Node, path: NodePath) -> None:
        if node.kind != "scalar":
            return
        if node.unset:
            return
        literal = not node.parts and not node.entries and node.style != "file"
        if node.style == "file":
            pass
        elif literal or not (len(node.parts) == 1 and ":-" not in node.text):
            node.shown = False
        if not isinstance(node.value, str):
            self._remember(str(node.value))
            return
        node.value = node.value.strip()
        self._remember(node.value)
        trouble = secret_trouble(node.value)
        if trouble:
            self._tell(Problem("bad-secret", f"the secret {trouble}", path))
        elif literal:
            hint = f"write ${{{str(path[-1]).upper()}}} or {{secret_file: path}}"
            message = "a secret is written into the file"
            self._tell(Problem("literal-secret", message, path, hint=hint, warning=True))

    def _remember(self, value: str) -> None:
        if value.strip():
            self.around.found.add(value)

    def _secret_file(self, node: Node, path: NodePath) -> Node:
        """The node that holds what the file holds."""
        word = node.get("secret_file")
        stand_in = Node("scalar", node.start, node.end, "file", value=STAND_IN, unset=True)
        if word is None or not isinstance(word.value, str) or not word.value or len(node.entries) > 1:
            self._tell(Problem("wrong-type", "a secret file is named by a path", path, hint="{secret_file: path}"))
            return stand_in
        if word.unset or self.around.sandbox:
            return stand_in
        place = self.around.folder / Path(word.value)
        if not self.around.sending:
            trouble, value = secret_file_trouble(place), ""
        else:
            value, trouble = read_secret_file(place)
        if trouble:
            warning = not self.around.sending
            self._tell(Problem("unreadable-secret", trouble, path, warning=warning))
            return stand_in
        if not self.around.sending:
            return stand_in
        return Node("scalar", node.start, node.end, "file", value=value)


def _replace(node: Node, step: str | int, child: Node) -> None:
    if isinstance(step, str):
        old = node.entries[step]
        node.entries[step] = Entry(child, old.key, old.used)
    else:
        node.items[step] = Entry(child, None, node.items[step].used)


def _is_no_text(schema: Schema) -> bool:
    """Does a setting take something, but no text (a quantity with a unit reads text itself)?"""
    if "x-unit" in schema:
        return False
    wanted = schema.get("type")
    words = [wanted] if isinstance(wanted, str) else wanted
    if words:
        return "string" not in words
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return bool(values) and not any(isinstance(value, str) for value in values)
