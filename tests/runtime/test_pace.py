"""Processes of one account share its pace: the file, what it survives, and what it keeps to itself."""

import fcntl
import os
import struct
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import Halt
from engine.model import Secret
from engine.registry import Registry
from engine.runtime.clock import FakeClock
from engine.runtime.pace import SIZE, STUCK, Shared, SharedBucket, place_of, shared
from engine.runtime.rate import Bucket

NOTES: list[str] = []


def bucket(path, clock, rate=5.0, burst=1):
    return SharedBucket(path, clock, NOTES.append, rate, burst)


@pytest.fixture(autouse=True)
def quiet():
    NOTES.clear()
    yield
    assert NOTES == []


@pytest.fixture
def place(tmp_path):
    return tmp_path / "pace" / "some"


def moments(*buckets, count, clock):
    """When each bucket in turn may go, asked at once."""
    return [round(buckets[n % len(buckets)].take(clock.now()).moment, 6) for n in range(count)]


def test_two_of_one_account_interleave_to_exactly_the_rate(place):
    clock = FakeClock()
    one, other = bucket(place, clock), bucket(place, clock)
    assert moments(one, other, count=6, clock=clock) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]


def test_alone_it_is_the_bucket_that_it_was(place):
    clock = FakeClock()
    with_burst, alone = bucket(place, clock, 10, burst=3), Bucket(10, burst=3)
    for _ in range(40):
        assert with_burst.take(clock.now()) == alone.take(clock.now())
        clock.sleep(0.03)


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 0.6)), min_size=3, max_size=60))
def test_no_window_of_a_second_holds_more_than_the_rate_whoever_asks(tmp_path_factory, asked):
    clock, path = FakeClock(), tmp_path_factory.mktemp("pace") / "some"
    buckets = [bucket(path, clock) for _ in range(3)]
    sent = []
    for who, gap in asked:
        clock.sleep(gap)
        sent.append(buckets[who].take(clock.now()).moment)
    assert min(b - a for a, b in pairwise(sent)) >= 0.2 - 1e-9
    for each in buckets:
        each.close()


def test_what_one_was_told_to_wait_holds_the_other_back(place):
    clock = FakeClock()
    one, other = bucket(place, clock), bucket(place, clock)
    assert other.take(0.0) == (0.0, True)
    assert other.take(0.0).moment == pytest.approx(0.2)  # a place, taken before the vendor spoke
    one.pause(30.0)
    assert other.paused_until() == 30.0
    assert other.take(0.0).moment == 30.0
    assert bucket(place, clock).take(0.0).moment == pytest.approx(30.2)


def test_who_has_the_lower_rate_keeps_it_and_the_others_are_not_held_to_it(place):
    clock = FakeClock()
    slow, fast = bucket(place, clock, 0.5), bucket(place, clock, 5.0)
    sent = {"slow": [], "fast": []}
    wakes = {"slow": 0.0, "fast": 0.0}
    while clock.now() < 20.0:
        name = min(wakes, key=lambda n: wakes[n])
        clock.sleep(wakes[name] - clock.now())
        moment, taken = (slow if name == "slow" else fast).take(clock.now())
        wakes[name] = moment
        if taken:
            sent[name].append(moment)
    assert min(b - a for a, b in pairwise(sent["slow"])) >= 2.0 - 1e-9
    assert len(sent["fast"]) >= 85 and len(sent["slow"]) >= 9
    together = sorted(sent["slow"] + sent["fast"])
    assert min(b - a for a, b in pairwise(together)) >= 0.2 - 1e-9


def test_a_faster_pace_that_nobody_keeps_is_forgotten(place):
    clock = FakeClock()
    bucket(place, clock, 5.0).take(0.0)
    clock.sleep(60)
    two, three = bucket(place, clock, 2.0), bucket(place, clock, 2.0)
    assert moments(two, three, two, count=3, clock=clock) == [60.0, 60.5, 61.0]


def test_a_slow_one_s_place_does_not_hold_a_fast_one_that_comes(place):
    clock = FakeClock()
    assert bucket(place, clock, 1 / 60).take(0.0).moment == 0.0
    assert bucket(place, clock, 5.0).take(0.0).moment == pytest.approx(0.2)


@pytest.mark.parametrize("said", [b"x", b"\0" * SIZE, os.urandom(SIZE), b"y" * 4096, b"pace\0v1\n"], ids=len)
def test_a_damaged_file_begins_anew_and_the_report_says_so(place, said):
    place.parent.mkdir()
    place.write_bytes(said)
    clock = FakeClock()
    one, other = bucket(place, clock), bucket(place, clock)
    assert moments(one, other, count=3, clock=clock) == [0.0, 0.2, 0.4]
    assert len(NOTES) == 1 and NOTES[0].startswith("pace-damaged: ")
    NOTES.clear()


NAN = struct.pack("<d", float("nan"))


@pytest.mark.parametrize(
    "lie",
    [
        Shared(next=1e9, gap=0.2, kept=99.0, written=99.0), Shared(paused=1e9, gap=0.2, kept=99.0, written=99.0),
        Shared(next=float("inf"), gap=0.2, written=99.0), Shared(next=1e9, gap=float("inf"), written=99.0),
        Shared(next=150.0, gap=-1.0, written=99.0), Shared(next=150.0, gap=0.0, written=99.0),
        Shared(next=1e5, paused=1e5, gap=0.2, kept=1e5, written=1e5),  # an earlier boot
    ],
)  # fmt: skip
def test_moments_that_cannot_be_neither_stall_nor_flood(place, lie):
    place.parent.mkdir()
    place.write_bytes(lie.encode())
    clock = FakeClock()
    clock.sleep(100)
    one = bucket(place, clock)
    sent = [one.take(clock.now()).moment for _ in range(4)]
    assert sent[0] <= 101.0
    assert min(b - a for a, b in pairwise(sent)) >= 0.2 - 1e-9


def test_no_number_is_no_moment(place):
    assert Shared.decode(Shared(next=float("nan")).encode()) is None


class Jumping(FakeClock):
    """Its date jumps by two days, back and forth."""

    days = 0

    def time(self):
        return super().time() + 2 * 86400 * self.days


def test_a_change_of_date_changes_nothing(place):
    clock = Jumping()
    one, other, sent = bucket(place, clock), bucket(place, clock), []
    for number in range(30):
        clock.days = (0, 1, -1)[number % 3]
        moment = (one if number % 2 else other).take(clock.now()).moment
        sent.append(moment)
        clock.sleep(moment - clock.now())
    assert [round(b - a, 6) for a, b in pairwise(sent)] == [0.2] * 29


def test_a_file_that_cannot_be_written_halts_and_names_it(tmp_path):
    (tmp_path / "pace").write_text("a file where the folder should be")
    with pytest.raises(Halt) as caught:
        bucket(tmp_path / "pace" / "some", FakeClock())
    assert caught.value.code == "state" and "pace" in caught.value.where


def test_a_disk_that_takes_nothing_more_halts(place):
    one = bucket(place, FakeClock())
    file = os.open(place, os.O_RDONLY)
    os.dup2(file, one._file)
    os.close(file)
    with pytest.raises(Halt) as caught:
        one.take(0.0)
    assert caught.value.code == "state"
    with pytest.raises(Halt):
        one.pause(5.0)
    one.close()


def test_a_symlink_is_not_followed(place, tmp_path):
    place.parent.mkdir()
    (tmp_path / "mine").write_text("mine")
    place.symlink_to(tmp_path / "mine")
    with pytest.raises(Halt):
        bucket(place, FakeClock())


def test_the_file_is_private_and_small(place):
    clock = FakeClock()
    one = bucket(place, clock)
    for _ in range(100):
        one.take(0.0)
    assert place.stat().st_mode & 0o777 == 0o600 and place.parent.stat().st_mode & 0o777 == 0o700
    assert place.stat().st_size == SIZE


def test_who_is_stopped_in_the_middle_holds_nobody_for_long(place):
    clock = FakeClock()
    one = bucket(place, clock)
    with place.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        moment, taken = one.take(clock.now())
        assert not taken and 0.0 < moment < 0.1
        clock.sleep(STUCK + 0.1)
        assert one.take(clock.now()) == (clock.now(), True)
        one.pause(50.0)  # is told to the others when the file is free
        assert one.paused_until() == 50.0
    assert one.take(clock.now()).moment == 50.0
    assert bucket(place, clock).take(clock.now()).moment == pytest.approx(50.2)
    assert len(NOTES) == 1 and NOTES[0].startswith("pace-alone: ")
    NOTES.clear()


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from engine.runtime.clock import SystemClock
from engine.runtime.pace import SharedBucket
clock = SystemClock()
one = SharedBucket(Path(sys.argv[1]), clock, print, 5.0)
one.take(clock.now())
assert one._lock(__import__("fcntl").LOCK_EX)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_leaves_nothing_locked(place):
    root = str(Path(__file__).parents[2])
    done = subprocess.run([sys.executable, "-c", KILLED, str(place), root], timeout=60, check=False)
    assert done.returncode == -9
    from engine.runtime.clock import SystemClock

    clock = SystemClock()
    moment, taken = bucket(place, clock).take(clock.now())
    assert taken and moment <= clock.now() + 0.2


# --- whose ------------------------------------------------------------------------------------------------


def iterable(key="0123456789abcdef0123456789abcdef", **more):
    return Registry.builtin().load("sinks", "iterable")(api_key=Secret(key), **more)


def test_accounts_and_endpoints_have_files_of_their_own(tmp_path):
    flagship = Registry.builtin().load("sinks", "flagship")
    places = [
        place_of(tmp_path, iterable(), "update_user"), place_of(tmp_path, iterable(), "track_event"),
        place_of(tmp_path, iterable("f" * 32), "update_user"),
        place_of(tmp_path, iterable(data_center="eu"), "update_user"),
        place_of(tmp_path, flagship(env_id="one"), "event"), place_of(tmp_path, flagship(env_id="two"), "event"),
    ]  # fmt: skip
    assert len(set(places)) == len(places)
    assert place_of(tmp_path, iterable(project_type="hybrid"), "update_user") == places[0], "the same account"


def test_the_file_tells_nothing_of_the_key(place, tmp_path):
    key = "0123456789abcdef0123456789abcdef"
    clock = FakeClock()
    path = place_of(tmp_path, iterable(key), "update_user")
    bucket(path, clock).take(0.0)
    said = path.name.encode() + path.read_bytes()
    assert not any(key[n : n + 6].encode() in said for n in range(len(key) - 6))


def test_what_has_no_limit_has_no_file(tmp_path):
    free = Bucket(None)
    assert shared(free, tmp_path / "pace" / "some", FakeClock(), NOTES.append) is free
    assert not (tmp_path / "pace").exists()
