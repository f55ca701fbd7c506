"""The search for secrets finds what is planted, in every way of writing it."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from engine.model import Secret
from tests.conftest import seen
from tests.leaks import files_of, forms, found_in

KEY = 'pl4nted "key"/with=signs+ä'
WAYS = {
    "plain": KEY, "JSON": json.dumps({"x": KEY}), "JSON in JSON": json.dumps(json.dumps({"x": KEY})),
    "an address": quote(KEY, safe=""), "base64": base64.b64encode(KEY.encode()).decode(),
    "basic authorization": base64.b64encode(f"me:{KEY}:x".encode()).decode(),
    "basic authorization, another place": base64.b64encode(f"you:{KEY}".encode()).decode(),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_writing_is_found(way):
    assert list(found_in([KEY], [("somewhere", f"before {WAYS[way]} after".encode())]))


def test_what_is_no_secret_is_not_found():
    assert not list(found_in([KEY], [("x", b"pl4nted key with signs"), ("y", b"")]))
    assert all(len(form) > 8 for form in forms(KEY))


@pytest.mark.shows_secrets
@pytest.mark.parametrize(
    "name", [".engine/state.db", ".engine/dead/shop.jsonl", "refused/shop.jsonl", "my-report.json"]
)
def test_files_of_the_engine_are_looked_through(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"it holds {KEY}")
    (tmp_path / "customers.csv").write_text(KEY)  # an input may hold anything
    assert list(found_in([KEY], files_of(tmp_path))) == [f"{name} shows a secret that begins with 'pl4'"]


@pytest.mark.shows_secrets
def test_secrets_and_what_is_shown_are_known(capsys):
    Secret(KEY)
    print(KEY)
    capsys.readouterr()
    command = [sys.executable, "-c", "import os; print(os.environ['SHOP_TOKEN'])"]
    subprocess.run(command, env={"SHOP_TOKEN": "t0ken-of-the-test"}, capture_output=True, check=True)
    assert {KEY, "t0ken-of-the-test"} <= seen.secrets
    assert len(list(found_in({KEY, "t0ken-of-the-test"}, seen.texts))) >= 2


def test_a_planted_leak_fails_its_test(tmp_path):
    (tmp_path / "test_planted.py").write_text(
        "from engine.model import Secret\n"
        "def test_leak(tmp_path):\n"
        f"    Secret({KEY!r})\n"
        "    (tmp_path / '.engine').mkdir()\n"
        f"    (tmp_path / '.engine' / 'state.db').write_text({KEY!r})\n"
        "def test_no_leak(tmp_path):\n"
        f"    Secret({KEY!r})\n"
    )
    root = str(Path(__file__).parent.parent)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-p", "no:cacheprovider", "."]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True
    )
    assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "state.db shows a secret that begins with" in done.stdout
