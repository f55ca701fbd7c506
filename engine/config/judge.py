"""Every problem of a prepared tree: shapes first, then meaning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from engine.config.explain import MAX_PROBLEMS, explain
from engine.config.messages import nearest
from engine.config.nodes import Node
from engine.config.references import step_into
from engine.config.semantics import check_lookups, check_mappings, check_names, check_tests, check_types
from engine.config.shapes import KINDS, Shapes, base_schema
from engine.config.units import FORMS, read_unit
from engine.model import Problem


def judge(root: Node, shapes: Shapes) -> list[Problem]:
    """All problems, those of values that are stand-ins for missing variables left out."""
    types = _some(check_types(root, shapes))
    found = [*_some(_shapes(root, shapes)), *types, *_some(check_names(root))]
    if not any(problem.code == "bad-schema" for problem in found):
        found += [*_some(check_mappings(root, shapes)), *_some(check_lookups(root, shapes))]
    found += _some(check_tests(root))
    return [_discreet(root, problem) for problem in found if not _stands_in(root, problem)]


def _some(problems: Iterator[Problem]) -> list[Problem]:
    """Enough of them: finding the nearest name of thousands of mistakes would take minutes."""
    return list(islice(problems, MAX_PROBLEMS))


def _shapes(root: Node, shapes: Shapes) -> Iterator[Problem]:
    yield from explain(
        base_schema(), {name: value for name, value in _data(root).items() if name != "environments"}, ()
    )
    environments = root.get("environments")
    if environments is not None:
        schema = {"properties": {"environments": base_schema()["properties"]["environments"]}}
        yield from explain(schema, {"environments": environments.data()}, ())
    for kind in (*KINDS, "connections"):
        parts = root.get(kind)
        for name, node in parts.children() if parts is not None and parts.kind == "map" else ():
            if node.kind == "map":
                yield from _part(root, kind, str(name), node, shapes)


def _data(root: Node) -> dict[str, object]:
    """The file's content, parts emptied: each is judged by the schema of its own type."""
    content: dict[str, object] = {}
    for name, entry in root.entries.items():
        node = entry.value
        if name in (*KINDS, "connections") and node.kind == "map":
            content[name] = {key: {} if part.kind == "map" else part.data() for key, part in node.children()}
        elif not name.startswith("x-"):
            content[name] = node.data()
    return content


def _part(root: Node, kind: str, name: str, node: Node, shapes: Shapes) -> Iterator[Problem]:
    schema = shapes.of_part(root, kind, name)
    for problem in explain(schema, node.data(), (kind, name), shapes.validators):
        word = problem.path[2] if len(problem.path) > 2 else ""
        if problem.code == "unknown-key" and len(problem.path) == 3:
            _hide_mistyped_secret(node, str(word), schema["properties"])
        yield problem
    yield from _units(node, schema, (kind, name))


def _hide_mistyped_secret(node: Node, word: str, properties: dict[str, dict[str, object]]) -> None:
    """`api_kye: …`: the value may well be the secret that the right name would hold."""
    meant, child = properties.get(nearest(word, properties), {}), node.get(word)
    if child is not None and (meant.get("x-secret") or any(rule.get("x-secret") for rule in properties.values())):
        child.shown = False


def _units(node: Node, schema: dict[str, object], path: tuple[str | int, ...]) -> Iterator[Problem]:
    """Quantities that their pattern lets pass, but that cannot be: `150%`, or less than the schema's `x-least`."""
    unit = schema.get("x-unit")
    if node.kind == "scalar":
        if isinstance(unit, str) and isinstance(node.value, str) and not node.unset:
            yield from _quantity(node.value, unit, schema.get("x-least"), path)
        return
    for step, child in node.children():
        yield from _units(child, step_into(schema, step), (*path, step))


def _quantity(text: str, unit: str, least: object, path: tuple[str | int, ...]) -> Iterator[Problem]:
    try:
        amount = read_unit(unit, text)
    except (ValueError, OverflowError):
        yield Problem("bad-value", f"{path[-1]} has a form that does not fit", path, hint=FORMS[unit])
        return
    if isinstance(least, str) and amount < read_unit(unit, least):
        yield Problem("bad-value", f"{path[-1]} must be at least {least}", path, hint=FORMS[unit])


def _stands_in(root: Node, problem: Problem) -> bool:
    node = root.get(*problem.path)
    return node is not None and node.unset and not problem.warning


def _discreet(root: Node, problem: Problem) -> Problem:
    """Values that variables brought in are not quoted."""
    node = root.get(*problem.path)
    if node is None or not any(part.replaced for part in node.parts) or problem.on_key:
        return problem
    message = problem.message
    for value in {str(node.value), str(node.value)[:60], str(node.value)[:80], node.text}:
        if len(value) > 1:
            message = message.replace(f'"{value}"', f'the value of "{node.text}"')
    return replace(problem, message=message)
