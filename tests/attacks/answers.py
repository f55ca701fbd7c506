"""A vendor that was taken over: what it answers, what lies in wait beside it, and what must come of it.

`answers` gives status, headers and body for each request. A second server, the trap, is where redirects, proxies and
logins would lead: nothing may ever reach it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

from tests.attacks.table import SECRET

Answer = tuple[int, dict[str, str], bytes, int] | tuple[int, dict[str, str], bytes]  # the body, so many times
TAKEN = b'{"successCount": 1, "failCount": 0}'
ONE = b"email\nada@x.org\n"

PIPELINE = """
version: 1
name: attack
sources: {people: {type: file, path: people.csv}}
sinks:
  crm:
    type: iterable
    api_key: "${ITERABLE_API_KEY}"
    base_url: "%(vendor)s/api"
    retry: {initial: 1ms, max: 2ms, max_attempts: 2}
mappings:
  m: {from: people, to: crm.update_user, fields: {email: "{{ record.email }}"}}
"""
FIELDS = '{catalogName: things, id: "{{ record.email }}", value: {v: 1}}'
CATALOG = f"{PIPELINE.partition('mappings:')[0]}mappings: {{m: {{from: people, to: crm.upsert_catalog_item, fields: {FIELDS}}}}}\n"


@dataclass(frozen=True)
class Taken:
    """`bare` are paths that may be asked for, where it matters; `says` and `never` are about what is printed."""

    id: str
    exit: int
    says: tuple[str, ...] = ()
    answer: Callable[[str], Answer] = lambda trap: (200, {}, TAKEN)  # given the trap's address
    environ: Callable[[str], dict[str, str]] = lambda trap: {}
    netrc: bool = False
    pipeline: str = PIPELINE
    key: str = SECRET
    people: bytes = b"email\nada@x.org\nbob@x.org\n"
    paths: tuple[str, ...] | None = field(default=("/api/users/bulkUpdate",))


@cache
def bomb() -> bytes:
    """200 MB in 200 kB, made in pieces: what this process holds is counted for those that it starts."""
    packed = zlib.compressobj(9, wbits=31)
    return b"".join([*(packed.compress(b" " * (1 << 20)) for _ in range(200)), packed.flush()])


def proxies(trap: str) -> dict[str, str]:
    return dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"), trap)


def redirect(status: int) -> Taken:
    return Taken(
        f"transport: a redirect {status}",
        3,
        ("redirect", str(status)),
        lambda trap: (status, {"Location": trap}, b""),
    )


TAKEN_OVER = [
    *[redirect(status) for status in (301, 302, 303, 307, 308)],
    Taken("transport: a gzip bomb", 3, ("crm",), lambda trap: (200, {"Content-Encoding": "gzip"}, bomb())),
    Taken("transport: an answer of 100 MB", 3, ("crm",), lambda trap: (200, {}, b"x" * 1024, 100 << 10)),
    Taken("transport: brackets without end", 3, ("crm",), lambda trap: (200, {}, b"[" * (3 << 20))),
    Taken("transport: a counterfeit of success", 3, ("crm",), lambda trap: (200, {}, b"<html>ok</html>")),
    Taken("transport: control characters", 3, ("crm",), lambda trap: (404, {}, b"\x1b[2J\x1b[31mgone\r\nINFO all is well")),
    Taken("transport: our key in its answer", 3, ("crm",), lambda trap: (404, {}, f"key {SECRET}".encode())),
    Taken("transport: proxies of the environment", 0, environ=proxies, people=ONE),
    Taken("transport: a login in .netrc", 0, netrc=True, people=ONE),
    Taken("transport: a key with a line break", 2, ("line break",), key=f"{SECRET}\r\nX-Evil: 1", paths=()),
    Taken(
        "transport: values in a path", 1, pipeline=CATALOG, people=b"email\n../../admin\n..\na?b#c\n", paths=None,
        answer=lambda trap: (200, {}, b'{"code": "Success", "msg": "", "params": null}'),
    ),
]  # fmt: skip
