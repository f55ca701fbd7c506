"""A package of plugins, installed beside the engine: there for check, schema, plugins, try, test and run at once."""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

ROOT = Path(__file__).parent.parent.parent
ACME = ROOT / "examples" / "acme"
FILE = ACME / "pipelines" / "days.yaml"


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    """The command in an interpreter that has the package."""
    folder = tmp_path_factory.mktemp("site")
    source = folder / "source"
    subprocess.run(["cp", "-R", str(ACME), str(source)], check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
               "--disable-pip-version-check", "--target", str(folder / "packages"), str(source)]  # fmt: skip
    done = subprocess.run(install, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    env = {**os.environ, "PYTHONPATH": f"{folder / 'packages'}:{ROOT}", "ACME_TOKEN": "token-0123456789"}

    def run(*arguments, code=0):
        command = [sys.executable, "-m", "engine", *map(str, arguments)]
        done = subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True, timeout=60)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    run.folder = folder
    return run


def test_it_is_listed_and_described(engine):
    listed = json.loads(engine("plugins", "--json").stdout)
    assert "acme" in listed["sinks"]
    assert "acme_calendar" in listed["sources"]
    assert "acme.segment" in listed["lookups"]
    assert listed["filters"] == ["initials"]
    assert "at most 50 records a request" in engine("plugins", "acme").stdout
    assert "initials(separator: str = ''): The first letters" in engine("plugins", "initials").stdout


def test_who_is_not_in_the_sandbox_is_said(engine):
    done = engine("run", FILE, "--sandbox", "--no-progress", "--state", engine.folder / "state", code=3)
    assert (
        done.stderr.splitlines()[0]
        == f"{FILE}: warning: nothing in the sandbox answers as acme; `engine test` does, by `vendor:`"
    )


def test_editors_know_it(engine):
    schema = json.loads(engine("schema").stdout)
    assert "acme" in schema["$defs"]["sink"]["properties"]["type"]["enum"]
    assert schema["$defs"]["sources.acme_calendar"]["properties"]["year"]["description"] == "Which year."
    fields = [branch["then"]["properties"]["fields"] for branch in schema["$defs"]["mapping"]["allOf"]]
    assert any("who" in payload.get("properties", {}) for payload in fields)


def test_its_file_is_checked_and_tested(engine):
    assert "nothing wrong" in engine("check", FILE).stderr
    assert "2 tests, none failed" in engine("test", FILE).stderr
    tried = engine("try", FILE, "--record", '{"day": "2024-01-01", "weekday": "Sun day"}', "--lookups",
                   '{"segment": "x"}', code=1)  # fmt: skip
    assert 'text: "S.D: x"  string' in tried.stdout


def test_mistakes_are_found_in_it_too(engine):
    wrong = engine.folder / "wrong.yaml"
    text = (
        FILE.read_text()
        .replace("year: 2024", "yaer: 2024")
        .replace("| initials(", "| inital(")
        .replace('who: "{{ record.weekday }}", text', "text")
    )
    wrong.write_text(text)
    said = engine("check", wrong, code=2).stderr
    for finding in (
        'has no key "yaer"; did you mean "year"?',
        'no filter "inital"; did you mean "initials"?',
        "needs who",
    ):
        assert finding in said, said


class PretendAcme(BaseHTTPRequestHandler):
    """Takes notes, but of nobody on a Tuesday."""

    notes: ClassVar = []

    def do_GET(self):
        self.answer({"segment": self.path.rpartition("/")[2].lower()})

    def do_POST(self):
        given = json.loads(self.rfile.read(int(self.headers["content-length"])))["notes"]
        bad = [{"index": at, "why": "not today"} for at, note in enumerate(given) if note["who"] == "Tuesday"]
        self.notes.extend((self.headers["acme-token"], note) for note in given if note["who"] != "Tuesday")
        self.answer({"refused": bad})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_): ...


def test_it_runs(engine):
    server = ThreadingHTTPServer(("127.0.0.1", 0), PretendAcme)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        file = engine.folder / "days.yaml"
        address = f'"${{ACME_TOKEN}}", base_url: "http://127.0.0.1:{server.server_port}"'
        file.write_text(FILE.read_text().replace('"${ACME_TOKEN}"', address))
        done = engine("run", file, "--no-progress", "--json", code=1)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    counts = json.loads(done.stdout)["mappings"]["notes"]
    assert (counts["filtered"], counts["delivered"], counts["rejected"]) == (363, 2, 1)
    assert sorted(note["text"] for _, note in PretendAcme.notes) == ["M: monday", "W: wednesday"]
    assert {token for token, _ in PretendAcme.notes} == {"token-0123456789"}
    (letter,) = engine("dead", "list", file).stdout.splitlines()[:-1]
    assert "acme-note" in letter
    assert "not today" in letter
