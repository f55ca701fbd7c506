"""`${X}` in parsed scalars, and why what it brings in is never an expression.

A replaced text is data. Where the engine reads templates, the stretch that holds it is handed on as a quoted string
within `{{ … }}` as soon as it holds, or could complete, a brace: whatever a variable holds, Jinja sees a constant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from engine.config.markup import Span, spans
from engine.config.nodes import Node, Part
from engine.config.scalars import NotAScalar, read_plain

_FORM = re.compile(
    r"\$\$\{"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<how>:-|:\?)(?P<rest>[^}]*))?\}"
    r"|\$\{(?P<broken>[^}]*)\}?"
)
_MARKUP = re.compile(r"[{}%#]")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a `${…}`: where in the scalar's text, and which variable is unset, if that is it."""

    code: str
    message: str
    at: int
    length: int
    hint: str = ""
    unset: bool = False


def substitute(node: Node, environ: Mapping[str, str], template: bool = False) -> list[Trouble]:
    """Replaces every `${X}` of a scalar in place; `template` where the text is read as an expression."""
    if "${" not in node.text:
        return []
    troubles: list[Trouble] = []
    inside = [span for span in spans(node.text) if span.kind == "{{"] if template else []
    node.parts = tuple(_parts(node.text, environ, inside, troubles))
    node.unset = any(trouble.unset for trouble in troubles)
    joined = "".join(part.text for part in node.parts)
    if not node.style and not template:
        node.value = joined  # the schema, or `as_scalar`, decides whether it is more than text
    elif isinstance(node.value, str):
        node.value = joined
    return troubles


def _parts(text: str, environ: Mapping[str, str], inside: list[Span], troubles: list[Trouble]) -> Iterator[Part]:
    position = 0
    for match in _FORM.finditer(text):
        if position < match.start():
            yield Part(position, match.start(), text[position : match.start()], False)
        position = match.end()
        yield Part(match.start(), match.end(), *_replacement(match, environ, inside, troubles))
    if position < len(text):
        yield Part(position, len(text), text[position:], False)


def _replacement(
    match: re.Match[str], environ: Mapping[str, str], inside: list[Span], troubles: list[Trouble]
) -> tuple[str, bool]:
    at, length = match.start(), match.end() - match.start()
    in_expression = any(span.start <= at < span.end for span in inside)
    if match.group() == "$${":
        return "${", not in_expression
    name = match["name"]
    if name is None:
        if in_expression:  # `${1}` of a regular expression, say
            return match.group(), False
        hint = "write ${NAME}, ${NAME:-default}, ${NAME:?message}, or $${ for the literal"
        troubles.append(Trouble("bad-variable", "this is no form of ${NAME}", at, min(length, 40), hint))
        return match.group(), True
    if in_expression:
        hint = f"name it under vars (`{name.lower()}: ${{{name}}}`) and write vars.{name.lower()}"
        troubles.append(
            Trouble("variable-in-expression", f"${{{name}}} cannot stand within an expression", at, length, hint)
        )
        return match.group(), False
    return _value(match, environ, troubles), True


def _value(match: re.Match[str], environ: Mapping[str, str], troubles: list[Trouble]) -> str:
    name, how, rest = match["name"], match["how"], match["rest"]
    value = environ.get(name)
    if value is not None and (value or how is None):
        return value
    if how == ":-":
        return rest or ""
    message = f"the environment variable {name} is {'empty' if value == '' else 'not set'}"
    if how == ":?" and rest:
        message += f": {rest}"
    hint = f"set {name}, or write ${{{name}:-default}}"
    troubles.append(Trouble("unset-variable", message, match.start(), len(match.group()), hint, unset=True))
    return match.group()


def read_as_scalar(node: Node) -> None:
    """Reads a replaced text as YAML would read it unquoted; raises `NotAScalar`."""
    text = "".join(part.text for part in node.parts)
    node.value = read_plain(text.strip())


def is_whole(node: Node) -> bool:
    """Is the scalar exactly one unquoted `${…}`?"""
    return not node.style and len(node.parts) == 1 and node.parts[0].replaced


def read_set(value: str) -> object:
    """The value of `--set name=value`: a YAML scalar; a number that cannot be held stays a text."""
    try:
        return read_plain(value)
    except NotAScalar:
        return value


# --- what templates are given --------------------------------------------------------------------------------


def template(node: Node) -> str:
    """The scalar's text for a reader of templates."""
    return "".join(part.text for part in template_parts(node))


def template_parts(node: Node) -> list[Part]:
    """The parts of a replaced scalar, those that must not be read as markup turned into quoted constants."""
    found: list[Part] = []
    run: list[Part] = []
    expressions = [span for span in spans(node.text) if span.kind == "{{"]
    for part in _cut(node.parts, expressions):
        if not part.replaced and any(span.start <= part.start < span.end for span in expressions):
            found += [*_constant(run, bool(expressions), False), part]
            run = []
        else:
            run.append(part)
    return found + _constant(run, bool(expressions), True)


def _cut(parts: tuple[Part, ...], expressions: list[Span]) -> Iterator[Part]:
    """The parts, cut where an expression starts or ends."""
    edges = sorted({edge for span in expressions for edge in (span.start, span.end)})
    for part in parts:
        if part.replaced or part.end - part.start != len(part.text):
            yield part
            continue
        cuts = [part.start, *(edge for edge in edges if part.start < edge < part.end), part.end]
        for start, end in pairwise(cuts):
            yield Part(start, end, part.text[start - part.start : end - part.start], False)


def _constant(run: list[Part], mixed: bool, last: bool) -> list[Part]:
    """A stretch without expressions: as it is where no brace is near a replaced text, else one constant."""
    text = "".join(part.text for part in run)
    if not any(part.replaced for part in run) or not _MARKUP.search(text):
        return run
    tail = "\n" if last and mixed and text.endswith("\n") else ""
    quoted = f'{{{{ "{_escaped(text.removesuffix(tail) if tail else text)}" }}}}'
    return [Part(run[0].start, run[-1].end, quoted + tail, True)]


def _escaped(text: str) -> str:
    """The text as the inside of a Jinja string: letters, digits and spaces as they are, the rest as escapes."""
    return re.sub(r"[^A-Za-z0-9 _.,:;/@+=()-]", _escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unreplaced(parts: list[Part] | tuple[Part, ...], at: int) -> int:
    """The character of the text as written for a character of the parts' joined text."""
    for part in parts:
        if at < len(part.text):
            return part.start if part.replaced else part.start + at
        at -= len(part.text)
    return parts[-1].end if parts else at
