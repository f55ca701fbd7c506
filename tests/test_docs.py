"""Every block of the README and of `docs/` is run: what a reader copies works, and what is shown is what comes out.

A fence's first word is its language, the words after it say what it is for:

- `yaml FILE`, `csv FILE`, `jsonl FILE`: a file of the page's folder; a pipeline must be checked clean.
- `yaml +FILE`: laid over that pipeline (maps merged, all else replaced), which must still be checked clean.
- `sh`, `sh exit=N`: run by bash in that folder; it must end with N (0).
- `text output`: what the block before printed; times and ids of runs may differ.
- `json NAME`: an example that `schemas/NAME.json` must accept. `python`: must compile; `python run` is run there.
- `text`: for reading only.
"""

import ast
import copy
import json
import os
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

from engine.errors import RecordError
from tests.mapping.support import value_of
from tests.test_quickstart import copy_of_pipelines, run_for_people

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
ROW = re.compile(r"^\| `(\{\{.*?\}\})` \| (.*?) \| (.*?) \|$", re.MULTILINE)
CHANGING = [
    (re.compile(r"\d+(\.\d+)? s\b"), "… s"),
    (re.compile(r"run [0-9a-f]{16}"), "run …"),
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z"), "…"),
]


def name(path):
    return str(path.relative_to(ROOT))


def blocks(page):
    text = page.read_text("utf-8")
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        language, _, words = found[1].strip().partition(" ")
        yield line, language, words.strip(), found[2]


class Folder:
    """Where a page's blocks are carried out."""

    def __init__(self, path):
        self.path, self.printed = path, ""
        (path / "bin").mkdir()
        command = path / "bin" / "engine"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m engine "$@"\n')
        command.chmod(0o755)

    def bash(self, script, code=0):
        env = {
            "PATH": f"{self.path / 'bin'}:{os.environ['PATH']}", "HOME": str(self.path), "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
        }  # fmt: skip
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=self.path, env=env, text=True, timeout=120,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == code, f"exit code {done.returncode}, not {code}:\n{script}\n{done.stdout}"
        assert "Traceback" not in done.stdout
        return done.stdout

    def write(self, file, text):
        place = self.path / file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, "utf-8")

    def checked(self, file, text):
        self.write(file, text)
        said = self.bash(f"engine check {file}")
        strange = set(re.findall(r"warning\[([a-z-]+)\]", said)) - {"unset-variable", "unreadable-secret"}
        assert not strange, said

    def carry_out(self, language, words, text):
        if language == "yaml" and words.startswith("+"):
            base = yaml.safe_load((self.path / words[1:]).read_text("utf-8"))
            self.checked(f"laid-over-{words[1:]}", yaml.safe_dump(laid_over(base, yaml.safe_load(text))))
        elif language == "yaml":
            self.checked(words, text)
        elif language in ("csv", "jsonl"):
            self.write(words, text)
        elif language == "sh":
            code = re.fullmatch(r"(?:exit=(\d+))?", words)
            self.printed = self.bash(text, int(code[1] or 0))
        elif language == "text" and words == "output":
            assert steady(text) == steady(self.printed)
        elif language == "json":
            jsonschema.validate(json.loads(text), json.loads((ROOT / "schemas" / f"{words}.json").read_text("utf-8")))
        elif language == "python" and words == "run":
            self.write("example.py", text)
            self.printed = self.bash(f'"{sys.executable}" -W error example.py')
        elif language == "python":
            ast.parse(text)
        else:
            assert (language, words) == ("text", ""), f"a block that nobody runs: {language} {words}"


def laid_over(below, above):
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return copy.deepcopy(above)
    return {**below, **{key: laid_over(below.get(key), value) for key, value in above.items()}}


def steady(text):
    for pattern, word in CHANGING:
        text = pattern.sub(word, text)
    return text.strip()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_block_does_what_the_page_says(page, tmp_path):
    folder = Folder(tmp_path)
    for line, language, words, text in blocks(page):
        try:
            folder.carry_out(language, words, text)
        except Exception as error:
            raise AssertionError(f"{name(page)}:{line}: {error}") from error


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for target, _ in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{name(page)}: {target}"


def test_the_readme_shows_what_the_quickstart_prints(tmp_path):
    copy_of_pipelines(tmp_path)
    shown = next(text for _, language, _, text in blocks(ROOT / "README.md") if "$ make run" in text)
    assert steady(run_for_people(tmp_path)) in steady(shown)


def test_the_readme_names_every_command_and_no_other():
    from engine.cli import group

    known = set()
    for name, command in group.commands.items():
        known |= {f"{name} {below}" for below in command.commands} if hasattr(command, "commands") else {name}
    table = (ROOT / "README.md").read_text("utf-8").partition("## The commands")[2].partition("\n## ")[0]
    named = set()
    for line in re.findall(r"^\| (`engine .*?`) \| ", table, re.MULTILINE):
        for words in re.findall(r"`engine ([a-z]+)((?: [a-z|\\]+)?)", line):
            below = words[1].replace("\\", "").split("|") if words[1] else [""]
            named |= {f"{words[0]} {each.strip()}".strip() for each in below}
    assert named == known


# --- examples in tables ------------------------------------------------------------------------------------------------


def examples():
    """Rows of `docs/mappings.md`: expression, record, value (or why there is none)."""
    text = (ROOT / "docs" / "mappings.md").read_text("utf-8")
    for expression, record, value in ROW.findall(text):
        yield pytest.param(expression.replace(r"\|", "|"), record, value, id=expression)


@pytest.mark.parametrize(("expression", "record", "value"), list(examples()))
def test_examples_of_expressions(expression, record, value):
    given = json.loads(record.strip("`").replace(r"\|", "|")) if record.strip() else {}
    if not value.startswith("`"):
        with pytest.raises(RecordError) as raised:
            value_of(expression, given)
        assert value.strip() in str(raised.value), raised.value
        return
    wanted = json.loads(value.strip("`").replace(r"\|", "|"))
    found = value_of(expression, given)
    assert found == wanted
    assert type(found) is type(wanted)


def test_the_page_of_mappings_names_every_function_filter_and_test():
    from engine.mapping.checks import FUNCTIONS
    from engine.mapping.filters import FILTERS
    from engine.mapping.methods import METHOD_NAMES
    from engine.mapping.predicates import TESTS

    text = FENCE.sub("", (ROOT / "docs" / "mappings.md").read_text("utf-8"))
    words = {word for span in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"\w+|[<>=!]+", span)}
    for kind, names in (("function", FUNCTIONS), ("filter", FILTERS), ("test", TESTS), ("method", METHOD_NAMES)):
        for each in names:
            assert each in words, f"docs/mappings.md does not name the {kind} {each}"


def test_every_setting_has_a_description():
    """Pages point at `engine plugins NAME` for settings: nothing there may be silent."""
    for path in sorted((ROOT / "schemas").rglob("*.json")):
        schema = json.loads(path.read_text("utf-8"))
        for setting, shape in schema.get("properties", {}).items():
            if path.parent.name in ("sources", "sinks"):
                assert shape.get("description"), f"{path.name}: {setting}"
    assert files("engine.schemas").joinpath("pipeline.json").is_file()
