"""Text → expressions. Jinja's own lexer and parser read them; what the tree may hold is decided in `checks`.

Nothing is evaluated here, and nothing is folded: reading a stranger's file costs time in proportion to its length.
Every node's `lineno` is the place of its token, in characters from the start of the scalar.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser

LONGEST_EXPRESSION = 4096  # characters between {{ and }}
LONGEST_TEXT = 65_536  # characters of a scalar that holds expressions
DEEPEST = 60  # nodes inside nodes


class Unreadable(Exception):
    """The text is no expression; `at` is the place in it."""

    def __init__(self, code: str, message: str, at: int = 0, hint: str = "", length: int = 1) -> None:
        super().__init__(message)
        self.code, self.message, self.at, self.hint, self.length = code, message, at, hint, length


@dataclass(frozen=True, slots=True)
class Template:
    """A scalar that holds markup: literal texts and expressions in turn."""

    parts: tuple[str | nodes.Expr, ...]

    @property
    def alone(self) -> nodes.Expr | None:
        """The expression, where the scalar is exactly one."""
        part = self.parts[0] if len(self.parts) == 1 else ""
        return None if isinstance(part, str) else part


class _Language(Environment):
    """Jinja's environment with nothing in it, whose tokens carry characters instead of lines."""

    def __init__(self) -> None:
        super().__init__(keep_trailing_newline=True, optimized=False, cache_size=0)
        for table in (self.globals, self.filters, self.tests):
            table.clear()

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        return TokenStream(self.lexer.wrap(self._placed(source), name, filename), name, filename)

    def _placed(self, source: str) -> Iterator[tuple[int, str, str]]:
        at, opened = 0, 0
        tokens = self.lexer.tokeniter(source, None)
        while True:
            try:
                _, sort, text = next(tokens)
            except StopIteration:
                return
            except TemplateSyntaxError as error:
                raise _syntax(error, at) from None
            at = max(source.find(text, at), at)
            _refuse_markup(sort, text, at)
            opened = at if sort == "variable_begin" else opened
            if sort != "data" and at - opened > LONGEST_EXPRESSION:
                message = f"the expression is longer than {LONGEST_EXPRESSION:,} characters"
                raise Unreadable("expression-too-long", message, opened)
            yield at, sort, text
            at += len(text)


_LANGUAGE = _Language()
_REFUSED = {
    "block_begin": ("statement", "{% … %} is not part of the language",
                    "write {{ a if b else c }} inline, `$each` for lists, `let` for names"),
    "comment_begin": ("template-comment", "{# … #} is not part of the language", "write a YAML comment"),
}  # fmt: skip
_REFUSED["raw_begin"] = _REFUSED["block_begin"]


def has_markup(text: str) -> bool:
    """Does the scalar hold anything but literal text?"""
    return "{{" in text or "{%" in text or "{#" in text


def read(text: str) -> Template:
    """The parts of a scalar that has markup; raises `Unreadable`. One final newline is ignored."""
    if len(text) > LONGEST_TEXT:
        raise Unreadable("expression-too-long", f"a text with expressions has at most {LONGEST_TEXT:,} characters")
    source = text.removesuffix("\n").replace("\r\n", "\n")
    try:
        with warnings.catch_warnings():  # '\\d' in a literal means what it says; Python warns that it is no escape
            warnings.simplefilter("ignore")
            body = Parser(_LANGUAGE, source).subparse()
    except TemplateSyntaxError as error:
        raise _syntax(error, error.lineno) from None
    except (RecursionError, MemoryError):
        raise Unreadable("expression-too-deep", "the expression is nested too deeply") from None
    except (ValueError, OverflowError) as error:
        raise Unreadable("syntax", f"the expression cannot be read: {error}") from None
    parts = tuple(_part(node) for output in body for node in getattr(output, "nodes", ()))
    if len(source) > DEEPEST:  # a shorter text cannot: each operation takes a character at least
        for part in parts:
            if not isinstance(part, str):
                _refuse_depth(part)
    return Template(parts)


_OFFSET = re.compile(r"^unexpected char (.+) at \d+$", re.DOTALL)  # counted from where the lexer began: of no use
_MEANT = {
    "unexpected '&'": "write `and`", "unexpected '!'": "write `not`", "unexpected '?'": "write `a if b else c`",
    "unexpected '$'": "names stand alone: `record.id`", "unexpected '='": "compare with `==` or `!=`",
    "got '='": "compare with `==`",
    "expected token 'name', got '|'": "a filter follows `|`; between conditions write `or`",
    "unexpected '\"'": "close the quote", 'unexpected "\'"': "close the quote",
}  # fmt: skip
"""What other languages write, by the end of Jinja's message about it."""


def _part(node: Any) -> str | nodes.Expr:
    return node.data if isinstance(node, nodes.TemplateData) else node


def _syntax(error: TemplateSyntaxError, at: int) -> Unreadable:
    message = (
        (error.message or "").replace("end of print statement", "}}").replace("end of template", "end of the text")
    )
    message = _OFFSET.sub(r"unexpected \1", message)
    hint = next((hint for end, hint in _MEANT.items() if message.endswith(end)), "")
    return Unreadable("syntax", f"cannot read the expression: {message}", at, hint)


def _refuse_markup(sort: str, text: str, at: int) -> None:
    if sort in _REFUSED:
        code, message, hint = _REFUSED[sort]
        raise Unreadable(code, message, at, hint, max(len(text.strip()), 1))


def _refuse_depth(root: nodes.Node) -> None:
    layer, depth = [root], 0
    while layer:
        depth += 1
        if depth > DEEPEST:
            raise Unreadable("expression-too-deep", f"more than {DEEPEST} operations inside one another", root.lineno)
        layer = [child for node in layer for child in node.iter_child_nodes()]
