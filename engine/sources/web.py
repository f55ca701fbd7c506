"""Files by http(s): a read that breaks off is taken up where it broke, and only from the same file.

What tells that it is the same file: a strong ETag or a date of change, sent along with the range; where there is
neither, or the server ignores ranges, all is read again and what was read before is compared by its CRC-32.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from engine.plugin import Note, Refused
from engine.sources.addresses import LOOPBACK, Version, Web

REDIRECTS = 5
PASSING = {408, 425, 429, 500, 502, 503, 504}  # worth another try
LONGEST_WAIT = 8.0  # seconds between two tries
LEAST = 1024  # bytes that come in as much time as a server may be silent; fewer are hardly better than silence
BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class Again(Exception):
    """No answer that can be read; the same may be asked once more."""


class WebFile:
    """A file to read once, from its beginning or from `seek` on. Whatever cannot be mended is `Refused`."""

    def __init__(self, url: str, name: str, web: Web) -> None:
        self._url, self._name, self._web = url, name, web
        self._session = requests.Session()
        self._session.trust_env = False
        self._answer: requests.Response | None = None
        self._at = self._since = 0  # bytes before the next one; where reading began
        self._check = 0  # CRC-32 of the bytes from `_since` to `_at`
        self._end: int | None = None  # the size of the file, where it is known
        self._failed = 0
        self._error: Exception | None = None  # came after bytes that were given
        try:
            self._persist(self._connect)
        except BaseException:
            self.close()
            raise

    @property
    def seekable(self) -> bool:
        """Can a range be had that is sure to be of the same file?"""
        return bool(self._web.seen[self._url].condition)

    def seek(self, offset: int) -> Callable[[int], bytes]:
        """Goes on from `offset`."""
        self._at = self._since = offset
        self._check = 0
        self._persist(self._connect)
        return self.read

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; b"" at the end, of which the length is sure where the server tells it."""
        data: bytes = self._persist(lambda: self._some(size))
        return data

    def close(self) -> None:
        self._drop()
        self._session.close()

    # --- trying again ------------------------------------------------------------------------------------------

    def _persist(self, act: Callable[[], Any]) -> Any:
        while True:
            try:
                if self._answer is None and act != self._connect:
                    self._connect()
                return act()
            except (Again, *BROKEN) as error:
                self._drop()
                self._count(error)

    def _count(self, error: Exception) -> None:
        self._failed += 1
        if isinstance(error, requests.exceptions.SSLError) or self._failed > self._web.retries:
            why = str(error) if isinstance(error, Again) else _plainly(error)
            raise self._refused(f"{why} (at byte {self._at}, {_times(self._failed)})") from error
        self._web.sleep(min(0.5 * 2.0 ** (self._failed - 1), LONGEST_WAIT))

    def _refused(self, why: str) -> Refused:
        return Refused(f"{self._name} cannot be read to its end: {why}; run again to go on")

    def _changed(self) -> Refused:
        return Refused(
            f"{self._name} changed while it was read; run again with --fresh, which reads it from its beginning"
        )

    # --- one connection ----------------------------------------------------------------------------------------

    def _some(self, size: int) -> bytes:
        assert self._answer is not None
        if self._end is not None and self._at >= self._end:
            return b""
        data = self._piece(self._answer.raw, size)
        if not data and self._end is not None and self._at < self._end:
            raise Again(f"it ended early, {self._end - self._at} bytes are missing")
        if data:
            self._failed = 0
        self._at += len(data)
        self._check = zlib.crc32(data, self._check)
        return data

    def _piece(self, raw: Any, size: int) -> bytes:
        """So many bytes, or fewer at the end. A server that drips is left: each byte would be in time, for ever."""
        pieces, got, before, since = [], 0, 0, self._web.now()
        while got < size and (data := self._bytes(raw, size - got, kept=got > 0)):
            pieces.append(data)
            got += len(data)
            now = self._web.now()
            if now - since > self._web.read:
                if got - before < LEAST:
                    raise Again(f"it comes too slowly: {got - before} bytes in {now - since:.0f} s")
                before, since = got, now
        return b"".join(pieces)

    def _bytes(self, raw: Any, size: int, *, kept: bool) -> bytes:
        """What has come. An error after something that is kept is for the next time."""
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        try:
            data: bytes = raw.read1(size, decode_content=False)
        except BROKEN as error:
            if not kept:
                raise
            self._error = error
            return b""
        return data

    def _connect(self) -> None:
        """Asks for the bytes from `_at` on."""
        self._drop()
        known = self._web.seen.get(self._url)
        ranged = self._at > 0 and known is not None and bool(known.condition)
        headers = {"Accept-Encoding": "identity"}
        if ranged and known is not None:
            headers |= {"Range": f"bytes={self._at}-", **known.condition}
        self._answer = answer = self._ask(headers)
        if answer.status_code == 416 and ranged:
            self._at_end(known)
            return
        if answer.status_code not in (200, 206) or (answer.status_code == 206 and not ranged):
            self._turned_away(answer.status_code)
        start, found = _version(answer)
        if known is not None and known.differs(found):
            raise self._changed()
        self._web.seen.setdefault(self._url, found)
        self._end = found.size
        self._judge_length(answer)
        if start != self._at:
            self._skip(start)

    def _ask(self, headers: dict[str, str]) -> requests.Response:
        url, web = self._url, self._web
        for _ in range(REDIRECTS + 1):
            answer = self._session.get(
                url, headers=headers, stream=True, allow_redirects=False, timeout=(web.connect, web.read)
            )
            target = answer.headers.get("Location")
            if answer.status_code not in (301, 302, 303, 307, 308) or not target:
                return answer
            answer.close()
            url = self._followed(url, target)
        raise self._refused(f"more than {REDIRECTS} redirects")

    def _followed(self, url: str, target: str) -> str:
        """Where a redirect leads; it may not lead from https to http, nor from elsewhere to this machine."""
        there = urlsplit(urljoin(url, target))
        local = urlsplit(self._url).hostname in LOOPBACK
        if there.scheme == "https" and (local or there.hostname not in LOOPBACK):
            return there.geturl()
        if there.scheme == "http" and local and there.hostname in LOOPBACK:
            return there.geturl()
        raise self._refused(f"it redirects to {there.scheme}://{there.hostname}, where it is not followed")

    def _turned_away(self, status: int) -> None:
        if status == 412:
            raise self._changed()
        if status in PASSING:
            raise Again(f"HTTP {status}")
        raise self._refused(f"HTTP {status}")

    def _judge_length(self, answer: requests.Response) -> None:
        """Where nothing tells where the file ends, a connection that breaks looks like its end."""
        chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
        if self._end is not None or chunked:
            return
        if self._web.require_length:
            raise Refused(f"{self._name} comes without its length, and require_length is true: a cut would not show")
        self._web.note(Note("length-unknown", f"{self._name} came without its length; a cut would not have shown"))

    def _at_end(self, known: Version | None) -> None:
        """The range begins where the file ends, or behind it."""
        if known is None or known.size != self._at:
            raise Refused(f"{self._name} is shorter than the {self._at} bytes that were read before")
        self._end = self._at

    def _skip(self, start: int) -> None:
        """Reads what was read before once more, from `start` on, and compares it."""
        assert self._answer is not None
        if start > self._since and self._at > self._since:
            raise self._refused(f"the server gave a range from byte {start}, not from {self._at}")
        at, check = start, 0
        while at < self._at:
            border = self._since if at < self._since else self._at
            data = self._piece(self._answer.raw, min(1 << 16, border - at))
            if not data:
                raise Again("it ended early") if self._end is not None and at < self._end else self._changed()
            if at >= self._since:
                check = zlib.crc32(data, check)
            at += len(data)
        if check != self._check or at != self._at:
            raise self._changed()

    def _drop(self) -> None:
        self._error = None
        if self._answer is not None:
            self._answer.close()
            self._answer = None


def _version(answer: requests.Response) -> tuple[int, Version]:
    """Where the answer's bytes begin, and the state of the file that they are of."""
    headers = answer.headers
    start, size = 0, _number(headers.get("Content-Length"))
    if answer.status_code == 206:
        unit, _, rest = headers.get("Content-Range", "").partition(" ")
        span, _, total = rest.partition("/")
        begin = _number(span.partition("-")[0])
        if unit.lower() != "bytes" or begin is None:
            raise Again("a range without Content-Range")
        length, start, size = size, begin, _number(total)
        if size is None and length is not None:
            size = start + length
    if "chunked" in headers.get("Transfer-Encoding", "").lower() and answer.status_code == 200:
        size = None
    return start, Version(headers.get("ETag", ""), headers.get("Last-Modified", ""), size)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None


def _plainly(error: Exception) -> str:
    """What broke, without the address."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return "nothing came for too long"
    if isinstance(error, requests.exceptions.SSLError):
        return "the certificate or the encryption is not accepted"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return "the connection broke"


def _times(number: int) -> str:
    return "tried once" if number == 1 else f"tried {number} times"
