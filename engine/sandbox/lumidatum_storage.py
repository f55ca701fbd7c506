"""The pretend object storage beside the pretend Lumidatum: signed uploads and downloads, as S3 does them."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol
from urllib.parse import parse_qs, quote, unquote, urlsplit

from engine.plugin import Response, WireRequest
from engine.sandbox.bodies import pieces
from engine.sandbox.multipart import BadForm, FormReader

URL = "https://storage.lumidatum.test"
RANGE = re.compile(r"bytes=(\d+)-(\d*)")
Stored = Callable[[BinaryIO], None]


class Clock(Protocol):
    def now(self) -> float: ...


@dataclass
class Policy:
    """Leave to upload one file, once. `stored` is given the file."""

    fields: Mapping[str, str]
    size: int | None
    expires: float
    stored: Stored


class PretendStorage:
    """A bucket. `url` is where it is; signatures hold for `seconds` by `clock.now()`.

    `content_encoding: gzip` gives downloads of packed files that header, as some tools set it.
    """

    large = True  # its requests may be of any size

    def __init__(self, clock: Clock, *, url: str = URL, seconds: float = 3600.0, content_encoding: str = "") -> None:
        self._clock, self.url, self._seconds, self._encoding = clock, url, seconds, content_encoding
        self._policies: dict[str, Policy] = {}
        self._objects: dict[str, Callable[[], bytes]] = {}
        self._signed: dict[str, tuple[str, float]] = {}
        self._etags: dict[str, tuple[bytes, str]] = {}
        self.taken = 0  # uploads

    # --- what the API asks of it ------------------------------------------------------------------------------

    def presign(self, key: str, size: int | None, stored: Stored, *, put: bool = False) -> dict[str, Any]:
        """The answer to a presign: an address, and the form's fields unless it takes a plain PUT."""
        number = len(self._policies) + 1
        expires = self._clock.now() + self._seconds
        policy = base64.b64encode(json.dumps({"key": key, "size": size, "n": number}).encode()).decode()
        signature = base64.b64encode(hashlib.sha1(policy.encode(), usedforsecurity=False).digest()).decode()
        fields = {
            "key": key, "AWSAccessKeyId": "AKIAPRETEND", "acl": "private", "policy": policy, "signature": signature,
            "Content-Type": "application/json",
        }  # fmt: skip
        self._policies[signature] = Policy(fields, size, expires, stored)
        if put:
            return {"url": f"{self.url}/put?Signature={quote(signature, safe='')}"}
        return {"url": f"{self.url}/app-data", "fields": fields}

    def sign(self, key: str, content: Callable[[], bytes]) -> str:
        """A signed address of something to download."""
        signature = hashlib.sha1(f"{key}{len(self._signed)}".encode(), usedforsecurity=False).hexdigest()
        self._objects[key] = content
        self._signed[signature] = (key, self._clock.now() + self._seconds)
        return f"{self.url}/{quote(key)}?Signature={signature}"

    # --- requests ----------------------------------------------------------------------------------------------

    def handle(self, request: WireRequest) -> Response:
        headers = {name.lower(): str(value) for name, value in request.headers.items()}
        if "authorization" in headers:
            return _error(400, "InvalidArgument", "Only one auth mechanism allowed")
        if request.method == "GET":
            return self._get(request, headers)
        if request.method == "PUT":
            return self._put(request)
        if request.method == "POST":
            return self._post(request, headers)
        return _error(405, "MethodNotAllowed", "The specified method is not allowed against this resource.")

    def state(self) -> Any:
        return {"uploads": self.taken, "objects": sorted(self._objects)}

    def _post(self, request: WireRequest, headers: Mapping[str, str]) -> Response:
        with tempfile.TemporaryFile() as file:
            try:
                form = FormReader(headers.get("content-type", ""), pieces(request), file)
            except BadForm as error:
                return _error(400, "MalformedPOSTRequest", str(error))
            policy = self._policies.get(form.fields.get("signature", ""))
            if policy is None or dict(policy.fields) != form.fields:
                return _error(403, "AccessDenied", "Invalid according to Policy: Policy Condition failed")
            return self._store(form.fields["signature"], policy, form.size, file)

    def _put(self, request: WireRequest) -> Response:
        signature = parse_qs(urlsplit(request.url).query).get("Signature", [""])[0]
        policy = self._policies.get(signature)
        if policy is None:
            return _error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
        with tempfile.TemporaryFile() as file:
            size = sum(file.write(piece) for piece in pieces(request))
            return self._store(signature, policy, size, file, status=200)

    def _store(self, signature: str, policy: Policy, size: int, file: BinaryIO, status: int = 204) -> Response:
        if self._clock.now() > policy.expires:
            return _error(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
        if policy.size is not None and size != policy.size:
            code = "EntityTooLarge" if size > policy.size else "EntityTooSmall"
            return _error(400, code, "Your proposed upload does not fit its policy")
        del self._policies[signature]
        self.taken += 1
        file.seek(0)
        policy.stored(file)
        return Response(status)

    def _etag(self, key: str, body: bytes) -> str:
        """Told by the content; computed once for as long as it is the same object."""
        known = self._etags.get(key)
        if known is None or known[0] is not body:
            etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
            known = self._etags[key] = (body, etag)
        return known[1]

    def _get(self, request: WireRequest, headers: Mapping[str, str]) -> Response:
        parts = urlsplit(request.url)
        signature = parse_qs(parts.query).get("Signature", [""])[0]
        key, expires = self._signed.get(signature, ("", 0.0))
        if not key or unquote(parts.path).lstrip("/") != key:
            return _error(403, "SignatureDoesNotMatch", "The request signature we calculated does not match")
        if self._clock.now() > expires:
            return _error(403, "AccessDenied", "Request has expired")
        body = self._objects[key]()
        etag = self._etag(key, body)
        told = {"etag": etag, "accept-ranges": "bytes", "content-type": "application/octet-stream"}
        if self._encoding == "gzip" and body.startswith(gzip.compress(b"")[:2]):
            told["content-encoding"] = "gzip"
        wanted = RANGE.fullmatch(headers.get("range", ""))
        if wanted is None or headers.get("if-range", etag) != etag:
            return Response(200, told, body)
        start, end = int(wanted[1]), int(wanted[2] or len(body) - 1)
        if start >= len(body):
            return Response(416, {"content-range": f"bytes */{len(body)}"})
        part = body[start : end + 1]
        told["content-range"] = f"bytes {start}-{start + len(part) - 1}/{len(body)}"
        return Response(206, told, part)


def _error(status: int, code: str, message: str) -> Response:
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Response(status, {"content-type": "application/xml"}, body.encode())


def lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a stored file that hold something."""
    return (line for line in file if line.strip())
