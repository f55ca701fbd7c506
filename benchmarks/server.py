"""A loopback vendor that costs little: it answers every request with a whole success, after `latency` seconds.

`python -m benchmarks.server LATENCY [--tls FOLDER] [--record FILE]`: prints its address, serves until its standard
input closes. `--record` writes every payload that it is sent, one a line. `--tls` makes a certificate of its own, and
`ca.pem` in that folder, which clients must trust.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

LISTS = ("invalid", "notFound", "invalidData", "conflict", "forgotten")
REPORT = {
    "failCount": 0,
    "createdFields": [],
    "filteredOutFields": [],
    "failedUpdates": {f"{kind}{whom}": [] for kind in LISTS for whom in ("Emails", "UserIds")},
    "invalidEmails": [],
    "invalidUserIds": [],
}
SINGLE = b'{"msg":"","code":"Success","params":null}'
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
READY = HEAD % (len(SINGLE), SINGLE)


class Bulk(msgspec.Struct):
    """A bulk body; its payloads stay text, which is all that counting them needs."""

    users: list[msgspec.Raw] = []
    events: list[msgspec.Raw] = []


BULK = msgspec.json.Decoder(Bulk).decode
Record = Callable[[bytes], object]


def answer_to(path: bytes, body: bytes, record: Record | None) -> bytes:
    """The whole answer, head and body."""
    if not path.endswith((b"/bulkUpdate", b"/trackBulk")):
        if record is not None:
            record(body)
        return READY
    bulk = BULK(body)
    payloads = bulk.users or bulk.events
    if record is not None:
        for payload in payloads:
            record(bytes(payload))
    said = msgspec.json.encode({"successCount": len(payloads), **REPORT})
    return HEAD % (len(said), said)


class Vendor(asyncio.Protocol):
    """Requests of one connection, each with a Content-Length, answered in the order in which they came."""

    def __init__(self, latency: float, record: Record | None) -> None:
        self.latency, self.record = latency, record
        self.buffer, self.need = bytearray(), 0
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= self.need:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self.buffer[:end])
            self.need = end + 4 + self._length(head)
            if len(self.buffer) < self.need:
                return
            body = bytes(self.buffer[end + 4 : self.need])
            del self.buffer[: self.need]
            self.need = 0
            self.reply(answer_to(head.split(b" ", 2)[1], body, self.record))

    def _length(self, head: bytes) -> int:
        lower = head.lower()
        if b"100-continue" in lower and not self.need:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        at = lower.find(b"content-length:")
        return 0 if at < 0 else int(lower[at + 15 :].split(b"\r\n", 1)[0])

    def reply(self, answer: bytes) -> None:
        if self.latency:
            self.loop.call_later(self.latency, self._write, answer)
        else:
            self.transport.write(answer)

    def _write(self, answer: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(answer)


def encrypted(folder: Path) -> ssl.SSLContext:
    """A certificate for this address, made now; `ca.pem` in the folder is who signed it."""
    import trustme

    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    return context


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("latency", type=float)
    parser.add_argument("--tls", type=Path, metavar="FOLDER", help="serve https; ca.pem is put there")
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    file = options.record.open("wb") if options.record else None
    record: Record | None = None if file is None else lambda payload: file.write(payload.replace(b"\n", b" ") + b"\n")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Vendor(options.latency, record), "127.0.0.1", 0, backlog=512,
        ssl=encrypted(options.tls) if options.tls else None,
    )  # fmt: skip
    kind = "https" if options.tls else "http"
    print(f"{kind}://127.0.0.1:{server.sockets[0].getsockname()[1]}/api", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()
    if file is not None:
        file.close()


if __name__ == "__main__":
    asyncio.run(main())
