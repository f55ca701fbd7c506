"""The version of a file: the present one, later ones, ones that never were; and how an older one is read."""

import pytest

from engine.config.nodes import Entry
from engine.config.reader import read_text
from engine.config.versions import CURRENT, UPGRADES, upgraded
from engine.model import Problem
from engine.runners.findings import all_findings
from tests.config.demo import REGISTRY, read


@pytest.mark.parametrize(
    ("line", "code", "message", "hint"),
    [
        ("version: 2", "bad-version", "the file is of version 2, and this engine reads versions up to 1", "upgrade"),
        ("version: 12", "bad-version", "of version 12", "upgrade the engine"),
        ("version: 0", "bad-version", "version must be 1", "write `version: 1`"),
        ("version: -1", "bad-version", "version must be 1", "write `version: 1`"),
        ('version: "1"', "bad-version", "version must be 1", "write `version: 1`"),
        ("version: true", "bad-version", "version must be 1", "write `version: 1`"),
        ("version:", "bad-version", "version must be 1", "write `version: 1`"),
        ("versoin: 1", "unknown-key", "versoin", 'did you mean "version"?'),
        ("x-version: 1", "missing-setting", 'the file needs "version"', "add `version: 1`"),
    ],
)
def test_what_is_said_of_a_version(line, code, message, hint):
    from engine.config.load import parse

    text = f"{line}\nname: demo\nsources: {{people: {{type: file, path: p.csv}}}}\nsinks: {{out: {{type: stdout}}}}\n"
    text += 'mappings: {echo: {from: people, to: out, fields: "{{ record }}"}}\n'
    loaded = parse(text, "demo.yaml", REGISTRY, environ={})
    found = next(finding for finding in all_findings(loaded, REGISTRY) if finding.code == code)
    assert message in found.message
    assert hint in found.hint
    assert loaded.pipeline is None


def test_nothing_else_is_said_of_a_later_version():
    """What its words mean nobody here knows."""
    loaded = read('version: 2\nsourcse: {}\nmappings: {echo: {to: nowhere, fields: "{{ x | y }}"}}\n')
    assert [finding.code for finding in all_findings(loaded, REGISTRY)] == ["bad-version"]
    assert loaded.document is not None


def test_every_older_version_has_its_upgrade():
    assert sorted(UPGRADES) == list(range(1, CURRENT))


# --- an upgrade, as a later version would bring it --------------------------------------------------------------------


def renamed(old, new):
    """The upgrade of a version that calls a word by another name."""

    def upgrade(root):
        entry = root.entries.get(old)
        if entry is None:
            return root, []
        entries = {new if name == old else name: one for name, one in root.entries.items()}
        warning = Problem("unknown-key", f"{old} is called {new} now", (new,), on_key=True, warning=True)
        return root.with_entries({**entries, new: Entry(entry.value, entry.key)}), [warning]

    return upgrade


FUTURE = {1: renamed("pipes", "mappings"), 2: renamed("outputs", "sinks")}


def test_an_old_file_is_upgraded_step_by_step_and_keeps_its_places():
    text = "# mine\nversion: 1\noutputs: {out: 1}\npipes: {a: 2}\n"
    root = read_text(text).root
    new, problems = upgraded(root, 3, FUTURE)
    assert new.data() == {"version": 3, "sinks": {"out": 1}, "mappings": {"a": 2}}
    assert [problem.message for problem in problems] == [
        "pipes is called mappings now",
        "outputs is called sinks now",
    ]
    assert text[new.get("mappings", "a").start] == "2"
    assert text[new.get("version").start :].startswith("1\n")
    assert root.data() == {"version": 1, "outputs": {"out": 1}, "pipes": {"a": 2}}  # nothing is changed in place


def test_only_the_steps_that_are_missing_are_taken():
    new, problems = upgraded(read_text("version: 2\npipes: 1\noutputs: 2\n").root, 3, FUTURE)
    assert new.data() == {"version": 3, "pipes": 1, "sinks": 2}
    assert len(problems) == 1
    new, problems = upgraded(read_text("version: 3\noutputs: 2\n").root, 3, FUTURE)
    assert (new.data(), problems) == ({"version": 3, "outputs": 2}, [])
    assert upgraded(read_text("version: 4\n").root, 3, FUTURE)[0] is None
    assert upgraded(read_text("version: 0\n").root, 3, FUTURE)[0].data() == {"version": 0}
