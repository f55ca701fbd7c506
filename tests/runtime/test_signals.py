"""Signals: before a run, while it waits for a vendor, and while it waits for a source."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.plugin import NoAnswer, Response
from engine.runtime import feed as feeding
from engine.runtime.clock import SystemClock
from engine.sandbox.server import serve
from engine.sandbox.world import World as Vendors
from tests.runtime.runs import World, customers

ROOT = Path(__file__).parents[2]
LONG = 600  # seconds that what is waited for would take: far more than a process may
ENDS = 60  # seconds: well below, however slow the machine
NUMBERS = [signal.SIGTERM, signal.SIGINT]
PIPELINE = """
version: 1
name: shop
sources:
  customers: {{type: file, path: {path}, key: id{more}}}
sinks:
  crm: {{type: iterable, api_key: "${{ITERABLE_API_KEY}}", base_url: "{url}", batch: {{max_records: 10}}, rate_limit: {{requests: 100}}}}
mappings:
  all: {{from: customers, to: crm.update_user, fields: {{email: "{{{{ record.email }}}}"}}}}
"""


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    env = {**os.environ, "ITERABLE_API_KEY": "0123456789abcdef", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "engine", "run", "shop.yaml", *arguments]
    return subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True)


def interrupted(process: subprocess.Popen[str], number: int) -> str:
    process.send_signal(number)
    said = process.communicate(timeout=ENDS)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    return said


# --- while a vendor is waited for --------------------------------------------------------------------------


class Slow(Vendors):
    """Answers the fifth request with a wait of minutes, or not at all."""

    def __init__(self, answer: Callable[[], Response]) -> None:
        super().__init__(SystemClock(), settings={"iterable": {"rates": False}})
        self.asked, self._answer_of, self._count = threading.Event(), answer, 0

    def answer(self, request, place=""):
        self._count += 1
        if self._count < 5:
            return super().answer(request, place)
        self.asked.set()
        return self._answer_of()


def asked_to_wait() -> Response:
    return Response(429, {"retry-after": "250"})


def down() -> Response:
    return Response(503)


def lost() -> Response:
    raise NoAnswer("reset", ambiguous=True)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("answer", [asked_to_wait, down, lost])
def test_a_long_wait_for_a_vendor_ends_with_the_signal(tmp_path, answer, number):
    vendors = Slow(answer)
    (tmp_path / "customers.csv").write_text(customers(400))
    with serve(vendors) as server:
        (tmp_path / "shop.yaml").write_text(
            PIPELINE.format(path="customers.csv", url=server.urls["iterable"], more="")
        )
        process = started(tmp_path)
        assert vendors.asked.wait(ENDS)
        interrupted(process, number)
    vendors = Vendors(SystemClock(), settings={"iterable": {"rates": False}})
    with serve(vendors) as server:
        (tmp_path / "shop.yaml").write_text(
            PIPELINE.format(path="customers.csv", url=server.urls["iterable"], more="")
        )
        again = started(tmp_path)
        said = again.communicate(timeout=ENDS)[1]
        assert again.returncode == 0, said
        assert 0 < len(vendors.vendors["iterable"].people.everybody) <= 400


# --- while a source is waited for -----------------------------------------------------------------------------


@contextmanager
def source(first: bytes) -> Iterator[tuple[str, threading.Event]]:
    """A web server that begins its answer and never ends it."""
    listening = socket.create_server(("127.0.0.1", 0))
    asked, kept = threading.Event(), []

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            kept.append(connection)
            try:
                connection.recv(65536)
                connection.sendall(first)
            except OSError:
                continue
            asked.set()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/customers.csv", asked
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for connection in kept:
            connection.close()
        thread.join(5)


HEAD = b'HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nETag: "1"\r\n\r\n'
SLOW_SOURCES = {
    "silent": b"", "begun": HEAD + customers(20).encode(),
    "unavailable": b"HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("how", SLOW_SOURCES)
def test_a_source_that_gives_nothing_ends_with_the_signal(tmp_path, how, number):
    with source(SLOW_SOURCES[how]) as (address, asked):
        more = f", retries: 1000000, timeout: {{connect: {LONG}s, read: {LONG}s}}"
        text = PIPELINE.format(path=address, url="http://127.0.0.1:9/api", more=more)
        (tmp_path / "shop.yaml").write_text(text)
        process = started(tmp_path)
        assert asked.wait(ENDS)
        interrupted(process, number)


def test_what_was_read_before_a_source_is_broken_off_is_not_lost(tmp_path):
    """The signal comes in the middle of the third micro-batch."""
    world = World(tmp_path)
    world.write("customers.csv", customers(900))

    def breaking(work):
        read = work.plan.sources["customers"].source.read

        def reading(file, start):
            for number, rows in enumerate(read(file, start)):
                if number == 2:
                    signal.raise_signal(signal.SIGTERM)
                    raise AssertionError("the handler should have raised")
                yield rows

        work.plan.sources["customers"].source.read = reading

    first = world.run(signals=True, prepare=breaking)
    assert first.exit == 130
    again = world.run()
    assert again.exit == 0 and again.report["resumed"]
    assert again.report["sources"]["customers"]["read"] == 900
    assert len(world.vendor.people.everybody) == 900


def test_a_signal_at_any_other_time_only_stops_the_run(tmp_path):
    """While rows are mapped and answers taken nothing may be broken off."""
    world = World(tmp_path)
    world.write("customers.csv", customers(3000))

    def handle(request):
        if len(world.requests) == 2:
            signal.raise_signal(signal.SIGTERM)
        return world.world.handle(request)

    first = world.run(signals=True, handle=handle)
    assert first.exit == 130
    assert world.run().exit == 0
    assert len(world.vendor.people.everybody) == 3000


def test_verifying_a_long_source_is_broken_off_too(tmp_path):
    world = World(tmp_path)
    world.write("customers.csv", customers(3000))
    assert world.run(limit=500).exit == 0

    def slow(work):
        def checksum(file, offset):
            signal.raise_signal(signal.SIGINT)
            raise AssertionError("the handler should have raised")

        work.plan.sources["customers"].source.checksum = checksum

    sent = len(world.requests)
    assert world.run(signals=True, prepare=slow).exit == 130
    assert len(world.requests) == sent
    assert world.run().exit == 0
    assert len(world.vendor.people.everybody) == 3000


def test_nothing_is_broken_off_outside_a_source():
    assert issubclass(feeding.BrokenOff, BaseException) and not issubclass(feeding.BrokenOff, Exception)


# --- before the run has begun -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_before_the_run_takes_it_over_ends_with_130_and_no_word(tmp_path, number):
    """It comes while the command's modules are imported."""
    (tmp_path / "click.py").write_text(
        f"import os\nos.kill(os.getpid(), {int(number)})\nimport time\ntime.sleep({LONG})\n"
    )
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "engine", "check", "shop.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=ENDS, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_sigterm_that_is_ignored_stays_ignored(tmp_path):
    (tmp_path / "click.py").write_text(f"import os\nos.kill(os.getpid(), {int(signal.SIGTERM)})\nos._exit(7)\n")
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    command = ["sh", "-c", 'trap "" TERM; exec "$0" -m engine', sys.executable]
    assert subprocess.run(command, cwd=tmp_path, env=env, timeout=ENDS, check=False).returncode == 7
