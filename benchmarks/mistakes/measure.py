"""One mistake in the project of one tool: is it found, and what is said of it."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.mistakes.kinds import KINDS, PROJECTS, Mistake
from benchmarks.mistakes.tools import Said, Tool

ENVIRON = {
    "SHOP_KEY": "0123456789abcdef",
    "SHOP_FILE": "customers.csv",
    "SHOP_URL": "http://127.0.0.1:9/customers",
}
LONGEST = 150  # characters of a message in the table


@dataclass(frozen=True)
class Outcome:
    """What the message names, and rightly: file, line and column, `named` of the words at fault, what would mend."""

    kind: str
    said: Said
    file: bool = False
    line: bool = False
    column: bool = False
    named: int = 0
    mend: bool = False

    @property
    def message(self) -> str:
        line = " ".join(self.said.line.split())
        return line if len(line) <= LONGEST else f"{line[:LONGEST]} …"


def outcomes(tool: Tool) -> Iterator[Outcome]:
    """Every mistake, after the project without one: that must pass, or nothing is measured."""
    said = asked(tool, None)
    if said.found:
        raise SystemExit(f"{tool.name} refuses the correct project: {said.text}")
    for kind in KINDS:
        mistake = tool.mistakes[kind]
        yield judged(kind, mistake, asked(tool, mistake), (project(tool) / mistake.file).read_text("utf-8"))


def project(tool: Tool) -> Path:
    return PROJECTS / tool.name.lower().partition(" ")[0]


def asked(tool: Tool, mistake: Mistake | None) -> Said:
    """What the tool says of its project in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder) / "shop"
        shutil.copytree(project(tool), here)
        environ = dict(ENVIRON)
        if mistake is not None:
            path = here / mistake.file
            path.write_text(mistake.applied(path.read_text("utf-8")), "utf-8")
            environ.pop(mistake.unset, None)
        said = tool.ask(here, environ)
        names = (str(here), str(here.resolve()))
        return Said(said.command, said.exit, said.found, *(_bare(text, names) for text in (said.text, said.line)))


def _bare(text: str, folders: tuple[str, ...]) -> str:
    for folder in folders:
        text = text.replace(folder + "/", "").replace(folder, "")
    return text


def judged(kind: str, mistake: Mistake, said: Said, text: str) -> Outcome:
    """Only what is right counts: a line that has nothing to do with the mistake names none."""
    if not said.found:
        return Outcome(kind, said)
    places = set(_places(said.text))
    lines = mistake.lines(text)
    right = {(line, column) for line, column in places if line in lines}
    named = sum(_holds(said.text, word) for word in mistake.wrong)
    mend = bool(mistake.mend) and _holds(said.text, mistake.mend)
    column = any(column for _, column in right)
    return Outcome(kind, said, _names_file(said.text, mistake.file), bool(right), column, named, mend)


def _holds(text: str, word: str) -> bool:
    return bool(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text))


def _names_file(text: str, file: str) -> bool:
    """By its name, or, as one of the tools does, by the name of what it defines after a mark of failure."""
    path = Path(file)
    return path.name in text or f"✗ {path.stem}" in text or f"failed: {path.stem}" in text


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Line and column (0: none) of every place that a text names, in the usual ways of writing one."""
    for line, column in re.findall(r"\.\w+:(\d+)(?::(\d+))?", text):
        yield int(line), int(column or 0)
    for line, column in re.findall(r"\bline (\d+)(?:,? column (\d+))?", text):
        yield int(line), int(column or 0)
