"""The bucketing file of an environment: fetched when it is new, kept for when it is not, compiled once."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from engine.plugin import Halt, Note, NotNow, Question, Recall, Remember, Response, TurnedAway, Unreadable
from engine.vendors.buckets import Decider, compile_file
from engine.vendors.flagship_wire import Endpoints

NAMED = 20  # findings of a file that are told one by one


class Copy(msgspec.Struct):
    """What is kept of an environment between runs."""

    content: msgspec.Raw
    last_modified: str | None
    etag: str | None = None

    @property
    def since(self) -> dict[str, str]:
        """The headers that ask for something newer."""
        named = {"If-Modified-Since": self.last_modified, "If-None-Match": self.etag}
        return {name: value for name, value in named.items() if value}


class BucketingFile:
    """The file as it was last read. `decider` is None until there is one.

    Its conversations never fail where a copy can serve: what is wrong is a note, and the copy stays.
    """

    def __init__(self, endpoints: Endpoints, rules: str) -> None:
        self._endpoints, self._rules = endpoints, rules
        self._key = f"flagship/file/{endpoints.env_id}"
        self._copy: Copy | None = None
        self._recalled = False
        self.decider: Decider | None = None

    @property
    def panic(self) -> bool:
        return self.decider is not None and self.decider.panic

    def fetch(self) -> Question:
        """Asks for the file. True: there is a new one. Raises `NotNow` or `Halt` where there is no copy either."""
        if not self._recalled:
            yield from self._recall((yield Recall(self._key)))
        since = self._copy.since if self._copy else {}
        try:
            reply: Response = yield self._endpoints.file(since, patient=self.decider is None)
            document = reply.json()
            decider = compile_file(document, self._rules)
        except (NotNow, TurnedAway) as error:
            if isinstance(error, TurnedAway) and error.response.status == 304 and self.decider is not None:
                return False
            if self.decider is None:
                raise self._without_a_copy(error) from error
            yield Note("bucketing-file", f"{_why(error)}; the copy that is there stays in use")
            return False
        yield from self._take(decider, msgspec.json.encode(document), reply)
        return True

    def _without_a_copy(self, error: NotNow | TurnedAway) -> NotNow | Halt:
        if isinstance(error, NotNow):
            return error
        if error.response.status == 304:
            return Unreadable("HTTP 304 for the bucketing file, and there is no copy that it could mean")
        reason = f"the bucketing file of {self._endpoints.env_id} is answered with {error}: is env_id right?"
        return Halt(reason, where=self._endpoints.bucketing_url, code="no-bucketing-file")

    def _recall(self, kept: bytes | None) -> Iterator[Note]:
        self._recalled = True
        if kept is None:
            return
        try:
            copy = msgspec.json.decode(kept, type=Copy)
            self.decider = compile_file(msgspec.json.decode(copy.content), self._rules)
            self._copy = copy
        except (msgspec.MsgspecError, UnicodeDecodeError, Unreadable):
            yield Note("bucketing-file", "the copy of an earlier run cannot be read; it is not used")

    def _take(self, decider: Decider, content: bytes, reply: Response) -> Iterator[Note | Remember]:
        headers = reply.headers
        self._copy = Copy(msgspec.Raw(content), headers.get("last-modified"), headers.get("etag"))
        self.decider = decider
        yield Remember(self._key, msgspec.json.encode(self._copy))
        yield from told(decider)


def told(decider: Decider) -> Iterator[Note]:
    """What the file has that is malformed, or can never match."""
    for finding in decider.problems[:NAMED]:
        yield Note(finding.code, str(finding))
    if len(decider.problems) > NAMED:
        yield Note("bucketing-file", f"and {len(decider.problems) - NAMED} more like these")


def _why(error: NotNow | TurnedAway) -> str:
    return error.reason if isinstance(error, NotNow) else f"the bucketing file is answered with {error}"
