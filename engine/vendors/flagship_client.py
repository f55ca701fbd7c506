"""An environment as scripts hold it: its file, its log, its cache, and how requests get out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from logging import DEBUG, ERROR, INFO, WARNING, getLogger
from random import Random
from typing import Any, Protocol

from engine.plugin import Halt, InvalidPipeline, Note, NotNow, Question, Request, Response, TurnedAway
from engine.vendors.buckets import RULES, Decision
from engine.vendors.flagship_file import BucketingFile
from engine.vendors.flagship_hits import POLICIES
from engine.vendors.flagship_memory import Memory, VisitorCache
from engine.vendors.flagship_wire import MODES, Endpoints, check_polling, one_of

__all__ = ["DEBUG", "ERROR", "INFO", "WARNING", "Client", "Config", "EventHandler", "Outcome"]

Outcome = tuple[bool, str]


class EventHandler(Protocol):
    """Is told what happens, by the levels of Python's `logging`, and what goes wrong."""

    def on_log(self, level: int, message: str) -> None: ...

    def on_exception_raised(self, exception: BaseException, traceback: str) -> None: ...


class LoggingHandler:
    """To Python's own log, named `flagship`."""

    def on_log(self, level: int, message: str) -> None:
        getLogger("flagship").log(level, message)

    def on_exception_raised(self, exception: BaseException, traceback: str) -> None:
        getLogger("flagship").critical("%s\n%s", exception, traceback)


@dataclass(frozen=True, slots=True)
class Config:
    """How to be a client. Times are in seconds; a `polling_interval` of 0 reads the file once.

    `visitor_cache_manager` has `lookup(visitor_id)` and `save(visitor_id, data)`.
    """

    mode: str = "decision_api"
    polling_interval: float = 60.0
    timeout: float = 2.0  # of the question for campaigns
    event_handler: EventHandler | None = None
    visitor_cache_manager: VisitorCache | None = None
    rules: str = "python-2.1"
    type_mismatch: str = "value"
    on_violation: str = "reject"
    blank_presets: bool = True

    def __post_init__(self) -> None:
        for name in ("polling_interval", "timeout"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InvalidPipeline(f"{name} is a number of seconds, not {type(value).__name__}")
        one_of("mode", self.mode, MODES)
        one_of("rules", self.rules, RULES)
        one_of("on_violation", self.on_violation, POLICIES)
        check_polling(self.polling_interval)
        if self.timeout <= 0:
            raise InvalidPipeline("timeout is above 0")


class Client:
    """`hold` carries a conversation to its end and gives what it returns, raising what it raises; each request is
    sent once. `now` tells seconds since the epoch. `poll` is for whoever keeps the time.
    """

    def __init__(
        self, endpoints: Endpoints, config: Config, hold: Callable[[Question], Any], now: Callable[[], float],
        chance: Random,
    ) -> None:  # fmt: skip
        self.endpoints, self.config, self.hold = endpoints, config, hold
        self.bucketing = config.mode == "bucketing"
        self.timeout, self.type_mismatch, self.on_violation = (
            config.timeout,
            config.type_mismatch,
            config.on_violation,
        )
        self.file = BucketingFile(endpoints, config.rules)
        self._handler = config.event_handler or LoggingHandler()
        cache = config.visitor_cache_manager
        self._memory = None if cache is None else Memory(endpoints.env_id, cache)
        self._now, self._chance = now, chance

    def create_visitor(
        self, visitor_id: str | None = None, authenticated: bool = False, context: Mapping[Any, Any] | None = None
    ) -> Any:
        """A `Visitor`."""
        from engine.vendors.flagship_visitor import Visitor  # a visitor holds its client, so it comes later

        return Visitor(self, visitor_id, authenticated, context)

    def start(self) -> None:
        """Brings the file, where decisions are made here."""
        self.log(DEBUG, f"started for {self.endpoints.env_id}, mode {self.config.mode}")
        self.poll()
        if self.bucketing and not self.config.polling_interval:
            self.log(WARNING, "polling is disabled: the bucketing file is read once")

    def poll(self) -> bool:
        """Asks for the file. True: there is a new one. What goes wrong is logged, and what is there stays."""
        if not self.bucketing:
            return False
        before = self.file.panic
        try:
            new: bool = self.hold(self.file.fetch())
        except (NotNow, Halt) as error:
            self.log(ERROR, f"there is no bucketing file: {error}")
            return False
        if new:
            self.log(INFO, "there is a new bucketing file")
        if before != self.file.panic:
            self.log(INFO, f"panic is {'on' if self.file.panic else 'off'}")
        return new

    def log(self, level: int, message: str) -> None:
        self._handler.on_log(level, message)

    def noted(self, note: Note) -> None:
        """What a conversation says on the way."""
        self.log(WARNING, f"{note.code}: {note.text}")

    def raised(self, exception: BaseException, traceback: str) -> None:
        self._handler.on_exception_raised(exception, traceback)

    def generated_id(self) -> str:
        """19 digits: the moment to the second, and five by chance."""
        moment = datetime.fromtimestamp(self._now(), UTC).astimezone()
        return f"{moment:%Y%m%d%H%M%S}{self._chance.randint(10000, 99999)}"

    # --- requests that are sent once ---------------------------------------------------------------------------

    def send(self, request: Request) -> Outcome:
        """(was it a success, the status or why there is none)."""
        outcome: Outcome = self.hold(self.sent(request))
        return outcome

    def sent(self, request: Request) -> Question:
        try:
            reply: Response = yield request
        except TurnedAway as error:
            self.log(ERROR, f"{request.path} answered HTTP {error.response.status}")
            return False, str(error.response.status)
        except NotNow as error:
            self.log(ERROR, f"{request.path}: {error}")
            return False, str(error)
        self.log(INFO, f"{request.path} answered HTTP {reply.status}")
        return True, str(reply.status)

    # --- the visitor cache ---------------------------------------------------------------------------------------

    def lookup(self, visitor_id: str) -> Question:
        return None if self._memory is None else (yield from self._memory.lookup(visitor_id))

    def save(self, visitor_id: str, decision: Decision) -> Question:
        if self._memory is not None:
            yield from self._memory.save(visitor_id, decision)
