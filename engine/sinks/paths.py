"""Paths of file sinks: with expressions and numbers of parts, and always below the folder that the author wrote."""

from __future__ import annotations

import re

from engine.plugin import InvalidPipeline, RecordError
from engine.sinks.remote import is_remote

PART = re.compile(r"\{\{\s*part\s*\}\}")
# As often as `{{ part }}` has characters, this stands for it while expressions are computed. It is no character.
MARK = "\ufdd0"
MARKS = re.compile(f"{MARK}+")
LONGEST = 200  # bytes of a name: a file system takes 255, and part files have longer names
OURS = (".part", ".packed", ".copy")


def split(path: str) -> tuple[str, bool]:
    """The path with MARKs for each `{{ part }}`, and whether other expressions are left in it."""
    if MARK in path:
        raise InvalidPipeline("path: it holds U+FDD0, which is no character")
    marked = PART.sub(lambda found: MARK * len(found[0]), path)  # places in it stay where they were written
    return marked, "{{" in marked


def fixed(template: str) -> str:
    """The folder (or address) that a path with expressions begins with, as written: `out/` of `out/a-{{ x }}.csv`."""
    start = template.partition("{{")[0].partition(MARK)[0]
    start = start[: start.rfind("/") + 1]
    if is_remote(template) and start.count("/") < 3:
        raise InvalidPipeline("path: expressions may stand behind the bucket of an address, not in it or before it")
    return start


def confined(path: object, template: str) -> str:
    """The path that a record's values gave, if it lies below the folder of the template."""
    start = fixed(template)
    if path.__class__ not in (str, int):
        raise RecordError("bad-path", "the path of the file is no text", "path")
    text = str(path)
    if not text.startswith(start):
        raise _refused(text, f"it does not begin with {start!r}")
    names = text[len(start) :].split("/")
    for name in names:
        if name in ("", ".", ".."):
            what = {"": "an empty name (or is a whole path)", ".": "the name .", "..": "the name .."}[name]
            raise _refused(text, f"it holds {what}")
        if not name.replace(MARK, "").isprintable():
            raise _refused(text, "it holds a control character")
        if len(name.encode("utf-8", "surrogatepass")) > LONGEST:
            raise _refused(text, f"a name in it is longer than {LONGEST} bytes")
        if "\\" in name:
            raise _refused(text, "it holds a backslash")
    if text.count(MARK) != template.count(MARK):
        raise _refused(text, "it holds U+FDD0, which is no character")
    if names[-1].endswith(OURS):
        raise _refused(text, f"names that end in {', '.join(OURS)} are the sink's own")
    return text


def _refused(text: str, why: str) -> RecordError:
    shown = MARKS.sub("{{ part }}", text)[:200]
    return RecordError("bad-path", f"{shown!r} cannot be the path of a file: {why}", "path")


def numbered(path: str, part: int) -> str:
    """The path of one part; parts count from 1."""
    return MARKS.sub(f"{part:05d}", path)
