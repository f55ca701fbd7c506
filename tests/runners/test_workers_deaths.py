"""Workers and the one that started them are killed: nothing goes on sending, nothing is lost, and what is sent again was
in flight."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from engine.plugin import Response
from engine.runtime.clock import SystemClock
from engine.runtime.deadletters import read_letters
from engine.sandbox.server import serve
from engine.sandbox.world import World

pytestmark = pytest.mark.crash

BATCH, LANES = 20, 4
PIPELINE = f"""
version: 1
name: shop
sources:
  customers: {{type: file, path: customers.jsonl}}
sinks:
  crm:
    type: iterable
    api_key: "${{ITERABLE_API_KEY}}"
    base_url: "${{ITERABLE_URL}}"
    concurrency: {LANES}
    rate_limit: {{requests: 0}}
    batch: {{max_records: {BATCH}}}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    fields: {{email: "{{{{ record.email }}}}", dataFields: {{n: "{{{{ record.n | int }}}}"}}}}
"""
ROWS = 3_000
BAD = [n for n in range(ROWS) if n % 97 == 13]
GOOD = {f"u{n}@shop.test" for n in range(ROWS) if n not in set(BAD)}


class Watched(World):
    """Acts on its `at`-th request: then the test wants something to happen."""

    def __init__(self, at: int, act) -> None:
        super().__init__(SystemClock(), settings={"iterable": {"rates": False}})
        self.at, self.act = at, act
        self.count = threading.Lock()
        self.sent: list[list[str]] = []
        self.moments: list[float] = []

    def answer(self, request, place="") -> Response:
        with self.count:
            self.sent.append([user["email"] for user in msgspec.json.decode(request.body)["users"]])
            self.moments.append(time.monotonic())
            now = len(self.sent) == self.at
        if now:
            self.act()
        return super().answer(request, place)


class Home:
    def __init__(self, folder: Path, server) -> None:
        self.folder, self.process = folder, None
        self.env = {**os.environ, "ITERABLE_API_KEY": "test-key-0123456789", "ITERABLE_URL": server.urls["iterable"]}
        (folder / "shop.yaml").write_text(PIPELINE)
        lines = [json.dumps({"email": f"u{n}@shop.test", "n": "x" if n in set(BAD) else n}) for n in range(ROWS)]
        (folder / "customers.jsonl").write_text("\n".join(lines) + "\n")

    def start(self):
        command = [sys.executable, "-m", "engine", "run", "shop.yaml", "--workers", "2", "--json", "--no-progress"]
        out, said = (self.folder / "out").open("w"), (self.folder / "said").open("w")
        with out, said:  # no pipes: a worker that lives on would keep them open
            self.process = subprocess.Popen(command, cwd=self.folder, env=self.env, stdout=out, stderr=said)
        return self.process

    def workers(self) -> list[int]:
        """The process's children."""
        own = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if own.exists():
            return [int(pid) for pid in own.read_text().split()]
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        return [int(pid) for pid in found.stdout.split()]

    def end(self):
        code = self.process.wait(timeout=90)
        out, said = ((self.folder / name).read_text() for name in ("out", "said"))
        return code, json.loads(out) if out else None, said

    def run(self):
        """Starts, again and again while workers of an earlier start are still ending."""
        for _ in range(100):
            self.start()
            code, report, said = self.end()
            if code != 4:
                return code, report, said
        raise AssertionError(said)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return (
        Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" if Path("/proc").exists() else True
    )


def gone(pids: list[int]) -> bool:
    """Waits for processes that are nobody's children of ours."""
    by = time.monotonic() + 30
    while any(map(alive, pids)) and time.monotonic() < by:
        with suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        threading.Event().wait(0.01)
    return not any(map(alive, pids))


def judge(home: Home, world: Watched, report, kills: int = 1) -> None:
    """Everybody arrived; who came twice was in flight; each bad row is one dead letter; the sums are those of all."""
    times = Counter(person for batch in world.sent for person in batch)
    assert set(times) == GOOD
    assert sum(count - 1 for count in times.values()) <= kills * LANES * BATCH
    letters = list(read_letters(home.folder / ".engine" / "dead" / "shop.jsonl"))
    assert sorted(letter["origin"]["line"] - 1 for letter in letters) == BAD
    profiles = report["mappings"]["profiles"]
    assert report["sources"]["customers"] == {"read": ROWS, "malformed": 0}
    assert (profiles["records"], profiles["failed"], profiles["delivered"]) == (ROWS, len(BAD), len(GOOD))


def test_a_worker_that_is_killed_stops_the_others_and_the_next_start_ends_the_run(tmp_path):
    home: Home
    world = Watched(25, lambda: os.kill(home.workers()[0], signal.SIGKILL))
    with serve(world, port=0) as server:
        home = Home(tmp_path, server)
        home.start()
        code, report, said = home.end()
        assert code == 3 and report["status"] == "halted", said
        assert report["error"]["code"] == "worker-lost" and "SIGKILL" in report["error"]["reason"]
        m = report["mappings"]["profiles"]
        assert m["records"] == report["sources"]["customers"]["read"]
        assert m["payloads"] == m["delivered"] > 0
        code, report, said = home.run()
        assert code == 1 and report["resumed"], said
        judge(home, world, report)


def test_workers_do_not_outlive_the_one_that_started_them(tmp_path):
    home: Home
    pids: list[int] = []

    def kill():
        pids.extend(home.workers())
        home.process.kill()

    world = Watched(25, kill)
    with serve(world, port=0) as server:
        home = Home(tmp_path, server)
        home.start()
        home.end()
        assert len(pids) == 2 and gone(pids)
        sent = len(world.sent)
        assert sent < len(GOOD) / BATCH
        code, report, said = home.run()
        assert len(world.sent) > sent
        assert code == 1 and report["resumed"], said
        judge(home, world, report)


def test_a_new_start_waits_for_no_orphan_but_is_refused_while_there_is_one(tmp_path):
    """A worker holds the pipeline as long as it lives, even when it cannot hear that nobody is there any more."""
    home: Home
    pids: list[int] = []

    def kill():
        pids.extend(home.workers())
        os.kill(pids[0], signal.SIGSTOP)
        home.process.kill()

    world = Watched(25, kill)
    with serve(world, port=0) as server:
        home = Home(tmp_path, server)
        home.start()
        home.end()
        assert gone(pids[1:])
        home.start()
        code, _, said = home.end()
        assert code == 4 and "another run of shop is going on" in said
        os.kill(pids[0], signal.SIGCONT)
        assert gone(pids[:1])
        code, report, said = home.run()
        assert code == 1, said
        judge(home, world, report)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_drains_and_keeps_the_position(tmp_path, number):
    home: Home

    def interrupt():  # as a terminal does: all of the group get it
        for pid in [*home.workers(), home.process.pid]:
            os.kill(pid, number)

    world = Watched(25, interrupt)
    with serve(world, port=0) as server:
        home = Home(tmp_path, server)
        home.start()
        code, report, said = home.end()
        assert code == 130 and report["status"] == "interrupted", said
        assert report["mappings"]["profiles"]["delivered"] == sum(map(len, world.sent))  # nothing was cut off
        code, report, said = home.run()
        assert code == 1, said
        judge(home, world, report, kills=0)
