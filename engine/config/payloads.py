"""What can be known of a payload before the first record: its fields against the schema of its action."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.config.explain import explain
from engine.config.markup import is_expression, open_bracket, spans
from engine.config.messages import did_you_mean, did_you_mean_key, listed
from engine.config.nodes import Node, Path
from engine.config.references import Schema, step_into
from engine.config.scalars import kind_of
from engine.model import Problem

_TYPES: dict[str, Any] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None), "array": list,
    "object": dict,
}  # fmt: skip
_NAMES = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "null": "null", "array": "a list", "object": "a map",
}  # fmt: skip
_EACH = ("$each", "$as", "$value")
_QUICK = {"type", "enum", "const", "title", "description", "default", "examples", "properties", "required",
          "additionalProperties", "anyOf", "items", "$comment"}  # fmt: skip


def check_fields(node: Node, schema: Schema, action: str, path: Path) -> Iterator[Problem]:
    """Problems of `fields` against an action's payload schema; an expression's value is unknown and passes."""
    return _Fields(action).check(node, schema, path)


def check_markup(node: Node, path: Path) -> Iterator[Problem]:
    """Refuses statements and comments in a text of a template, and markup that does not end."""
    for span in spans(node.text) if node.kind == "scalar" and isinstance(node.value, str) else ():
        if span.kind == "{%":
            hint = "write `{{ a if b else c }}`, or use `when`, `each` and `$each`"
            yield Problem("statement", "statements are not part of the language", path, span.start, 2, hint=hint)
        elif span.kind == "{#":
            hint = "use a YAML comment: `# …`"
            yield Problem(
                "template-comment",
                "comments within a text are not part of the language",
                path,
                span.start,
                2,
                hint=hint,
            )
        elif not span.closed:
            yield _unclosed(node.text, span.start, path)


def _unclosed(text: str, start: int, path: Path) -> Problem:
    """An expression that does not end; where `}}` is there, a bracket is open before it."""
    bracket = open_bracket(text, start + 2) if "}}" in text[start:] else None
    if bracket is None:
        hint = "close it with `}}`"
        return Problem("unclosed-expression", "this expression does not end", path, start, 2, hint=hint)
    message = f"this `{text[bracket]}` is not closed within its expression"
    return Problem("unclosed-expression", message, path, bracket, 1, hint="close it before `}}`")


class _Fields:
    def __init__(self, action: str) -> None:
        self.action = action

    def check(self, node: Node, schema: Schema, path: Path) -> Iterator[Problem]:
        if node.unset:
            return
        if node.kind == "map":
            yield from self._map(node, schema, path)
        elif node.kind == "list":
            yield from self._list(node, schema, path)
        elif isinstance(node.value, str) and (found := spans(node.text)):
            if all(span.kind == "{{" for span in found) and not is_expression(node.text):
                yield from self._mixed_text(schema, path)
        else:
            yield from self._literal(node, schema, path)

    def _map(self, node: Node, schema: Schema, path: Path) -> Iterator[Problem]:
        if "$each" in node.entries:
            yield from self._each(node, schema, path)
            return
        if not _takes(schema, "object"):
            yield self._wrong(schema, path, "a map")
            return
        yield from self._names(node, schema, path)
        for name, entry in node.entries.items():
            yield from self.check(entry.value, step_into(schema, name), (*path, name))

    def _each(self, node: Node, schema: Schema, path: Path) -> Iterator[Problem]:
        for name in node.entries:
            if name not in _EACH:
                hint = did_you_mean(name, _EACH)
                yield Problem(
                    "unknown-key",
                    f'a list of `$each` has no key "{name[:80]}"',
                    (*path, name),
                    on_key=True,
                    hint=hint,
                )
        value = node.get("$value")
        if value is None:
            message = "a list of `$each` needs `$value`"
            yield Problem("missing-setting", message, (*path, "$each"), on_key=True, hint="add `$value:`")
        elif not _takes(schema, "array"):
            yield self._wrong(schema, path, "a list")
        else:
            yield from self.check(value, step_into(schema, 0), (*path, "$value"))

    def _list(self, node: Node, schema: Schema, path: Path) -> Iterator[Problem]:
        if not _takes(schema, "array"):
            yield self._wrong(schema, path, "a list")
            return
        for step, child in node.children():
            yield from self.check(child, step_into(schema, step), (*path, step))

    def _names(self, node: Node, schema: Schema, path: Path) -> Iterator[Problem]:
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is False:
            for name in node.entries:
                if name not in properties:
                    hint = did_you_mean_key(name, properties, node.entries)
                    message = f'{self._within(path)} has no field "{name[:80]}"'
                    yield Problem("unknown-field", message, (*path, name), on_key=True, hint=hint)
        for name in schema.get("required", []):
            if name not in node.entries:
                yield self._missing(path, [name])
        yield from self._alternatives(node, schema, path)

    def _alternatives(self, node: Node, schema: Schema, path: Path) -> Iterator[Problem]:
        """`anyOf` of required fields: the payload needs the fields of one of them."""
        options = [option.get("required", []) for option in schema.get("anyOf", [])]
        if options and all(options) and not any(set(option) <= set(node.entries) for option in options):
            yield self._missing(path, [" and ".join(option) for option in options])

    def _missing(self, path: Path, names: list[str]) -> Problem:
        wanted = " or ".join(names)
        message = f"{self._within(path)} needs {wanted}"
        first = names[0].partition(" ")[0]
        return Problem("missing-field", message, path, on_key=True, hint=f'add `{first}: "{{{{ record.… }}}}"`')

    def _mixed_text(self, schema: Schema, path: Path) -> Iterator[Problem]:
        if not _takes(schema, "string"):
            hint = "write exactly one `{{ … }}` with nothing around it: its value keeps its type"
            yield self._wrong(schema, path, "text", hint)

    def _literal(self, node: Node, schema: Schema, path: Path) -> Iterator[Problem]:
        wanted = _wanted(schema)
        if wanted and not any(_is(node.value, word) for word in wanted):
            hint = "quote it to make it text" if "string" in wanted and node.value is not None else ""
            if isinstance(node.value, str) and not node.parts and {"number", "integer", "boolean"} & set(wanted):
                hint = "write it without quotes" if node.style in ("'", '"') and _looks_typed(node.text) else ""
            yield self._wrong(schema, path, "null" if node.value is None else kind_of(node.value), hint)
        elif "enum" in schema and node.value not in schema["enum"]:
            allowed = [str(value) for value in schema["enum"]]
            hint = did_you_mean(node.text, allowed)
            yield Problem("bad-enum", f"{self._field(path)} must be one of {listed(allowed)}", path, hint=hint)
        elif set(schema) - _QUICK:
            for problem in explain(schema, node.value, path):
                yield Problem(problem.code, f"{self.action}: {problem.message}", path, hint=problem.hint)

    def _wrong(self, schema: Schema, path: Path, found: str, hint: str = "") -> Problem:
        words = " or ".join(_NAMES.get(word, word) for word in _wanted(schema))
        return Problem("wrong-type", f"{self._field(path)} must be {words}, and is {found}", path, hint=hint)

    def _within(self, path: Path) -> str:
        inner = _dotted(path)
        return f"{inner} of {self.action}" if inner else self.action

    def _field(self, path: Path) -> str:
        return f"{_dotted(path) or 'the payload'} of {self.action}"


def _dotted(path: Path) -> str:
    """A field's name within its payload: what follows `fields` (or `with`)."""
    return ".".join(str(step) for step in path[3:] if step != "$value")


def _wanted(schema: Schema) -> list[str]:
    wanted = schema.get("type", [])
    return [wanted] if isinstance(wanted, str) else list(wanted)


def _takes(schema: Schema, kind: str) -> bool:
    wanted = _wanted(schema)
    return not wanted or kind in wanted


def _is(value: Any, word: str) -> bool:
    if isinstance(value, bool) and word != "boolean":
        return False
    if isinstance(value, float) and word == "integer":
        return value.is_integer()
    return isinstance(value, _TYPES.get(word, object))


def _looks_typed(text: str) -> bool:
    return text in ("true", "false") or text.lstrip("-").replace(".", "", 1).isdigit()
