"""A loopback vendor that costs little: answers every bulk request with a whole success, after `latency` seconds.

Run as `python -m benchmarks.server LATENCY`; prints its address, serves until its standard input closes.
"""

from __future__ import annotations

import asyncio
import json
import sys

EMPTY = {
    f"{kind}{whom}": []
    for kind in ("invalid", "notFound", "invalidData", "conflict", "forgotten")
    for whom in ("Emails", "UserIds")
}


def answer_to(path: bytes, body: bytes) -> bytes:
    if path.endswith(b"trackPurchase"):
        return b'{"msg":"","code":"Success","params":null}'
    said = json.loads(body)
    count = len(said.get("users") or said.get("events") or [])
    report = {
        "successCount": count,
        "failCount": 0,
        "createdFields": [],
        "filteredOutFields": [],
        "failedUpdates": EMPTY,
    }
    return json.dumps(report | {"invalidEmails": [], "invalidUserIds": []}).encode()


class Vendor(asyncio.Protocol):
    def __init__(self, latency: float) -> None:
        self.latency, self.buffer = latency, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while (end := self.buffer.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.buffer[:end])
            length = next(
                (int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.lower().startswith(b"content-length")), 0
            )
            if len(self.buffer) < end + 4 + length:
                return
            body = bytes(self.buffer[end + 4 : end + 4 + length])
            del self.buffer[: end + 4 + length]
            self.reply(answer_to(head.split(b" ")[1], body))

    def reply(self, body: bytes) -> None:
        said = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
            len(body),
            body,
        )
        if self.latency:
            asyncio.get_running_loop().call_later(self.latency, self.transport.write, said)
        else:
            self.transport.write(said)


async def main(latency: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Vendor(latency), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
