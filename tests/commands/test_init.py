"""`engine init`: what it writes passes check and test and runs at once; it overwrites nothing."""

import json
import re

import jsonschema
import pytest
import yaml

from engine.errors import InvalidPipeline


def test_a_new_project_works_at_once(shell):
    done = shell("init", "shop")
    assert done.code == 0
    assert "engine run shop/pipelines/customers.yaml --sandbox" in done.out
    file = "shop/pipelines/customers.yaml"
    assert shell("check", file).err == "1 file checked, nothing wrong\n"
    tested = shell("test", file)
    assert tested.code == 0
    assert tested.err.endswith("3 tests, none failed\n")
    ran = shell("run", file, "--sandbox", "--json", "--no-progress")
    assert ran.code == 0
    report = json.loads(ran.out)
    assert {name: count["delivered"] for name, count in report["mappings"].items()} == {"profiles": 4, "signups": 4}
    assert (shell.folder / "shop/pipelines/.engine").is_dir()
    assert ".engine/" in shell.read("shop/.gitignore").splitlines()


def test_every_command_of_its_readme_works(shell):
    shell("init", ".")
    shell("run", "pipelines/customers.yaml", "--sandbox", "--no-progress")
    for command in re.findall(r"^\| `engine ([^`]+)` \|", shell.read("README.md"), re.M):
        arguments = command.replace("*.yaml", "customers.yaml").replace("CODE", "bad-yaml").split()
        if arguments[-2:] == ["run", "pipelines/customers.yaml"]:
            continue  # over the network
        assert shell(*arguments).code == 0, command


def test_its_schema_fits_its_pipeline(shell):
    shell("init", ".")
    schema = json.loads(shell.read("pipelines/pipeline.schema.json"))
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(shell.read("pipelines/customers.yaml")))
    assert "$schema=pipeline.schema.json" in shell.read("pipelines/customers.yaml").splitlines()[0]


def test_nothing_is_overwritten(shell):
    (shell.folder / "pipelines").mkdir()
    shell.write("pipelines/customers.yaml", "mine")
    with pytest.raises(InvalidPipeline, match=r"has pipelines/customers\.yaml already; nothing was written"):
        shell("init")
    assert [path.name for path in shell.folder.iterdir()] == ["pipelines"]


def test_a_repository_keeps_its_readme_and_its_gitignore(shell):
    shell.write("README.md", "mine")
    shell.write(".gitignore", "mine too")
    done = shell("init")
    assert "kept README.md\nkept .gitignore: it should hold the line `.engine/`\n" in done.out
    assert shell.read("README.md") == "mine" and shell.read(".gitignore") == "mine too"
    assert shell("check", "pipelines/customers.yaml").code == 0
