"""Importing the package costs next to nothing; what is named is brought when it is asked for."""

import subprocess
import sys

import pytest

import engine
import engine.python


def modules_after(code):
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; before = set(sys.modules); {code}; print(*sorted(set(sys.modules) - before))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.split())


def test_the_package_imports_nothing():
    assert modules_after("import engine") - {"__future__"} == {"engine"}


def test_the_command_line_imports_what_it_needs_only():
    heavy = {"jinja2", "jsonschema_rs", "requests", "rich", "yaml"}
    assert not heavy & {name.split(".")[0] for name in modules_after("import engine.cli")}


@pytest.mark.parametrize("module", [engine, engine.python], ids=["engine", "engine.python"])
def test_every_name_is_there_and_listed(module):
    for name in module.__all__:
        assert getattr(module, name) is not None and name in dir(module)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        module.nothing_of_the_kind  # noqa: B018
