"""All that a plugin may import: the words in which vendors, sources and file sinks are written.

A vendor is a class. Its constructor's parameters are the settings (`schemas/sinks/NAME.json` says their shapes); each
method under `@action` is a generator that yields requests and is sent the answers. It performs no I/O: it never
opens a socket, sleeps, retries, counts or logs. What it returns names only the payloads that the vendor turned away:

    @action(max_records=1000, max_bytes=3_800_000, rate=5)
    def update_user(self, users):
        '''Create or update users.'''
        reply = yield post("/users/bulkUpdate", {"users": users})
        return refused(users, reply)          # {1: rejected("conflict", "…")}; silence means delivered
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from engine.errors import (
    EngineError,
    Halt,
    InvalidPipeline,
    NoAnswer,
    NotNow,
    RecordError,
    Refused,
    Split,
    TurnedAway,
    Unreadable,
)
from engine.model import (
    Download,
    Failure,
    Fetched,
    Landing,
    Malformed,
    Payloads,
    Position,
    Records,
    Request,
    Response,
    Rows,
    Secret,
    Stream,
    Table,
    Verdict,
    WireRequest,
    form,
    origin,
)

__all__ = [
    "LATER", "Action", "Conversation", "Divisible", "Download", "EngineError", "Failure", "Fetched", "Halt",
    "InvalidPipeline", "Landing", "Lookup", "Malformed", "NoAnswer", "NotNow", "Note", "Now", "Parted", "Payloads",
    "Position", "Question", "Reader", "Reading", "Recall", "RecordError", "Records", "Refused", "Remember",
    "Request", "Response", "Rows", "Secret", "Source", "Split", "Spooled", "Stream", "Table", "TurnedAway",
    "Unreadable", "Vendor", "Verdict", "WireRequest", "Writer", "action", "again", "delete", "dropped",
    "form", "get", "lookup", "origin", "patch", "post", "put", "reader", "rejected", "unknown",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Note:
    """Yielded by a conversation: a warning for the report, such as a field that the vendor's settings left out."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Now:
    """Yielded by a conversation: answered with the time, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Recall:
    """Yielded by a conversation: answered with the bytes remembered under `key`, or None."""

    key: str


@dataclass(frozen=True, slots=True)
class Remember:
    """Yielded by a conversation: keeps `value` under `key` beyond the run; None forgets."""

    key: str
    value: bytes | None


Verdicts = Mapping[int, Verdict]
Step = Request | Note | Now | Recall | Remember
LATER: Any = object()
"""What a lookup's `at_once` gives where only a conversation can tell."""
Conversation = Generator[Step, Any, "Verdicts | None"]
Question = Generator[Step, Any, Any]
Reading = Generator[Step | Download | Table | Records, Any, None]


# --- requests and verdicts, as short words ------------------------------------------------------------


def get(path: str, **more: Any) -> Request:
    return Request("GET", path, **more)


def post(path: str, json: Any = None, **more: Any) -> Request:
    return Request("POST", path, json, **more)


def put(path: str, json: Any = None, **more: Any) -> Request:
    return Request("PUT", path, json, **more)


def patch(path: str, json: Any = None, **more: Any) -> Request:
    return Request("PATCH", path, json, **more)


def delete(path: str, json: Any = None, **more: Any) -> Request:
    return Request("DELETE", path, json, **more)


def rejected(code: str, reason: str) -> Verdict:
    """Final: the payload goes to the dead letters."""
    return Verdict("rejected", code, reason)


def dropped(code: str, reason: str) -> Verdict:
    """The vendor erased that person on request: no error, never sent again, not named in any log."""
    return Verdict("dropped", code, reason)


def unknown(code: str, reason: str) -> Verdict:
    """Nobody can tell, and sending it again could double it: a dead letter that says so."""
    return Verdict("unknown", code, reason)


def again(code: str, reason: str) -> Verdict:
    """Send these again apart from one another, as requests of one payload in the end."""
    return Verdict("again", code, reason)


# --- actions ---------------------------------------------------------------------------------------------


def _marking(mark: str, kind: Callable[..., Any], facts: dict[str, Any]) -> Callable[[Any], Any]:
    """A decorator that leaves on a method, under `mark`, what the engine knows of it."""

    def decorate(method: Any) -> Any:
        setattr(method, mark, kind(method.__name__, method, (method.__doc__ or "").strip(), **facts))
        return method

    return decorate


@dataclass(frozen=True, slots=True)
class Action:
    """What the engine knows of a method under `@action`. Sizes in bytes of the encoded request, rates per second."""

    name: str
    method: Callable[..., Conversation]
    doc: str
    max_records: int = 1
    usual_bytes: int | None = None  # of a request where the pipeline's `batch` says nothing; None: `max_bytes`
    usual_records: int | None = None  # of a request where the pipeline's `batch` says nothing; None: `max_records`
    max_bytes: int | None = None
    rate: float | None = None
    key: Callable[[Any], Any] | None = None  # payload → whose it is: the default of a mapping's `key:`
    mend: str | None = None  # name of a method: payload refused by the schema → payload that may pass
    prepare: str | None = None  # name of an attribute: None, or payload that passed → payload to send (`RecordError`)
    group: Callable[[Any], Any] | None = None  # payload → what may share a request (a list, a catalog)
    stable_id: str | None = None  # payload field the engine fills with a stable id when absent
    repeatable: Callable[[Any], bool] | None = None  # payload → may it be sent twice without doubling; None: always


def action(**facts: Any) -> Callable[[Callable[..., Conversation]], Callable[..., Conversation]]:
    """Marks a vendor's method as something a mapping may be sent `to`; `facts` are the fields of `Action`."""
    return _marking("__action__", Action, facts)


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the engine knows of a method under `@lookup`. `rate` is in requests per second."""

    name: str
    method: Callable[..., Question]
    doc: str
    rate: float | None = None
    concurrency: int = 8  # questions in flight
    prepare: str | None = None  # a method to converse with before the first question, and every `refresh` seconds
    timeout: float | None = None  # seconds of a request where the pipeline says nothing; None: the engine's own
    at_once: str | None = None  # a function, asked first once prepared: the same parameters → the value, or `LATER`


def lookup(**facts: Any) -> Callable[[Callable[..., Question]], Callable[..., Question]]:
    """Marks a vendor's method as a value that a pipeline may ask for; `facts` are the fields of `Lookup`.

    The method takes the parameters of `with:` as keyword arguments and returns what mappings see.
    """
    return _marking("__lookup__", Lookup, facts)


@dataclass(frozen=True, slots=True)
class Reader:
    """What the engine knows of a method under `@reader`."""

    name: str
    method: Callable[..., Reading]
    doc: str


def reader(**facts: Any) -> Callable[[Callable[..., Reading]], Callable[..., Reading]]:
    """Marks a vendor's method as a source. Its parameters are settings of the source, beside the constructor's.

    The method yields requests and `Download`s, and gives its records as `Table`s and `Records`. All is fetched before
    the first record is read; what was fetched stays until the run is finished, so that a resume reads the same.
    """
    return _marking("__reader__", Reader, facts)


@dataclass(frozen=True, slots=True)
class Spooled:
    """Payloads of one action, gathered in a file: one JSON value a line. `size` is in bytes."""

    path: str
    name: str
    size: int
    payloads: int


class Vendor:
    """A vendor's account. Subclasses take their settings as keyword arguments of `__init__`.

    `base_url` is the address that paths follow, without a final slash. A constructor may raise `InvalidPipeline`.
    """

    base_url: str
    order: ClassVar[str] = "per_key"  # the default of `delivery.order` for this vendor's sinks
    stable_ids: bool = True  # False, by a setting: the engine fills no `Action.stable_id`
    tenant: str = ""  # what tells accounts of one address apart where `headers` do not; never written in clear
    inline: int | None = None  # payloads of an action that are sent in batches; those after them go to `upload`

    def headers(self) -> Mapping[str, str | Secret]:
        """Headers of every request to the vendor's own origin, credentials included."""
        return {}

    def refusal(self, answer: Response, payloads: Payloads) -> Verdicts | None:
        """Reads an answer of 4xx (or 5xx) where the vendor's contract says more than the engine's own table.

        None leaves it to the table. It may raise `Split`, `NotNow` or `Halt`, or return verdicts: what they do not
        name counts as delivered, so a vendor that stored nothing names every payload.
        """
        return None

    def expects(self, action: str, parameters: Collection[str]) -> None:
        """Raises `InvalidPipeline` where a mapping lacks what the action needs; `parameters` are those it gives."""
        return

    def upload(self, action: str, file: Spooled, **parameters: Any) -> Conversation:
        """Sends a whole file of payloads of one action; `parameters` are those that the action's method takes."""
        raise NotImplementedError

    @property
    def refresh(self) -> float | None:
        """Seconds after which a lookup's `prepare` is held again; None: never."""
        return None

    @classmethod
    def actions(cls) -> dict[str, Action]:
        """The class's actions by name, in the order of their definition."""
        return cls._marked("__action__")

    @classmethod
    def lookups(cls) -> dict[str, Lookup]:
        """The class's lookups by name, in the order of their definition."""
        return cls._marked("__lookup__")

    @classmethod
    def readers(cls) -> dict[str, Reader]:
        """The class's readers by name, in the order of their definition."""
        return cls._marked("__reader__")

    @classmethod
    def _marked(cls, mark: str) -> dict[str, Any]:
        kinds = reversed(cls.__mro__)
        return {n: getattr(m, mark) for kind in kinds for n, m in vars(kind).items() if hasattr(m, mark)}


# --- sources ------------------------------------------------------------------------------------------------


class Source(Protocol):
    """Where records come from. The constructor's parameters are the settings.

    A source may have `notes`, a list of `Note`: the engine takes them out, into the report's warnings. A constructor
    with a parameter `base` gets the pipeline's folder; one with `mode` gets the source's: `full` or `append`.
    """

    def partitions(self) -> list[str]:
        """Names of the parts, in reading order: paths or addresses. Raises `InvalidPipeline` or `Refused`."""
        ...

    def columns(self, partition: str) -> tuple[str, ...] | None:
        """The columns, where they can be known without reading on; None for free objects."""
        ...

    def read(self, partition: str, start: Position | None) -> Iterator[Rows]:
        """Micro-batches from `start` (None: the beginning) on.

        Raises `Refused` for a source that is cut short or cannot be read to its end: what was yielded stands.
        """
        ...

    def checksum(self, partition: str, offset: int) -> int | None:
        """The CRC-32 of the first `offset` bytes, as `Position.check` has it; None where there are fewer."""
        ...


# --- sinks that are files ---------------------------------------------------------------------------------------


class Writer(Protocol):
    """A sink that writes instead of conversing. Nothing stands under the final name before `finish`.

    One whose `template` is a text is a `Router` too.
    """

    transactional: bool  # True: what is written after the last `sync` is undone by `open(state)`

    def open(self, state: Any) -> None:
        """Starts, or goes on where `state` (a JSON value that `sync` once gave) stands."""
        ...

    def write(self, payloads: Payloads) -> Verdicts | None:
        """Takes payloads; names those it cannot write, as an action does."""
        ...

    def sync(self) -> Any:
        """Makes what was written durable; returns the state to go on from."""
        ...

    def finish(self) -> None:
        """Puts everything under its final name."""
        ...

    def close(self) -> None:
        """Lets go without finishing; the part file stays for a resume."""
        ...


class Router(Writer, Protocol):
    """A writer to several targets: the engine computes `template`, a text with expressions, for each record."""

    template: str | None  # None: there is one target, and `write` serves it

    def write_to(self, target: Any, payloads: Payloads) -> Verdicts | None:
        """What `write` does, for payloads of records whose `template` gives `target`, which may be any JSON value."""
        ...


# --- what several processes may share -----------------------------------------------------------------------------


class Divisible(Source, Protocol):
    """A source whose partitions may be read in ranges, or by several processes at once."""

    def size(self, partition: str) -> int | None:
        """Bytes of a file on this machine; None elsewhere. Raises `InvalidPipeline`: one process must read it all."""
        ...

    def ends(self, partition: str, apart: int) -> Iterator[Position]:
        """Places where a range may end and the next begin, some `apart` bytes from one another; rows not counted.

        Nothing where the partition cannot be cut. `read` takes the offset of one as `end`.
        """
        ...


class Parted(Writer, Protocol):
    """A writer whose target several processes write, each its part, which are joined at the end."""

    def part(self, number: int, of: int) -> None:
        """Writes one part (1 to `of`) from now on, which `finish` does not finish; called before `open`.

        Raises `InvalidPipeline` where it cannot be written in parts.
        """
        ...

    def join(self, states: Sequence[Any]) -> None:
        """On part 1, open where it ended: takes over the others, whose last states these are. `finish` follows."""
        ...
