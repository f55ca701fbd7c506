"""One exchange over `requests`, at the level of its adapter: prepared by us, no environment, no redirects.

Imported late, since `requests` costs a tenth of a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, cast

import requests
import urllib3
from requests.adapters import HTTPAdapter

from engine.errors import Halt, NoAnswer
from engine.model import Response, Stream, WireRequest
from engine.runtime.answers import ANSWER_CAP, too_long
from engine.runtime.landing import asking, land
from engine.runtime.sendable import address, headers
from engine.runtime.wire import host

CONNECT_TIMEOUT = 10.0  # seconds
READ_TIMEOUT = 60.0  # seconds without a byte
PIECE = 1024 * 1024  # bytes of a download at once


def exchange(connections: int = 64, ca_file: str | None = None) -> Callable[[WireRequest, float], Response]:
    """A function that sends a request and returns the whole answer; it may be called from several threads.

    It raises `NoAnswer` (send again), `Unreadable` (an answer past the cap) or `Halt` (TLS, an impossible address).
    Its own function `close` ends the connections that it keeps.
    """
    adapter = HTTPAdapter(pool_connections=16, pool_maxsize=connections, max_retries=0)
    verify: str | bool = ca_file or True

    def send(request: WireRequest, timeout: float) -> Response:
        deadline = time.monotonic() + timeout
        silence = min(CONNECT_TIMEOUT, timeout), min(READ_TIMEOUT, timeout)
        try:
            prepared = _prepared(request)
        except ValueError as error:
            raise _impossible(request) from error
        try:
            answer = adapter.send(prepared, stream=True, timeout=silence, verify=verify)
            try:
                return _read(request, answer, deadline)
            except BaseException:
                answer.close()  # the rest of the body must not be taken for the next answer
                raise
        except requests.exceptions.SSLError as error:
            raise Halt(f"TLS to {host(request.url)} failed", where=host(request.url), code="tls") from error
        except requests.exceptions.ConnectTimeout as error:
            raise NoAnswer(f"{host(request.url)} did not accept a connection") from error
        except requests.exceptions.ConnectionError as error:
            raise _lost(request, error) from error
        except (requests.exceptions.Timeout, urllib3.exceptions.ReadTimeoutError) as error:
            raise NoAnswer(f"no answer within {timeout:g} s", ambiguous=True) from error
        except (requests.exceptions.InvalidURL, urllib3.exceptions.LocationValueError) as error:
            raise _impossible(request) from error
        except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise NoAnswer(f"the connection broke: {type(error).__name__}", ambiguous=True) from error

    send.close = adapter.close  # type: ignore[attr-defined]
    return send


def _prepared(request: WireRequest) -> requests.PreparedRequest:
    prepared = requests.PreparedRequest()
    prepared.prepare_method(request.method)
    prepared.url = address(request.url)
    going = headers(request.headers if request.into is None else {**request.headers, **asking(request.into)})
    body: Any = request.body
    if body or request.method in ("POST", "PUT", "PATCH"):
        going["Content-Length"] = str(len(body))
    prepared.headers = requests.structures.CaseInsensitiveDict(going)
    prepared.body = cast(Any, body.chunks() if isinstance(body, Stream) else body or None)
    return prepared


def _headers(answer: requests.Response) -> dict[str, str]:
    return {name.lower(): value.strip() for name, value in answer.headers.items()}


def _read(request: WireRequest, answer: requests.Response, deadline: float) -> Response:
    status, told = answer.status_code, _headers(answer)
    if request.into is not None and status in (200, 206):
        land(request.into, status, told, _pieces(answer, deadline))
        return Response(status, told)
    return Response(status, told, _body(answer, deadline))


def _body(answer: requests.Response, deadline: float) -> bytes:
    """The body, read whole within the cap and the deadline."""
    chunks, size = [], 0
    for chunk in _pieces(answer, deadline, 65536, decode=True):
        chunks.append(chunk)
        size += len(chunk)
        if size > ANSWER_CAP:
            raise too_long()
    return b"".join(chunks)


def _pieces(
    answer: requests.Response, deadline: float, size: int = PIECE, *, decode: bool = False
) -> Iterator[bytes]:
    """The body as it comes in, within the deadline."""
    # What has come in is handed on at once: waiting for a whole piece would outlast the deadline.
    while chunk := answer.raw.read1(size, decode_content=decode):
        yield chunk
        if time.monotonic() > deadline:
            raise NoAnswer("no whole answer within the time limit", ambiguous=True)
    answer.raw.release_conn()


def _impossible(request: WireRequest) -> Halt:
    return Halt("the address or a header cannot be sent", where=host(request.url), code="request")


def _lost(request: WireRequest, error: requests.exceptions.ConnectionError) -> NoAnswer:
    """A connection that was never made certainly carried nothing; any other may have."""
    reason = error.args[0] if error.args else None
    cause = getattr(reason, "reason", reason)
    at = host(request.url)
    if isinstance(cause, (urllib3.exceptions.NewConnectionError, urllib3.exceptions.NameResolutionError)):
        return NoAnswer(f"cannot connect to {at}")
    return NoAnswer(f"the connection to {at} was lost", ambiguous=True)
