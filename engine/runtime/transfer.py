"""One request on a handle of libcurl, and what its end means: the same as `http` says of `requests`.

libcurl sends a request again by itself, unasked and uncounted, when a connection that it kept turns out to be dead.
Whether the vendor had taken it by then nobody knows, so here a request is let out once. What failed before it was let
out has certainly not arrived.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import pycurl

from engine.errors import EngineError, Halt, NoAnswer
from engine.model import Response, Secret, Stream, WireRequest
from engine.runtime.answers import ANSWER_CAP, head_of, too_long, unpacked
from engine.runtime.landing import Arrival, asking
from engine.runtime.sendable import address, headers
from engine.runtime.wire import defect, host

if not hasattr(pycurl, "PREREQFUNCTION"):
    raise ImportError("pycurl 7.45.7 or newer over libcurl 7.80 or newer")

CONNECT_TIMEOUT = 10.0  # seconds
SILENCE = 60  # seconds without a byte
PIECE = 512 * 1024  # bytes of a download or an upload at once

HEADERS_KEPT = 64  # sets of headers whose lines are kept: a vendor's are nearly always the same
NOT_OURS = ("Expect", "Accept", "Content-Type", "User-Agent")  # what libcurl adds of itself

IMPOSSIBLE = {pycurl.E_URL_MALFORMAT, pycurl.E_UNSUPPORTED_PROTOCOL, pycurl.E_BAD_FUNCTION_ARGUMENT}
TLS = {
    pycurl.E_SSL_CONNECT_ERROR, pycurl.E_PEER_FAILED_VERIFICATION, pycurl.E_SSL_CERTPROBLEM, pycurl.E_SSL_CIPHER,
    pycurl.E_SSL_CACERT_BADFILE, pycurl.E_SSL_CRL_BADFILE, pycurl.E_SSL_ISSUER_ERROR, pycurl.E_SSL_INVALIDCERTSTATUS,
}  # fmt: skip


class Kind(NamedTuple):
    """Requests of one kind share a handle: it is set up once, and only the rest changes."""

    method: str
    body: str  # "bytes", "stream" or "none"
    into: bool


def kind_of(request: WireRequest) -> Kind:
    if isinstance(request.body, Stream):
        body = "stream"
    elif request.body or request.method in ("POST", "PUT", "PATCH"):
        body = "bytes"
    else:
        body = "none"
    return Kind(request.method, body, request.into is not None)


class Shared:
    """What the transfers of one transport share: whom to trust, lines of headers, what connections have ended."""

    def __init__(self, ca_file: str) -> None:
        self.ca_file = ca_file
        self.lines = lru_cache(HEADERS_KEPT)(header_lines)  # the same headers give the same object
        self.ended: set[tuple[str, int]] = set()  # connections by our end of them: address and port


class Transfer:
    """A handle and what it is doing."""

    def __init__(self, kind: Kind, shared: Shared) -> None:
        self.kind, self.easy, self._shared = kind, pycurl.Curl(), shared
        self.token = -1
        self.stale = False  # it met a connection that had ended while nobody used it: nothing went out
        self._told_lines: list[bytes] = []
        self._told_url = ""
        self._timeout = 0.0
        self._fresh = False
        self._begun = False  # may something have gone out?
        self._error: EngineError | None = None  # ours, for which libcurl was told to stop
        self._source: Iterator[bytes] = iter(())
        self._rest = memoryview(b"")
        self._head: list[bytes] = []
        self._pieces: list[bytes] = []
        self._size = 0
        self._arrival: Arrival | None = None
        self._set_up(shared.ca_file)

    # --- before -----------------------------------------------------------------------------------------

    def _set_up(self, ca_file: str) -> None:
        tell, kind = self.easy.setopt, self.kind
        tell(pycurl.NOSIGNAL, 1)
        tell(pycurl.PROXY, "")  # none, whatever the environment says
        tell(pycurl.CAINFO, ca_file)
        tell(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
        tell(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        tell(pycurl.PATH_AS_IS, 1)
        tell(pycurl.LOW_SPEED_LIMIT, 1)
        tell(pycurl.LOW_SPEED_TIME, SILENCE)
        tell(pycurl.PREREQFUNCTION, self._let_out)
        tell(pycurl.HEADERFUNCTION, self._head.append)
        tell(pycurl.WRITEFUNCTION, self._land if kind.into else self._collect)
        if kind.into:
            tell(pycurl.BUFFERSIZE, PIECE)
        if kind.body == "stream":
            tell(pycurl.UPLOAD, 1)
            tell(pycurl.UPLOAD_BUFFERSIZE, PIECE)
            tell(pycurl.READFUNCTION, self._give)
        elif kind.body == "bytes":
            tell(pycurl.POST, 1)
        elif kind.method == "HEAD":
            tell(pycurl.NOBODY, 1)
        if kind.method != {"stream": "PUT", "bytes": "POST"}.get(kind.body, "GET") and kind.method != "HEAD":
            tell(pycurl.CUSTOMREQUEST, kind.method)

    def begin(self, request: WireRequest, token: int, timeout: float) -> None:
        """Makes the handle ready; `Halt` where the request cannot be sent as it is."""
        self.token, self._request = token, request
        try:
            going = request.headers
            if request.into is not None:
                going = {**going, **asking(request.into)}
            self._address(request.url, self._shared.lines(tuple(going.items())), timeout)
            if self.kind.body == "bytes":
                self.easy.setopt(pycurl.POSTFIELDS, request.body)
            elif isinstance(request.body, Stream):
                self.easy.setopt(pycurl.INFILESIZE_LARGE, len(request.body))
                self._source = request.body.chunks()
        except (ValueError, TypeError, pycurl.error) as error:
            raise self._impossible() from error
        except Exception as error:
            raise defect(error) from error

    def _address(self, url: str, lines: list[bytes], timeout: float) -> None:
        """Sets what is not so from the last request."""
        tell = self.easy.setopt
        if lines is not self._told_lines:
            tell(pycurl.HTTPHEADER, lines)
            self._told_lines = lines
        if url != self._told_url:
            tell(pycurl.URL, address(url))
            self._told_url = url
        if timeout != self._timeout:
            tell(pycurl.TIMEOUT_MS, max(1, round(timeout * 1000)))
            tell(pycurl.CONNECTTIMEOUT_MS, max(1, round(min(CONNECT_TIMEOUT, timeout) * 1000)))
            self._timeout = timeout

    # --- while it lasts: called by libcurl ----------------------------------------------------------------

    def _let_out(self, _there: str, here: str, _port: int, port: int) -> int:
        """Once, over no connection that has ended. Asked again, libcurl means to repeat what may have arrived."""
        if self._fresh:
            self._shared.ended.discard((here, port))
        elif self._shared.ended and (here, port) in self._shared.ended:
            self.stale = True
            return pycurl.PREREQFUNC_ABORT
        again, self._begun = self._begun, True
        return pycurl.PREREQFUNC_ABORT if again else pycurl.PREREQFUNC_OK

    def _collect(self, data: bytes) -> int | None:
        self._size += len(data)
        if self._size > ANSWER_CAP:
            self._error = too_long()
            return -1
        self._pieces.append(data)
        return None

    def _land(self, data: bytes) -> int | None:
        """Pieces of a file that is wanted; of any other answer, of its body."""
        try:
            if self._arrival is None and not self._pieces:
                self._open_arrival()
            if self._arrival is None:
                return self._collect(data)
            self._arrival.write(data)
        except Exception as error:
            self._error = error if isinstance(error, EngineError) else defect(error)
            return -1
        return None

    def _open_arrival(self) -> None:
        status, headers = head_of(self._head)
        if self._request.into is not None and status in (200, 206):
            self._arrival = Arrival(self._request.into, status, headers)

    def _give(self, size: int) -> bytes | int:
        """The next piece of the body, as libcurl has room for it."""
        try:
            if not self._rest:
                self._rest = memoryview(next(self._source, b""))
        except Exception as error:
            self._error = error if isinstance(error, EngineError) else defect(error)
            return pycurl.READFUNC_ABORT
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)

    # --- after ----------------------------------------------------------------------------------------------

    def end(self, failure: int | None) -> Response | EngineError:
        """What came of it. `failure` is libcurl's code; None where the answer came in whole."""
        try:
            if self._error is not None:
                return self._error
            return self._answer() if failure is None else self._judged(failure)
        except Exception as error:
            return error if isinstance(error, EngineError) else defect(error)
        finally:
            self._forget()

    def _answer(self) -> Response:
        status, headers = head_of(self._head)
        if self.kind.into and not self._pieces:
            if self._arrival is None:
                self._open_arrival()
            if self._arrival is not None:
                self._arrival.whole()
                return Response(status, headers)
        return Response(status, headers, unpacked(headers, b"".join(self._pieces)))

    def _judged(self, failure: int) -> EngineError:
        at = host(self._request.url)
        late = failure == pycurl.E_OPERATION_TIMEDOUT
        if self._begun:
            if late and not self._head:
                return NoAnswer(f"no answer within {self._timeout:g} s", ambiguous=True)
            if late:
                return NoAnswer("no whole answer within the time limit", ambiguous=True)
            return NoAnswer(f"the connection to {at} was lost", ambiguous=True)
        if failure in IMPOSSIBLE:
            return self._impossible()
        if failure in TLS and self.easy.getinfo(pycurl.OS_ERRNO) not in (errno.ECONNRESET, errno.EPIPE):
            return Halt(f"TLS to {at} failed", where=at, code="tls")
        return NoAnswer(f"{at} did not accept a connection" if late else f"cannot connect to {at}")

    def _impossible(self) -> Halt:
        return Halt("the address or a header cannot be sent", where=host(self._request.url), code="request")

    def freshen(self) -> None:
        """Ready for the same request over a connection of its own."""
        self.stale, self._fresh = False, True
        self.easy.setopt(pycurl.FRESH_CONNECT, 1)

    def _forget(self) -> None:
        """Ready for the next request."""
        if self._fresh:
            self._fresh = False
            self.easy.setopt(pycurl.FRESH_CONNECT, 0)
        if self._arrival is not None:
            self._arrival.close()
        self._arrival = self._error = None
        self.stale, self._begun, self._size = False, False, 0
        self._source, self._rest = iter(()), memoryview(b"")
        self._head.clear()
        self._pieces.clear()

    def close(self) -> None:
        self._forget()
        self.easy.close()


def header_lines(given: tuple[tuple[str, str | Secret], ...]) -> list[bytes]:
    """Headers as libcurl wants them. A name and a colon alone would take the header away."""
    going = headers(dict(given))
    lines = [(f"{name}: {value}" if value.strip() else f"{name};").encode("latin-1") for name, value in going.items()]
    named = {name.lower() for name in going}
    return lines + [f"{name}:".encode() for name in NOT_OURS if name.lower() not in named]
