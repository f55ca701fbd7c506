"""Every pipeline of `pipelines/` runs against the pretend vendors, and the quickstart tells the truth about its file."""

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PIPELINES = sorted((ROOT / "pipelines").glob("*.yaml"))
SUMS = {
    "records": ("filtered", "failed"),
    "payloads": ("delivered", "dropped", "rejected", "unknown"),
}


def run(folder, file):
    """Runs a pipeline file in a copy of its folder; the exit code and the report."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("ITERABLE", "FS_", "LUMIDATUM"))}
    done = subprocess.run(
        [sys.executable, "-m", "engine", "run", file, "--sandbox", "--json"],
        cwd=folder, capture_output=True, text=True, timeout=120, env={**env, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def run_for_people(folder):
    """What `make run` shows of the quickstart; `folder` holds a copy of `pipelines`."""
    done = subprocess.run(
        [sys.executable, "-m", "engine", "run", "pipelines/quickstart.yaml", "--sandbox", "--fresh"],
        cwd=folder, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    return done.stderr


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A copy, so that a run leaves nothing in the checkout."""
    return copy_of_pipelines(tmp_path_factory.mktemp("checkout"))


def copy_of_pipelines(folder):
    return shutil.copytree(ROOT / "pipelines", folder / "pipelines", ignore=shutil.ignore_patterns(".engine", "out"))


@pytest.fixture(scope="session")
def ran(folder):
    """What became of a pipeline; each is run once."""

    @cache
    def result(file):
        code, report = run(folder, file)
        return code, report, letters(folder, report)

    return result


@pytest.fixture
def quickstart(ran):
    return ran("quickstart.yaml")


def letters(folder, report):
    path = folder / ".engine" / "dead" / f"{report['pipeline']}.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


@pytest.mark.parametrize("path", PIPELINES, ids=lambda p: p.stem)
def test_every_pipeline_runs_against_the_sandbox(ran, path):
    code, report, dead = ran(path.name)
    assert code in (0, 1), report
    adds_up(report, dead)
    assert sum(m["delivered"] for m in report["mappings"].values()) > 0


@pytest.mark.parametrize("path", PIPELINES, ids=lambda p: p.stem)
def test_every_pipeline_is_checked_clean(path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "engine", "check", path.name]
    done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=60, env=env)
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"(?:error|warning)\[([a-z-]+)\]", done.stderr)) <= {"unset-variable"}


def test_there_is_a_quickstart():
    assert ROOT / "pipelines" / "quickstart.yaml" in PIPELINES


def adds_up(report, dead):
    bad = sum(source["malformed"] for source in report["sources"].values())
    for mapping in report["mappings"].values():
        assert mapping["payloads"] == sum(mapping[part] for part in SUMS["payloads"])
        assert mapping["records"] >= sum(mapping[part] for part in SUMS["records"])
        bad += mapping["failed"] + mapping["rejected"] + mapping["unknown"]
    assert report["dead_letters"]["count"] == bad == len({letter["id"] for letter in dead})


def test_the_quickstart_delivers_all_but_the_rows_that_must_be_refused(quickstart):
    code, report, dead = quickstart
    assert code == 1
    assert report["status"] == "partial"
    adds_up(report, dead)
    assert report["sources"]["customers"] == {"read": 2804, "malformed": 2}
    counts = {
        name: (m["filtered"], m["failed"], m["delivered"], m["rejected"]) for name, m in report["mappings"].items()
    }
    assert counts == {
        "profiles": (113, 3, 2681, 5),
        "signups": (1453, 0, 1349, 0),
        "orders": (2642, 1, 159, 0),
    }


def test_each_refused_row_is_named_by_line_and_reason(quickstart):
    """The lines are told by an independent look at the file: line and key must be one row's."""
    _, _, dead = quickstart
    lines = (ROOT / "pipelines/data/customers.csv").read_text("utf-8-sig").split("\n")
    refused = {}
    for letter in dead:
        line = lines[letter["origin"]["line"] - 1]
        key = line.split(",")[0]
        assert letter["key"] in (key, None)
        refused[key] = letter["code"]
    assert refused == {
        "C09001": "cells",
        "C09002": "cells",
        "C00412": "invalid-identifier",
        "C00987": "invalid-identifier",
        "migrated-from-the-old-shop-2017-customer-number-0001203": "invalid-payload",
        "C01500": "invalid-data",
        "C01650": "bad-value",
        "C01651": "bad-value",
        "C02044": "type-mismatch",
        "C02300": "bad-value",
        "C02450": "bad-value",
    }


def test_the_quickstarts_file_has_the_blemishes_of_real_exports():
    content = (ROOT / "pipelines/data/customers.csv").read_bytes()
    assert len(content) <= 400_000
    assert content.startswith(b"\xef\xbb\xbf"), "a byte order mark"
    text = content.decode("utf-8-sig")
    assert '""' in text, "doubled quotes"
    assert re.search(r',"[^"]*\n[^"]*"', text), "quoted line breaks"
    assert re.search("[éüŁ]", text), "accents"
    assert re.search("[佐Π]", text), "other scripts"
    assert max(map(len, text.split("\n"))) > 32_000, "a value longer than the vendor takes"


def test_the_tests_of_all_pipelines_pass():
    command = [sys.executable, "-m", "engine", "test", *map(str, PIPELINES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "none failed" in done.stdout + done.stderr
