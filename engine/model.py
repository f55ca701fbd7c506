"""The handful of types that every room knows. Imports nothing of ours but `errors`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple, overload
from urllib.parse import urlsplit

import msgspec

from engine.errors import Halt, Unreadable

MASK = "•••"


class Secret:
    """A text that is never shown: `str`, `repr` and JSON give a mask; only `reveal()` gives the value."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


# --- what a source yields -------------------------------------------------------------------------


class Position(msgspec.Struct, frozen=True):
    """The place of the *next* row of a partition."""

    row: int = 0  # rows before it, malformed ones included
    line: int = 1  # counts from 1
    offset: int = 0  # bytes before it, after decompression
    check: int = 0  # CRC-32 of these bytes


@dataclass(slots=True)
class Malformed:
    """A row that could not be read."""

    row: int  # counts from 0 within its `Rows`, malformed ones included
    code: str
    reason: str
    raw: str  # the first 4 KiB of it, undecodable bytes replaced


@dataclass(slots=True)
class Rows:
    """A micro-batch: consecutive rows of one partition, 100 to 300 of them.

    A record is a list of cells in the order of `columns` or, where `columns` is None, a dict.
    Rows are counted from `start.row`; `numbers[i]` is the row (within this batch, from 0) of `records[i]`, and
    None when no row is malformed, so that row and record coincide.
    `locate(row)` gives the line and the byte offset where that row starts.
    """

    file: str  # the partition's name as people know it: a path as written in the pipeline, or an address
    start: Position
    end: Position
    columns: tuple[str, ...] | None
    records: Sequence[Any]
    locate: Callable[[int], tuple[int, int]]
    malformed: list[Malformed] = field(default_factory=list)
    numbers: list[int] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # what the source tells of all of them, for `meta`
    again: Callable[[], list[Any]] | None = None  # reads the records once more, the same ones

    def __len__(self) -> int:
        """How many rows, malformed ones included."""
        return self.end.row - self.start.row

    def row(self, index: int) -> int:
        """The row, within this batch, of record `index`."""
        return index if self.numbers is None else self.numbers[index]

    def first(self, rows: int, check: int) -> Rows:
        """The first `rows` rows of this batch; `check` is the CRC-32 of all bytes before the row after them."""
        line, offset = self.locate(rows)
        end = Position(self.start.row + rows, line, offset, check)
        kept = [index for index in range(len(self.records)) if self.row(index) < rows]
        return Rows(
            self.file, self.start, end, self.columns, self.records[: len(kept)], self.locate,
            [bad for bad in self.malformed if bad.row < rows],
            None if self.numbers is None else self.numbers[: len(kept)],
            self.extra,
        )  # fmt: skip

    def record(self, index: int) -> dict[str, Any]:
        """Record `index` as a dict."""
        cells = self.records[index]
        return cells if self.columns is None else dict(zip(self.columns, cells, strict=True))

    def meta(self, index: int) -> dict[str, Any]:
        """What expressions see as `meta`, less `source`."""
        line, offset = self.locate(self.row(index))
        return {"file": self.file, "line": line, "offset": offset, **self.extra}


# --- what a mapping gives ---------------------------------------------------------------------------


class Failure(NamedTuple):
    """Why a record or payload goes to the dead letters."""

    code: str
    reason: str
    field: str = ""  # the place in the payload, dotted


class PlacedFailure(Failure):
    """A failure of an expression, which knows its scalar in the pipeline file and, there, start and length of the
    part that failed (None: the whole of it). It equals the `Failure` of the same words."""

    path: tuple[str | int, ...]
    at: tuple[int, int] | None


@dataclass(slots=True)
class Mapped:
    """What one mapping made of one `Rows`: lists of equal length, one entry per payload.

    Every record is in exactly one of: `sources` (once per payload), `filtered`, `failed`; a record whose `each` is
    empty, or all of whose elements were left out, counts as filtered.
    """

    payloads: list[Any]
    sources: list[int]  # index of the record it came from; never decreases
    elements: list[int] | None  # index of the element of `each`; None without `each`
    keys: list[Any] | None  # values of the mapping's `key:`; None without one
    filtered: list[int]  # records that `when` or `skip` left out
    failed: list[tuple[int, Failure]]


@dataclass(frozen=True, slots=True)
class Problem:
    """A finding about a value of the pipeline file, placed by the path to it and a place within its text.

    `path` goes from the document's root: `("mappings", "profiles", "fields", "email")`. `at` counts characters from
    the start of the scalar's text as parsed; None points at the value (or, with `on_key`, at its key).
    """

    code: str
    message: str
    path: tuple[str | int, ...]
    at: int | None = None
    length: int = 1
    on_key: bool = False
    hint: str = ""  # "did you mean …?" or what would do
    warning: bool = False


# --- what is exchanged with a vendor ----------------------------------------------------------------


class Payloads(Sequence[Any]):
    """The payloads of one batch: each is encoded once, and decoded again only when somebody looks at it.

    Put into a request's body it is written as a JSON array of the encoded payloads. `bodies` are their bytes.
    """

    __slots__ = ("bodies",)

    def __init__(self, bodies: Sequence[bytes | msgspec.Raw]) -> None:
        self.bodies = bodies

    @property
    def raw(self) -> list[msgspec.Raw]:
        """The encoded payloads as values that a request's body may hold anywhere."""
        return [body if isinstance(body, msgspec.Raw) else msgspec.Raw(body) for body in self.bodies]

    @property
    def array(self) -> msgspec.Raw:
        """All of them as one encoded JSON array."""
        return msgspec.Raw(b"[" + b",".join(self.bodies) + b"]")

    def __len__(self) -> int:
        return len(self.bodies)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Payloads: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Payloads(self.bodies[index])
        return msgspec.json.decode(self.bodies[index])

    def __iter__(self) -> Iterator[Any]:
        return map(msgspec.json.decode, self.bodies)


@dataclass(frozen=True, slots=True)
class Stream:
    """A body that is never held in memory: the first `size` bytes of a file, between two short texts."""

    path: str
    size: int
    head: bytes = b""
    tail: bytes = b""

    def __len__(self) -> int:
        return len(self.head) + self.size + len(self.tail)

    def chunks(self, length: int = 1 << 20) -> Iterator[bytes]:
        """The body in pieces; exactly `len(self)` bytes, or `Halt` where the file has become shorter."""
        if self.head:
            yield self.head
        left = self.size
        try:
            with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123 - pathlib is no part of this module
                while left and (piece := file.read(min(length, left))):
                    left -= len(piece)
                    yield piece
        except OSError as error:
            raise Halt(f"it cannot be read: {error.strerror}", where=self.path, code="upload") from error
        if left:
            raise Halt(f"it became {left} bytes shorter while it was sent", where=self.path, code="upload")
        if self.tail:
            yield self.tail


def form(fields: Mapping[str, Any], path: str, size: int, *, part: str = "file") -> tuple[Stream, str]:
    """A form upload: the body and its content type. Fields go in the order given, then the file as the last part."""
    seed = repr((list(fields.items()), path, size)).encode("utf-8", "surrogatepass")
    boundary = blake2b(seed, digest_size=16).hexdigest()
    head = b"".join(_part(boundary, name) + str(value).encode() + b"\r\n" for name, value in fields.items())
    body = Stream(path, size, head + _part(boundary, part), f"\r\n--{boundary}--\r\n".encode())
    return body, f"multipart/form-data; boundary={boundary}"


def _part(boundary: str, name: str) -> bytes:
    quoted = name.replace("%", "%25").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return f'--{boundary}\r\nContent-Disposition: form-data; name="{quoted}"\r\n\r\n'.encode()


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port: a vendor's headers go to its own origin only."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


@dataclass(frozen=True, slots=True)
class Landing:
    """Where an answer's body goes: a part file. What an earlier attempt left in it is gone on with, if the vendor
    still has the same bytes; what is there when the answer is given is whole."""

    path: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a vendor's conversation yields.

    `path` starts with `/` and follows the vendor's `base_url`, or is a whole address. The vendor's headers are added
    only where the address has the vendor's own origin. `json` is any JSON value (or holds `Payloads`); None: no body.
    `timeout` (seconds, whole exchange) overrides the account's. An impatient request is not sent again when it gets
    no usable answer: the `NotNow` is thrown into the conversation, which may catch it and go on.

    `body` stands for `json` where a body is no JSON value: bytes, or a `Stream` of any size. With `into`, an answer
    of success is written to that file as it comes in; `Response.body` is then empty.
    """

    method: str
    path: str
    json: Any = None
    headers: Mapping[str, str | Secret] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    timeout: float | None = None
    patient: bool = True
    body: bytes | Stream | None = None
    into: Landing | None = None
    bare: bool = False  # without the vendor's headers, wherever it goes: a signed address


@dataclass(frozen=True, slots=True)
class WireRequest:
    """A request as it goes out. Header values may be secrets; the transport alone reveals them."""

    method: str
    url: str
    headers: Mapping[str, str | Secret]
    body: bytes | Stream
    into: Landing | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """An answer as it came in, whole and capped. Header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0  # seconds a pretend vendor takes to give it

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON; raises `Unreadable` where it is none."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Unreadable(f"HTTP {self.status} with a body that is not JSON: {self.text[:200]!r}") from error

    def __getitem__(self, key: str) -> Any:
        """A member of the answer's JSON object; raises `Unreadable` where there is none."""
        answer = self.json()
        if not isinstance(answer, dict) or key not in answer:
            raise Unreadable(f"HTTP {self.status} without {key!r}: {self.text[:200]!r}")
        return answer[key]


# --- what a reader gives ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that was downloaded. `size` is in bytes."""

    path: str
    size: int


@dataclass(frozen=True, slots=True)
class Download:
    """Yielded by a reader: streams an address into a file; answered with a `Fetched`.

    `name` says what it is: an unfinished download of the same name is gone on with. `save_to` keeps the file under
    that path, where it replaces another at once when it is whole; else it goes when the run is over.
    """

    url: str
    name: str
    save_to: str = ""
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Yielded by a reader: the rows of a fetched file are records. `name` is the partition's.

    `format` and `settings` are those of the `file` source; `extra` is what expressions see in `meta`.
    """

    name: str
    file: Fetched
    format: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Records:
    """Yielded by a reader, as often as it likes: these are records of the partition `name`."""

    name: str
    records: Sequence[Mapping[str, Any]]
    extra: Mapping[str, Any] = field(default_factory=dict)


# --- what becomes of a payload ------------------------------------------------------------------------


class Verdict(NamedTuple):
    """What the vendor said of one payload that it did not simply take."""

    outcome: str  # "rejected" | "dropped" | "unknown" | "again"
    code: str
    reason: str
