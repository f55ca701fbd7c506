"""Two processes, two pipelines, one key: what a server on loopback sees of them together."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec

from engine.runtime.clock import SystemClock
from engine.sandbox.server import serve
from engine.sandbox.world import World
from tests.runtime.runs import customers

ROOT = Path(__file__).parents[2]
RATE, REQUESTS, ROWS = 25, 80, 3
PIPELINE = """
version: 1
name: {name}
sources:
  customers: {{type: file, path: {name}.csv, key: id}}
sinks:
  crm:
    type: iterable
    api_key: "${{ITERABLE_API_KEY}}"
    base_url: {url}
    batch: {{max_records: {rows}}}
    rate_limit: {{requests: {rate}, per: 1s}}
mappings:
  all: {{from: customers, to: crm.update_user, fields: {{email: "{{{{ record.email }}}}"}}}}
"""


class Watched(World):
    """Notes what arrives; nobody is answered until both processes are there."""

    def __init__(self) -> None:
        super().__init__(SystemClock(), settings={"iterable": {"rates": False}})
        self.arrived: list[tuple[float, str]] = []
        self.both = threading.Event()
        self.began = 0.0
        self._noting = threading.Lock()

    def answer(self, request, place=""):
        who = msgspec.json.decode(request.body)["users"][0]["email"].partition("-")[0]
        with self._noting:
            self.arrived.append((time.monotonic(), who))
            if len({one for _, one in self.arrived}) == 2 and not self.both.is_set():
                self.began = time.monotonic()
                self.both.set()
        assert self.both.wait(60)
        return super().answer(request, place)


def test_two_processes_share_one_limit(tmp_path):
    world = Watched()
    with serve(world) as server:
        running = []
        for name in ("one", "two"):
            text = PIPELINE.format(name=name, url=server.urls["iterable"], rows=ROWS, rate=RATE)
            (tmp_path / f"{name}.yaml").write_text(text)
            (tmp_path / f"{name}.csv").write_text(customers(REQUESTS * ROWS).replace("user", f"{name}-user"))
            command = [sys.executable, "-m", "engine", "run", f"{name}.yaml", "--no-progress"]
            env = {**os.environ, "ITERABLE_API_KEY": "0123456789abcdef", "PYTHONPATH": str(ROOT)}
            running.append(subprocess.Popen(command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True))
        said = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert len(world.vendors["iterable"].people.everybody) == 2 * REQUESTS * ROWS

    last = {who: moment for moment, who in world.arrived}
    end = min(last.values())  # until then both had something to send
    together = [moment for moment, _ in world.arrived if world.began < moment <= end]
    own = [moment for moment, who in world.arrived if world.began < moment <= end and who == "one"]
    assert len(together) >= REQUESTS // 2, "they did not run at once"
    bound = RATE * (end - world.began) + 1
    # What a machine under load delivers late, it delivers at once: at most what the lanes of both have in flight.
    assert len(together) <= bound + 8
    assert 0.25 * len(together) <= len(own) <= 0.75 * len(together)
    assert len(list((tmp_path / ".engine" / "pace").iterdir())) == 1
