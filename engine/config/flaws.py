"""What is wrong with a text that is no YAML, or YAML that a pipeline file may not hold."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

QUOTE = 'quote the expression: "{{ … }}"'
_BARE_EXPRESSION = re.compile(r"(?:^|[:\-,\[{])[ \t]*(?<!\{)(\{\{(?!\{))")
_LINE_BREAK = re.compile(r"[\r\n]")


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong between two offsets of the text; `related` is another offset and what is there."""

    code: str
    message: str
    start: int
    end: int
    hint: str = ""
    related: tuple[int, str] | None = None


def explain_syntax(text: str, error: yaml.YAMLError, quoted: tuple[int, int]) -> Flaw:
    """The flaw for an error of YAML's own: never with a piece of the text.

    `quoted` are the offsets of the last quoted scalar before it: one that ends in the error's line, but starts above,
    was hardly meant to go that far.
    """
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    at, opened = _offset(error, "problem_mark", text), _offset(error, "context_mark", text)
    line_start, line = _line(text, at)
    bare = _bare_expression(text, at)
    if bare is not None:
        message = "an expression must be quoted: YAML reads `{` as a map"
        return Flaw("unquoted-expression", message, bare, bare + 2, QUOTE)
    if (inner := _inner_quote(text, quoted, at)) is not None:
        message = "this quote ends the text that begins before the expression"
        return Flaw("bad-yaml", message, inner, inner + 1, "within double quotes, write '…' in the expression")
    if text[max(at - 1, 0) : at + 1] == "${":
        message = "a variable within brackets must be quoted: YAML reads `{` as a map"
        return Flaw("unquoted-variable", message, at - 1, at + 1, 'write "${…}"')
    if text[at : at + 1] == "\t" or ("indent" in problem and "\t" in line):
        return Flaw("tab", "a tab where YAML wants spaces", at, at + 1, "indent with spaces")
    if quoted[0] < line_start <= quoted[1] <= at:
        related = (quoted[1] - 1, "it is closed only here")
        message = "the quote that opens here runs into other text"
        return Flaw("bad-yaml", message, quoted[0], quoted[0] + 1, "close it", related)
    if "expected ':'" in problem:
        return Flaw("bad-yaml", "a key without `:` after it", opened, opened + 1, "write `key: value`")
    failed = (at, "reading failed here")
    if "end of stream" in problem:
        return Flaw(
            "bad-yaml", "what opens here is never closed", opened, opened + 1, "close the quote or bracket", failed
        )
    if "',' or" in problem and opened < line_start:
        return Flaw("bad-yaml", "the bracket that opens here is not closed", opened, opened + 1, "close it", failed)
    context = getattr(error, "context", None)
    message = f"{problem} {context}" if context else problem
    return Flaw("bad-yaml", f"YAML cannot be read here: {message}", at, at + 1, _advice(problem))


def _offset(error: yaml.YAMLError, name: str, text: str) -> int:
    mark = getattr(error, name, None)
    return min(mark.index if mark else 0, len(text))


def _line(text: str, at: int) -> tuple[int, str]:
    """Where the line of an offset starts, and the line."""
    start = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
    return start, _LINE_BREAK.split(text[start : start + 10_000], maxsplit=1)[0]


def _bare_expression(text: str, at: int) -> int | None:
    """Where `{{` stands unquoted in the error's line or, if nothing stands before the error in it, the line above."""
    start, line = _line(text, at)
    found = _BARE_EXPRESSION.search(line)
    if found is None and start and not line[: at - start].strip():
        start, line = _line(text, start - 1)
        found = _BARE_EXPRESSION.search(line)
    return start + found.start(1) if found else None


def _inner_quote(text: str, quoted: tuple[int, int], at: int) -> int | None:
    """The quote within `"{{ … "…" }}"` that ends the scalar too early, if that is what went wrong."""
    scalar, rest = text[quoted[0] : quoted[1]], _line(text, at)[1]
    unfinished = scalar.startswith('"') and scalar.rfind("{{") > scalar.rfind("}}")
    return quoted[1] - 1 if unfinished and quoted[1] <= at and "}}" in rest else None


def _advice(problem: str) -> str:
    if "mapping values are not allowed" in problem:
        return "a text that holds `: ` must be quoted; else check the indentation"
    if "',' or" in problem:
        return "a comma or a closing bracket is missing"
    if "expected key" in problem or "expected '-' indicator" in problem or "block end" in problem:
        return "check the indentation"
    if "cannot start any token" in problem:
        return "quote the text"
    return ""
