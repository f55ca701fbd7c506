"""The pace that processes share: a small file per account and endpoint, in `pace/` of the state directory.

It holds the moment of the next place and the end of a pause that the vendor asked for, both on the machine's
monotonic clock, which no change of date touches. That clock ends with a boot: what was written at a moment still to
come is of another one, and void. The lock is the kernel's, held for microseconds: a kill leaves nothing locked.
"""

from __future__ import annotations

import fcntl
import math
import os
import struct
from collections.abc import Callable, Iterable
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from engine.errors import Halt
from engine.model import Secret
from engine.plugin import Vendor
from engine.runtime.clock import Clock
from engine.runtime.folders import make_private
from engine.runtime.rate import Bucket, Place
from engine.runtime.retry import RETRY_AFTER_CAP

MAGIC = b"pace\0v1\n"
RECORD = struct.Struct("<8s5d")
SIZE = RECORD.size + 4
SKEW = 1.0  # seconds by which a moment may seem to be still to come
IDLE = 10.0  # seconds after which a faster pace that nobody kept is forgotten
PLACES = 1000  # more processes than these cannot have a place each
SOON = 0.002  # seconds to wait for somebody who has the file
STUCK = 2.0  # seconds after which somebody who has the file was stopped in the middle: we go on alone


class Shared(NamedTuple):
    """What the file says; moments in seconds of the monotonic clock."""

    next: float = -math.inf  # when the bucket would be empty again
    paused: float = -math.inf
    gap: float = math.inf  # seconds between two places: the shortest of those who share
    kept: float = -math.inf  # when somebody with that gap last took a place
    written: float = -math.inf

    def encode(self) -> bytes:
        body = RECORD.pack(MAGIC, *self)
        return body + struct.pack("<I", crc32(body))

    @classmethod
    def decode(cls, data: bytes) -> Shared | None:
        """None where it is no such file."""
        if len(data) != SIZE or data[-4:] != struct.pack("<I", crc32(data[:-4])):
            return None
        magic, *moments = RECORD.unpack(data[:-4])
        return None if magic != MAGIC or any(map(math.isnan, moments)) else cls(*moments)

    def believed(self, now: float, burst: int) -> Shared:
        """Without what cannot be: moments of another boot, a line or a pause longer than any."""
        if self.written > now + SKEW or self.gap <= 0:
            return Shared()
        if self.next > now + (PLACES + burst) * (self.gap if self.gap < math.inf else 0.0):
            return Shared(paused=self.paused).believed(now, burst)
        return self if self.paused <= now + RETRY_AFTER_CAP + SKEW else self._replace(paused=-math.inf)

    def kept_by(self, gap: float, now: float) -> Shared:
        """With the gap of somebody who is as fast as all others, or the only one left."""
        if gap > self.gap and self.kept >= now - IDLE:
            return self
        longer = self.gap - gap if gap < self.gap < math.inf else 0.0  # what the last place took too much
        return self._replace(gap=gap, kept=now, next=self.next - longer)


class SharedBucket(Bucket):
    """A bucket in a file. Who has a lower rate than others keeps it, and they share the highest.

    `note` is told, once, that the file could not be used.
    """

    def __init__(self, path: Path, clock: Clock, note: Callable[[str], None], rate: float, burst: int = 1) -> None:
        super().__init__(rate, burst)
        self._path, self._clock, self._note = path, clock, note
        self._file = _opened(path)
        self._busy_since: float | None = None

    def take(self, now: float) -> Place:
        try:
            if not self._lock(fcntl.LOCK_EX):
                return self._without_the_file(now)
            try:
                return self._take(max(now, self._clock.now()))
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        except OSError as error:
            raise _unusable(self._path, error) from error

    def _take(self, now: float) -> Place:
        shared = self._read().believed(now, self.burst).kept_by(self.gap, now)
        own = self._next - self.gap * (self.burst - 1)
        if shared.gap < self.gap and own > now:
            return Place(own, False)  # our own pace is slower than the others'
        paused = max(shared.paused, self._paused)
        due = max(now, shared.next - shared.gap * (self.burst - 1), paused)
        self._write(shared._replace(next=max(due, shared.next) + shared.gap, paused=paused, written=now))
        self._next = max(due, self._next) + self.gap
        return Place(due, True)

    def pause(self, until: float) -> None:
        """Where the file is not free, the next place that is taken says so."""
        super().pause(until)
        try:
            if self._lock(fcntl.LOCK_EX):
                try:
                    now = self._clock.now()
                    shared = self._read().believed(now, self.burst)
                    self._write(shared._replace(paused=max(shared.paused, until), written=now))
                finally:
                    fcntl.flock(self._file, fcntl.LOCK_UN)
        except OSError as error:
            raise _unusable(self._path, error) from error

    def paused_until(self) -> float:
        try:
            if self._lock(fcntl.LOCK_SH):
                try:
                    self._paused = max(self._paused, self._read().believed(self._clock.now(), self.burst).paused)
                finally:
                    fcntl.flock(self._file, fcntl.LOCK_UN)
        except OSError as error:
            raise _unusable(self._path, error) from error
        return self._paused

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # --- the file -----------------------------------------------------------------------------------------

    def _lock(self, kind: int) -> bool:
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self._busy_since = None
        return True

    def _without_the_file(self, now: float) -> Place:
        self._busy_since = now if self._busy_since is None else self._busy_since
        if now - self._busy_since < STUCK:
            return Place(now + SOON, False)
        self._note("pace-alone: another process holds the shared pace and does not let go; this one keeps its own")
        return super().take(now)

    def _read(self) -> Shared:
        data = os.pread(self._file, SIZE + 1, 0)
        if not data:
            return Shared()
        shared = Shared.decode(data)
        if shared is None:
            self._note(f"pace-damaged: {self._path.name} was damaged; the shared pace begins anew")
            os.ftruncate(self._file, 0)
            return Shared()
        return shared

    def _write(self, shared: Shared) -> None:
        os.pwrite(self._file, shared.encode(), 0)


def _opened(path: Path) -> int:
    try:
        make_private(path.parent)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0), 0o600)
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> Halt:
    return Halt(f"cannot use the shared pace: {error.strerror}", where=str(path), code="state")


# --- whose pace it is -------------------------------------------------------------------------------------


def place_of(folder: Path, vendor: Vendor, endpoint: str) -> Path:
    """The file of an account's endpoint. Its name tells accounts apart and nothing else of them."""
    digest = blake2b(digest_size=16, person=b"engine pace")
    for part in (type(vendor).__qualname__, vendor.base_url, vendor.tenant, endpoint, *_headers(vendor)):
        digest.update(f"{len(part)}:{part}".encode("utf-8", "surrogatepass"))
    return folder / "pace" / digest.hexdigest()


def _headers(vendor: Vendor) -> Iterable[str]:
    for name, value in sorted(vendor.headers().items()):
        yield name.lower()
        yield value.reveal() if isinstance(value, Secret) else value


def shared(bucket: Bucket, path: Path, clock: Clock, note: Callable[[str], None]) -> Bucket:
    """The same bucket, shared through a file. One without a rate stays as it is: it costs nothing."""
    return bucket if bucket.rate is None else SharedBucket(path, clock, note, bucket.rate, bucket.burst)
