"""The command as a process: exit codes, what goes to which stream, signals, and that no key is ever shown."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest

KEY = "k3y-that-nobody-may-see"
PIPELINE = """\
version: 1
name: shop
sources:
  customers: {type: file, path: customers.csv, key: id}
sinks:
  crm: {type: iterable, api_key: "${ITERABLE_API_KEY}"}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    fields: {email: "{{ record.email | lower }}", userId: "{{ record.id }}", dataFields: {ltv: "{{ record.ltv | float }}"}}
"""
GOOD = "id,email,ltv\n1,ADA@example.org,79\n2,bob@example.org,3.5\n"
BAD = GOOD + "3,cleo@example.org,n/a\n4,not-an-address,1\n"
DOWN = '{"status": 503, "retry_after": 60}'  # a vendor that asks for a minute's patience: a run that lasts
COMMANDS = [
    [], ["run"], ["check"], ["sandbox"], ["dead"], ["dead", "list"], ["dead", "show"], ["state"],
    ["state", "show"], ["state", "reset"], ["plugins"], ["schema"],
]  # fmt: skip


def environment(**more):
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(Path(__file__).parent.parent), "ITERABLE_API_KEY": KEY, **more}


def engine(folder, *arguments, env=None, code=None, program=("-m", "engine"), **options):
    """Runs the command; every run's output is searched for the key and for tracebacks."""
    done = subprocess.run(
        [sys.executable, *program, *map(str, arguments)], cwd=folder, env=env or environment(), text=True,
        capture_output=True, timeout=60, stdin=subprocess.DEVNULL, **options,
    )  # fmt: skip
    said = done.stdout + done.stderr
    assert KEY not in said
    assert "Traceback" not in said
    if code is not None:
        assert done.returncode == code, said
    return done


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "engine", *arguments], cwd=folder, env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def until(true, seconds=20.0):
    """Waits for another process, which nothing but looking can tell of."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def lock_of(folder):
    path = folder / ".engine" / "locks" / "shop.lock"
    return path.read_text() if path.exists() else ""


def has_begun(folder):
    """Has a run made its first commit?"""
    path = folder / ".engine" / "state.db"
    if not path.exists():
        return False
    with closing(sqlite3.connect(path)) as state:
        try:
            return state.execute("SELECT count(*) FROM heads").fetchone()[0] > 0
        except sqlite3.Error:
            return False


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "shop.yaml").write_text(PIPELINE)
    (tmp_path / "customers.csv").write_text(GOOD)
    return tmp_path


# --- exit codes --------------------------------------------------------------------------------------------------


def test_everything_delivered_is_0(shop):
    done = engine(shop, "run", "shop.yaml", "--sandbox", code=0)
    assert done.stdout == ""
    assert "shop: succeeded: 2 delivered to the pretend vendors" in done.stderr


def test_some_refused_is_1_and_says_where_they_are(shop):
    (shop / "customers.csv").write_text(BAD)
    done = engine(shop, "run", "shop.yaml", "--sandbox", code=1)
    assert "2 delivered, 1 rejected" in done.stderr
    assert "2 dead letters in .engine/dead/shop.jsonl" in done.stderr
    assert "customers.csv:4: profiles: bad-value in dataFields.ltv" in done.stderr
    letters = [json.loads(line) for line in (shop / ".engine/dead/shop.jsonl").read_text().splitlines()]
    assert [x["origin"]["line"] for x in letters] == [4, 5]
    assert KEY not in json.dumps(letters)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nothing.yaml"], "nothing.yaml: error[no-file]"),
        (["run"], "Missing argument"),
        (["walk"], "No such command"),
        (["run", "shop.yaml", "--sandbox", "--set", "x=1"], "--set names"),
        (["run", "shop.yaml", "--sandbox", "--set", "x"], "--set takes name=value"),
        (["run", "shop.yaml", "--sandbox", "--env", "prod"], "no environment"),
        (["run", "shop.yaml", "--sandbox", "--fault", "{"], "--fault is not JSON"),
        (["run", "shop.yaml", "--sandbox", "--fault", '{"evry": 2}'], "did you mean 'every'?"),
        (["run", "shop.yaml", "--fault", '{"status": 503}'], "add --sandbox"),
        (["run", "shop.yaml", "--limit", "0"], "--limit"),
        (["dead", "show", "nothing.yaml"], "the file does not exist"),
        (["plugins", "iterabel"], "did you mean 'iterable'?"),
        (["schema", "nothing"], "there is no plugin"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_2(shop, arguments, said):
    assert said in engine(shop, *arguments, code=2).stderr
    assert not (shop / ".engine" / "dead").exists()


def test_a_wrong_file_is_2_with_every_finding(shop):
    (shop / "shop.yaml").write_text(PIPELINE.replace("email:", "emial:").replace("key: id", "kye: id"))
    for command in (["run", "shop.yaml", "--sandbox"], ["check", "shop.yaml"]):
        said = engine(shop, *command, code=2).stderr
        assert re.search(r"shop\.yaml:4:\d+: error.*did you mean \"key\"\?", said)
        assert re.search(r"shop\.yaml:11:\d+: error.*did you mean \"email\"\?", said)
    assert not (shop / ".engine").exists()


def test_every_wrong_expression_is_found_in_one_pass(shop):
    (shop / "shop.yaml").write_text(PIPELINE.replace("lower", "lowre").replace("record.ltv", "record.lvt"))
    said = engine(shop, "check", "shop.yaml", code=2).stderr
    assert 'did you mean "lower"?' in said
    assert 'did you mean "ltv"?' in said
    assert not (shop / ".engine").exists()


def test_an_unset_variable_is_2_but_check_only_warns(shop):
    env = environment()
    del env["ITERABLE_API_KEY"]
    said = engine(shop, "run", "shop.yaml", env=env, code=2).stderr
    assert "shop.yaml:6:35: error[unset-variable]" in said
    assert "ITERABLE_API_KEY" in said
    assert "warning[unset-variable]" in engine(shop, "check", "shop.yaml", env=env, code=0).stderr
    engine(shop, "run", "shop.yaml", "--sandbox", env=env, code=0)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ('{"status": 401}', "refused the key"),
        ('{"redirect": "http://127.0.0.1:9/"}', "redirect"),
        ('{"status": 503, "retry_after": 1000}', "asks to wait 1000 s"),
    ],
)
def test_halted_is_3_and_the_next_start_resumes(shop, fault, said):
    done = engine(shop, "run", "shop.yaml", "--sandbox", "--fault", fault, code=3)
    assert said in done.stderr
    assert "run the same command again" in done.stderr
    assert not (shop / ".engine/dead/shop.jsonl").exists(), "a vendor's bad hour buries nothing"
    done = engine(shop, "run", "shop.yaml", "--sandbox", "--json", code=0)
    report = json.loads(done.stdout)
    assert report["resumed"]
    assert report["sources"]["customers"]["read"] == 2
    assert report["mappings"]["profiles"]["delivered"] == 2


def test_a_state_that_cannot_be_written_is_3(shop):
    (shop / ".engine").write_text("in the way")
    done = engine(shop, "run", "shop.yaml", "--sandbox", code=3)
    assert ".engine" in done.stderr


def test_a_source_that_changed_under_the_checkpoint_is_4(shop):
    engine(shop, "run", "shop.yaml", "--sandbox", "--limit", "1", code=0)
    (shop / "customers.csv").write_text(GOOD.replace("79", "80"))
    done = engine(shop, "run", "shop.yaml", "--sandbox", code=4)
    assert "customers.csv changed under the checkpoint" in done.stderr
    assert "--fresh" in done.stderr
    engine(shop, "run", "shop.yaml", "--sandbox", "--fresh", code=0)


def test_a_damaged_state_is_4(shop):
    engine(shop, "run", "shop.yaml", "--sandbox", code=0)
    for left in (shop / ".engine").glob("state.db*"):
        left.unlink()
    (shop / ".engine" / "state.db").write_bytes(b"no database" * 1000)
    assert "damaged" in engine(shop, "run", "shop.yaml", "--sandbox", code=4).stderr


def test_two_runs_at_once_the_second_is_4_within_a_second(shop):
    first = start(shop, "run", "shop.yaml", "--sandbox", "--fault", DOWN)
    try:
        until(lambda: '"run"' in lock_of(shop))
        began = time.monotonic()
        done = engine(shop, "run", "shop.yaml", "--sandbox", code=4)
        refused_after = time.monotonic() - began
        assert f"pid {first.pid}" in done.stderr
        assert engine(shop, "state", "reset", "shop.yaml", code=4).stdout == ""
    finally:
        first.kill()
        first.communicate()
    began = time.monotonic()
    engine(shop, "run", "shop.yaml", "--sandbox", code=0)  # the kernel frees the lock of a killed process
    a_whole_run = time.monotonic() - began
    assert refused_after < max(1.0, 2 * a_whole_run), "a busy machine starts a process slowly; waiting it must not"


def test_a_defect_of_ours_is_70_and_shows_no_data(shop):
    planted = (
        "import engine.commands.run as room, engine.cli\n"
        f"def broken(*_, **__): raise KeyError('{KEY}')\n"
        "room.run_files = broken\n"
        "engine.cli.main()\n"
    )
    done = engine(shop, "run", "shop.yaml", "--sandbox", program=("-c", planted), code=70)
    assert re.fullmatch(r"engine: a defect of ours: KeyError at <string>:2, version \S+\. .*\n", done.stderr)


def test_several_files_the_worst_exit_counts_and_a_wrong_one_stops_all(shop):
    (shop / "other.yaml").write_text(
        PIPELINE.replace("name: shop", "name: other").replace("customers.csv", "bad.csv")
    )
    (shop / "bad.csv").write_text(BAD)
    done = engine(shop, "run", "other.yaml", "shop.yaml", "--sandbox", "--json", code=1)
    assert [json.loads(line)["pipeline"] for line in done.stdout.splitlines()] == ["other", "shop"]
    (shop / "other.yaml").write_text("version: 1\n")
    assert engine(shop, "run", "shop.yaml", "other.yaml", "--sandbox", "--json", code=2).stdout == ""


def test_a_report_that_cannot_be_written_is_3_before_anything_is_sent(shop):
    (shop / "taken").write_text("a file, where a folder is wanted")
    done = engine(shop, "run", "shop.yaml", "--sandbox", "--report", "taken/report.json", code=3)
    assert "cannot write the report" in done.stderr
    assert not (shop / ".engine").exists()


def test_reports_of_several_files_stand_in_one_file(shop):
    (shop / "other.yaml").write_text(PIPELINE.replace("name: shop", "name: other"))
    for _ in range(2):  # a second command replaces them
        engine(shop, "run", "other.yaml", "shop.yaml", "--sandbox", "--report", "report.jsonl", code=0)
        lines = (shop / "report.jsonl").read_text().splitlines()
        assert [json.loads(line)["pipeline"] for line in lines] == ["other", "shop"]


# --- signals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_waiting_run_with_130_and_it_resumes(shop, number):
    run = start(shop, "run", "shop.yaml", "--sandbox", "--json", "--fault", DOWN)
    until(lambda: has_begun(shop))
    began = time.monotonic()
    run.send_signal(number)
    out, err = run.communicate(timeout=20)
    assert time.monotonic() - began < 10
    assert run.returncode == 130, err
    assert "Traceback" not in err
    assert json.loads(out)["status"] == "interrupted"
    resumed = json.loads(engine(shop, "run", "shop.yaml", "--sandbox", "--json", code=0).stdout)
    assert resumed["mappings"]["profiles"]["delivered"] == 2


def test_the_sandbox_serves_and_stops_on_sigterm(shop):
    served = start(shop, "sandbox", "--fault", '{"nth": [1], "status": 503, "retry_after": 0}')
    try:
        name, url = served.stdout.readline().split()
        assert name == "iterable"
        text = PIPELINE.replace('KEY}"}', f'KEY}}", base_url: "{url}"}}')
        (shop / "shop.yaml").write_text(text)
        done = engine(shop, "run", "shop.yaml", "--json", code=0)
        assert json.loads(done.stdout)["sinks"]["crm"]["retries"] == 1
    finally:
        served.send_signal(signal.SIGTERM)
        _, err = served.communicate(timeout=20)
    assert served.returncode == 0
    assert "Traceback" not in err


# --- streams -----------------------------------------------------------------------------------------------------


def test_json_is_on_stdout_and_peoples_text_on_stderr(shop):
    (shop / "customers.csv").write_text(BAD)
    done = engine(shop, "run", "shop.yaml", "--sandbox", "--json", "--report", "out/report.json", code=1)
    report = json.loads(done.stdout)
    assert report["status"] == "partial"
    assert report["dead_letters"]["count"] == 2
    written = shop / "out/report.json"
    assert json.loads(written.read_text()) == report
    assert written.stat().st_mode & 0o777 == 0o600
    assert "shop: partial" in done.stderr
    letters = [json.loads(line) for line in engine(shop, "dead", "show", "shop.yaml", "--json").stdout.splitlines()]
    assert {x["code"] for x in letters} == {"bad-value", "invalid-identifier"}
    groups = [json.loads(line) for line in engine(shop, "dead", "list", "shop.yaml", "--json").stdout.splitlines()]
    assert sum(group["count"] for group in groups) == 2
    whole = engine(shop, "dead", "show", "shop.yaml", letters[0]["id"][:10]).stdout
    assert json.loads(whole) == letters[0]
    state = json.loads(engine(shop, "state", "show", "shop.yaml", "--json").stdout)
    assert state["unfinished"] is None
    assert state["runs"][0]["run_id"] == report["run_id"]


def test_a_dry_run_prints_the_requests_and_leaves_no_trace(shop):
    done = engine(shop, "run", "shop.yaml", "--dry-run", code=0)
    requests = [json.loads(line) for line in done.stdout.splitlines()]
    assert {request["url"] for request in requests} == {"https://api.iterable.com/api/users/bulkUpdate"}
    assert {request["headers"]["Api-Key"] for request in requests} == {"•••"}
    users = [user for request in requests for user in request["body"]["users"]]
    assert len(users) == 2
    assert min(users, key=lambda user: user["userId"]) == {
        "email": "ada@example.org",
        "userId": "1",
        "dataFields": {"ltv": 79.0},
    }
    assert not (shop / ".engine").exists()


def test_limit_keeps_the_position(shop):
    first = json.loads(engine(shop, "run", "shop.yaml", "--sandbox", "--json", "--limit", "1", code=0).stdout)
    assert first["mappings"]["profiles"]["delivered"] == 1
    second = json.loads(engine(shop, "run", "shop.yaml", "--sandbox", "--json", code=0).stdout)
    assert second["resumed"]
    assert second["sinks"]["crm"]["requests"] == 2, "the first row is not sent again"


def test_reset_forgets_the_position(shop):
    engine(shop, "run", "shop.yaml", "--sandbox", "--limit", "1", code=0)
    assert "1 row" in engine(shop, "state", "show", "shop.yaml", code=0).stdout
    engine(shop, "state", "reset", "shop.yaml", code=0)
    assert not json.loads(engine(shop, "run", "shop.yaml", "--sandbox", "--json", code=0).stdout)["resumed"]


def test_no_color_codes_where_no_terminal_is(shop):
    done = engine(shop, "run", "shop.yaml", "--sandbox", env=environment(NO_COLOR="1", TERM="xterm-256color"), code=0)
    assert "\x1b" not in done.stderr + done.stdout


@pytest.mark.parametrize("no_color", [{}, {"NO_COLOR": "1"}])
def test_on_a_terminal_no_color_is_obeyed(shop, no_color):
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    env = environment(TERM="xterm-256color", **no_color)
    command = [
        sys.executable,
        "-m",
        "engine",
        "run",
        "shop.yaml",
        "--sandbox",
        "--fault",
        '{"nth": [1], "delay": 0.5}',
    ]
    run = subprocess.Popen(command, cwd=shop, env=env, stdout=slave, stderr=slave, stdin=subprocess.DEVNULL)
    os.close(slave)
    said = _all_of(master)
    assert run.wait(timeout=20) == 0
    assert "profiles → crm.update_user" in said
    colors = re.findall(r"\x1b\[[0-9;]*m", said)
    assert not (no_color and [c for c in colors if re.search(r"\b(3[0-7]|9[0-7]|38)\b", c)])


def _all_of(master):
    said = b""
    while True:
        try:
            more = os.read(master, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not more:
            break
        said += more
    os.close(master)
    return said.decode()


@pytest.mark.parametrize("arguments", [["schema"], ["run", "shop.yaml", "--dry-run"], ["plugins", "iterable"]])
def test_a_closed_stdout_is_no_traceback(shop, arguments):
    (shop / "customers.csv").write_text("id,email,ltv\n" + "".join(f"{n},a{n}@example.org,1\n" for n in range(3000)))
    read, write = os.pipe()
    os.close(read)
    run = subprocess.Popen(
        [sys.executable, "-m", "engine", *arguments], cwd=shop, env=environment(), stdout=write, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(write)
    _, err = run.communicate(timeout=20)
    assert b"Traceback" not in err
    assert b"Exception ignored" not in err
    assert b"defect" not in err
    assert run.returncode == 3, "what was asked for could not be shown"


def test_a_closed_stdout_does_not_change_what_a_run_came_to(shop):
    command = f"{sys.executable} -m engine run shop.yaml --sandbox --json | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=shop, env=environment(), capture_output=True, timeout=60)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_a_closed_stderr_does_not_stop_a_run(shop):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "engine", "run", "shop.yaml", "--sandbox", "--json"]
    run = subprocess.Popen(command, cwd=shop, env=environment(), stdout=subprocess.PIPE, stderr=write)
    os.close(write)
    out, _ = run.communicate(timeout=20)
    assert run.returncode == 0
    assert json.loads(out)["mappings"]["profiles"]["delivered"] == 2


def in_bash(folder, command, **more):
    line = command.replace("engine ", f"{sys.executable} -m engine ", 1)
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment(**more), capture_output=True, timeout=60, text=True
    )
    for word in ("Traceback", "Exception ignored", "defect"):
        assert word not in done.stdout + done.stderr, done.stderr
    return done


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", "--json >/dev/full", "2>/dev/full"])
def test_a_run_keeps_its_exit_code_whatever_its_streams_are(shop, streams):
    if "full" in streams and not Path("/dev/full").exists():
        pytest.skip("there is no full device here")
    (shop / "customers.csv").write_text(BAD)
    done = in_bash(shop, f"engine run shop.yaml --sandbox --report report.json {streams}")
    assert done.returncode == 1
    assert json.loads((shop / "report.json").read_text())["mappings"]["profiles"]["delivered"] == 2
    assert ("cannot write to stdout: No space left" in done.stderr) == ("--json" in streams)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
@pytest.mark.parametrize("command", ["schema", "plugins", "explain", "--help", "run shop.yaml --dry-run", "init new"])
def test_a_full_stdout_is_3_and_said(shop, command):
    (shop / "customers.csv").write_text("id,email,ltv\n" + "".join(f"{n},a{n}@example.org,1\n" for n in range(300)))
    done = in_bash(shop, f"engine {command} >/dev/full")
    assert done.returncode == 3 and "No space left" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")
def test_a_full_stderr_leaves_a_wrong_call_what_it_is(shop):
    assert in_bash(shop, "engine walk 2>/dev/full").returncode == 2
    assert in_bash(shop, "engine walk 2>&-").returncode == 2


def test_an_interrupt_while_it_is_loaded_is_130(shop):
    (shop / "click.py").write_text("raise KeyboardInterrupt\n")
    done = in_bash(shop, "engine schema", PYTHONPATH=f"{shop}:{Path(__file__).parent.parent}")
    assert done.returncode == 130 and done.stderr == ""


# --- no key, anywhere --------------------------------------------------------------------------------------------


def test_the_key_is_in_no_output_and_no_file(shop):
    (shop / "customers.csv").write_text(BAD + f"5,{KEY}@example.org,{KEY}\n")  # even where a record holds it
    echo = json.dumps({"nth": [1], "status": 400, "body": f"you sent {KEY}"})
    for more in ([], ["--dry-run"], ["--fault", echo], ["--json", "--report", "report.json"]):
        engine(shop, "run", "shop.yaml", "--sandbox", "--fresh", *more)
    for command in (["check", "shop.yaml"], ["dead", "show", "shop.yaml", "--json"], ["state", "show", "shop.yaml"]):
        engine(shop, *command)
    for path in shop.rglob("*"):
        if path.is_file() and path.name != "customers.csv":
            assert KEY.encode() not in path.read_bytes(), path


@pytest.mark.shows_secrets  # of its two keys each run has one, and the other one as data
def test_a_key_in_another_writing_is_in_no_output_and_no_file(shop):
    odd, number = 'sec"ret\\key/1234', "12345678"
    text = PIPELINE.replace("dataFields: {", "dataFields: {n: '{{ record.id | int }}', ")
    (shop / "shop.yaml").write_text(text)
    (shop / "customers.csv").write_text(f"id,email,ltv\n{number},a@example.org,1\n{number},b@example.org,{odd}\n")
    for key in (odd, number):
        for more in (
            ["--dry-run"],
            ["--fault", json.dumps({"every": 1, "status": 400, "body": json.dumps({"msg": odd})})],
        ):
            env = environment(ITERABLE_API_KEY=key)
            done = engine(shop, "run", "shop.yaml", "--sandbox", "--fresh", *more, env=env)
            assert [json.loads(line) for line in done.stdout.splitlines()] or "--dry-run" not in more
            assert json.dumps(key)[1:-1] not in done.stdout + done.stderr
        letters = (shop / ".engine/dead/shop.jsonl").read_text()
        assert json.dumps(key)[1:-1] not in letters and "•••" in letters
        assert "Traceback" not in engine(shop, "dead", "list", "shop.yaml", code=0).stderr
        (shop / ".engine/dead/shop.jsonl").unlink()


# --- no tricks on a terminal -------------------------------------------------------------------------------------

TRICKS = "\x1b]0;owned\x07\x9b31m\u202e\u061c\r"
SIGNS = set("\x1b\x07\x9b\u202e\u061c")


def test_data_plays_no_tricks_on_a_terminal(shop):
    name = f"c{TRICKS}\nshop: succeeded.csv"
    text = PIPELINE.replace("path: customers.csv", f"path: {json.dumps(name)}").replace(
        "ltv:", "e: '{{ record.ltv }}', ltv:"
    )
    (shop / "shop.yaml").write_text(text)
    (shop / name).write_text(f'id,email,ltv\n1,a@example.org,"{TRICKS}"\n2,b@example.org,{TRICKS.strip()}\n')
    runs = [["run", "shop.yaml", "--sandbox", "--fresh", "--json"], ["run", "shop.yaml", "--dry-run"]]
    looks = [["dead", *more] for more in (["list", "shop.yaml"], ["show", "shop.yaml"], ["list", "shop.yaml", "--json"],
                                          ["show", "shop.yaml", "--json"], ["show", "shop.yaml", ""])]  # fmt: skip
    record = json.dumps({"id": 1, "email": "a@example.org", "ltv": TRICKS})
    for command in (*runs, *looks, ["try", "shop.yaml", "--record", record], ["check", "shop.yaml"]):
        done = engine(shop, *command)
        assert done.returncode in (0, 1), done.stderr
        assert not SIGNS & set(done.stdout + done.stderr), command
    assert "\nshop: succeeded" not in engine(shop, *runs[0]).stderr
    letters = [json.loads(line) for line in engine(shop, *looks[3]).stdout.splitlines()]
    assert letters[0]["record"]["ltv"] == TRICKS.strip() or letters[0]["record"]["ltv"] == TRICKS


def test_a_vendor_plays_no_tricks_on_a_terminal(shop):
    fault = json.dumps({"every": 1, "status": 400, "body": json.dumps({"msg": TRICKS, "code": TRICKS})})
    said = engine(shop, "run", "shop.yaml", "--sandbox", "--fault", fault, "--json")
    for more in (["list"], ["show"], ["list", "--json"], ["show", "--json"]):
        done = engine(shop, "dead", more[0], "shop.yaml", *more[1:], code=0)
        assert "owned" in done.stdout
        assert not SIGNS & set(done.stdout + done.stderr + said.stdout + said.stderr)


# --- what the commands say of themselves ---------------------------------------------------------------------------


def test_version(tmp_path):
    assert engine(tmp_path, "--version", code=0).stdout.strip() == f"engine, version {version('engine')}"


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(tmp_path, command):
    said = engine(tmp_path, *command, "-h" if "list" in command else "--help", code=0).stdout
    assert said.startswith(f"Usage: engine {' '.join(command)}".rstrip())
    assert "Show this message and exit" in said


def test_the_installed_command_is_the_same_program(tmp_path):
    script = Path(sys.executable).parent / "engine"
    if not script.exists():
        pytest.skip("the engine is not installed in this environment")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.strip() == f"engine, version {version('engine')}"


def test_plugins_and_schema(tmp_path):
    assert "iterable" in engine(tmp_path, "plugins", code=0).stdout
    said = engine(tmp_path, "plugins", "iterable", code=0).stdout
    assert "api_key (required)" in said
    assert "at most 1,000 records a request, 3,800,000 bytes, 5 requests/s" in said
    assert "update_user" in json.loads(engine(tmp_path, "plugins", "iterable", "--json", code=0).stdout)["actions"]
    assert json.loads(engine(tmp_path, "schema", code=0).stdout)["title"] == "Pipeline"
    assert "update_user" in json.loads(engine(tmp_path, "schema", "iterable", code=0).stdout)["$defs"]
