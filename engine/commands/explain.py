"""`engine explain`: what a code means, with a wrong and a right example; and the page of all codes."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from engine.console import json_text, stdout
from engine.errors import InvalidPipeline
from engine.explanations import CHAPTERS, FRAME, Explanation, explanations


def explain(code: str | None, as_json: bool, page: bool) -> int:
    """Explains one code, or lists all of them."""
    known = explanations()
    if page:
        stdout(markdown())
        return 0
    if code is None:
        for one in (one for many in known.values() for one in many):
            stdout(f"{one.code:<24} {CHAPTERS[one.chapter]}\n")
        return 0
    if code not in known:
        near = difflib.get_close_matches(code, known, 1)
        hint = f"; did you mean {near[0]}?" if near else "; `engine explain` lists them"
        raise InvalidPipeline(f"there is no code {code}{hint}")
    if as_json:
        stdout(json_text(known[code]) + "\n")
    else:
        stdout("\n\n".join(as_text(one) for one in known[code]) + "\n")
    return 0


def as_text(said: Explanation) -> str:
    """For a terminal."""
    lines = [f"{said.code} ({CHAPTERS[said.chapter].lower()})", "", f"  {said.means}", f"  {said.do}"]
    for title, example in (("wrong", said.wrong), ("right", said.right)):
        if example:
            lines += ["", f"  {title}:", *(f"    {line}" for line in example.rstrip("\n").split("\n"))]
    return "\n".join(lines)


def markdown() -> str:
    """The page of all codes."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Codes"
    yield ""
    yield "<!-- Made by `engine explain --page`; a test compares. -->"
    yield ""
    yield "Every finding, dead letter and halt has a code; `engine explain CODE` says the same on a terminal."
    yield "Examples of files show only what matters. What they leave out is as here; the columns of `customers.csv`"
    yield "are `id`, `email`, `name`, `age`, `country` and `since`, a date and time. Where data matter, they stand"
    yield "after `---` and the file's name; `tests:` say what becomes of records, and what a vendor answered:"
    yield ""
    yield from ("```text", *FRAME.values(), "```")
    for chapter, title in CHAPTERS.items():
        yield from ("", f"## {title}")
        for said in (one for many in explanations().values() for one in many if one.chapter == chapter):
            yield from ("", f"### `{said.code}`", "", _escaped(said.means), _escaped(said.do))
            for word, example in (("Wrong", said.wrong), ("Right", said.right)):
                if example:
                    yield from ("", f"{word}:", "", "```text", example.rstrip("\n"), "```")


def _escaped(text: str) -> str:
    return text.replace("<<", "\\<\\<").replace("$${", "$$\\{") if "`" not in text else text
