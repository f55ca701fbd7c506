"""Sources that a vendor's conversation fetches: a `@reader` runs once, to its end, before the first record is read.

What it gives lies in a folder of the state until the run is finished: downloads, and records as JSON Lines. The
`file` source reads it from there, so that positions, checkpoints and resumes are those of files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from engine.config.pipeline import Retry
from engine.errors import Halt, InvalidPipeline, NotNow, Refused, TurnedAway
from engine.model import Landing, Payloads, Position, Request, Rows, Verdict, WireRequest
from engine.plugin import Download, Fetched, Reader, Records, Source, Table, Vendor
from engine.runtime.counts import SinkCounts
from engine.runtime.courier import Courier
from engine.runtime.folders import make_private
from engine.runtime.landing import forget, told
from engine.runtime.rate import Bucket
from engine.runtime.talks import Talk
from engine.runtime.unpacking import unpack
from engine.runtime.wire import wire

TIMEOUT = 60.0  # seconds for a whole exchange
DOWNLOAD = 6 * 3600.0  # seconds for a whole download; one that is silent for a minute is given up before


class Part(msgspec.Struct):
    """One partition: a plain file."""

    name: str
    path: str
    format: str
    settings: dict[str, Any] = {}
    extra: dict[str, Any] = {}


@dataclass(slots=True)
class Fetching:
    """Holds a conversation that fetches up to the engine: downloads become requests, records become files.

    `open` begins one; `folder` is where files go; a relative `save_to` starts at `base`. `parts` is what came of it.
    """

    open: Callable[[], Generator[Any, Any, Any]]
    folder: Path
    base: Path
    parts: list[Part] = field(default_factory=list)

    def conversation(self) -> Generator[Any, Any, Any]:
        """Its steps, as the courier understands them, and what it returns. Each call begins anew."""
        self.parts = []
        steps = self.open()
        try:
            said = next(steps)
            while True:
                try:
                    answer = yield from self._do(said)
                except (TurnedAway, NotNow) as error:
                    said = steps.throw(error)
                else:
                    said = steps.send(answer)
        except StopIteration as stop:
            return stop.value

    def _do(self, said: Any) -> Generator[Any, Any, Any]:
        if isinstance(said, Download):
            return (yield from self._download(said))
        if isinstance(said, Table):
            with told(said.file.path):
                plain = unpack(Path(said.file.path), self._place(said.name, "plain"))
            self.parts.append(Part(said.name, str(plain), said.format, dict(said.settings), dict(said.extra)))
        elif isinstance(said, Records):
            self._write(said)
        else:
            return (yield said)
        return None

    def _download(self, said: Download) -> Generator[Request, Any, Fetched]:
        target = self.base / said.save_to if said.save_to else self._place(said.name, "file")
        landing = Landing(str(target.with_name(f"{target.name}.part")))
        _make(self.folder)
        request = Request("GET", said.url, timeout=said.timeout or DOWNLOAD, into=landing, bare=True)
        try:
            yield request
        except TurnedAway as error:
            if error.response.status != NOTHING_MISSING:
                raise
            forget(landing)  # a kill left a part file that may be whole, or longer than what there is now: anew
            yield request
        with told(str(target)):
            size = Path(landing.path).stat().st_size
            if said.save_to:
                Path(landing.path).chmod(_mode(target))
            os.replace(landing.path, target)  # noqa: PTH105
            forget(landing)
            _sync(target.parent)
        return Fetched(str(target), size)

    def _write(self, said: Records) -> None:
        path = self._place(said.name, "jsonl")
        new = all(part.name != said.name for part in self.parts)
        _make(self.folder)
        with told(str(path)), os.fdopen(os.open(path, _WRITE | (os.O_TRUNC if new else 0), 0o600), "ab") as file:
            file.writelines(msgspec.json.encode(record) + b"\n" for record in said.records)
        if new:
            self.parts.append(Part(said.name, str(path), "jsonl", {"on_empty": "ok"}, dict(said.extra)))

    def _place(self, name: str, kind: str) -> Path:
        """A name of our own: what a vendor calls something is no path."""
        return self.folder / f"{blake2b(name.encode('utf-8', 'surrogatepass'), digest_size=8).hexdigest()}.{kind}"


NOTHING_MISSING = 416  # Range Not Satisfiable
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW


class ReaderSource:
    """A vendor's reader as a source. It is an account to talk with; `ready` once everything is fetched."""

    def __init__(
        self, name: str, vendor: Vendor, reader: Reader, settings: Mapping[str, Any], folder: Path, base: Path,
        open_file: Callable[..., Source],
    ) -> None:  # fmt: skip
        self.name, self.vendor = name, vendor
        self.counts, self.retry, self.timeout = SinkCounts(), Retry(), TIMEOUT
        self.fetching = Fetching(lambda: reader.method(vendor, **settings), folder, base)
        self.ready = False
        self._open_file = open_file
        self._parts: dict[str, Part] = {}
        self._files: dict[str, Source] = {}

    def wire(self, request: Request) -> WireRequest:
        return wire(self.vendor, request)

    # --- fetching -----------------------------------------------------------------------------------------

    @property
    def _index(self) -> Path:
        return self.fetching.folder / "index.json"

    def begin(self, courier: Courier, *, resumed: bool) -> None:
        """Takes up what an earlier start of the run fetched, or starts to fetch."""
        if resumed and self._index.exists():
            self._take(msgspec.json.decode(self._index.read_bytes(), type=list[Part]))
            return
        self._index.unlink(missing_ok=True)
        courier.begin(ReadTalk(self, Bucket(None), self.fetching.conversation, self._fetched))

    def _fetched(self) -> None:
        self._take(self.fetching.parts)
        with told(str(self._index)):
            _make(self.fetching.folder)
            half = self._index.with_suffix(".part")
            half.write_bytes(msgspec.json.encode(self.fetching.parts))
            half.replace(self._index)

    def _take(self, parts: list[Part]) -> None:
        self._parts = {part.name: part for part in parts}
        self._files = {}
        self.ready = True

    def finish(self) -> None:
        """The run is finished: what was fetched goes, less what `save_to` keeps."""
        shutil.rmtree(self.fetching.folder, ignore_errors=True)

    # --- what the engine asks of a source -----------------------------------------------------------------

    def partitions(self) -> list[str]:
        if not self.ready:
            raise InvalidPipeline(f"{self.name} is not fetched yet")
        return list(self._parts)

    def columns(self, partition: str) -> tuple[str, ...] | None:
        return self._file(partition).columns(self._at(partition))

    def read(self, partition: str, start: Position | None) -> Iterator[Rows]:
        extra = self._parts[partition].extra
        for rows in self._file(partition).read(self._at(partition), start):
            rows.file, rows.extra = partition, extra
            yield rows

    def checksum(self, partition: str, offset: int) -> int | None:
        if partition not in self._parts:
            raise Refused(
                f"{partition}, which an earlier start began to read, is not what {self.name} gives now; "
                "--fresh reads what there is and sends it all"
            )
        return self._file(partition).checksum(self._at(partition), offset)

    def _at(self, partition: str) -> str:
        """What the `file` source calls it."""
        return Path(self._parts[partition].path).name

    def _file(self, partition: str) -> Source:
        if partition not in self._files:
            part = self._parts[partition]
            folder = str(Path(part.path).parent)
            self._files[partition] = self._open_file(
                path=self._at(partition), format=part.format, base=folder, **part.settings
            )
        return self._files[partition]


class ReadTalk(Talk):
    """A reader's conversation. `done` is told when it is over; what it cannot do without halts the run."""

    def __init__(self, account: Any, bucket: Bucket, steps: Callable[[], Any], done: Callable[[], None]) -> None:
        super().__init__(account, bucket, Payloads([]))
        self._steps, self._done = steps, done

    def open(self) -> Any:
        return self._steps()

    def finish(self, value: Any) -> None:
        self._done()

    def judge(self, verdicts: Mapping[int, Verdict]) -> None:
        raise Halt("the vendor refused it", where=self.account.name, code="refused")

    def split(self, verdict: Verdict) -> None:
        raise Halt(f"{self.account.name}: {verdict.reason}", where=self.account.name, code=verdict.code)


def _make(folder: Path) -> None:
    with told(str(folder)):
        make_private(folder)


def _mode(target: Path) -> int:
    try:
        return target.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0o077)
        os.umask(mask)
        return 0o666 & ~mask


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
