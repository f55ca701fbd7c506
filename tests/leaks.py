"""Secrets in what a test's runs leave: streams that were captured, and files of the engine's own."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

SHORTEST = 8  # what is shorter may stand anywhere by chance
LARGEST = 16 * 1024 * 1024  # bytes of a file that is looked into
OWN = ("report", ".log")  # in the names of files that a command writes where it is told to


def forms(secret: str) -> set[str]:
    """The ways in which a secret may be written: plain, in JSON, in an address, in base64 at each of its places."""
    once = {json.dumps(secret, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)}
    raw = secret.encode("utf-8", "surrogatepass")
    addresses = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    packed = set()
    for before in range(3):
        text = base64.b64encode(b"\0" * before + raw).decode()
        packed.add(text[(0, 2, 3)[before] :].rstrip("=")[:-1])  # what does not depend on its neighbours
    return {form for form in {secret, *once, *(json.dumps(one)[1:-1] for one in once), *addresses, *packed} if form}


def found_in(secrets: Iterable[str], texts: Iterable[tuple[str, bytes]]) -> Iterator[str]:
    """Where a secret stands: the names of texts, and how it is written there (not the secret)."""
    wanted = {secret: [form.encode("utf-8", "surrogatepass") for form in forms(secret)] for secret in secrets}
    for name, text in texts:
        for secret, written in wanted.items():
            if any(form in text for form in written):
                yield f"{name} shows a secret that begins with {secret[:3]!r}"


def files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    """What the engine wrote below a folder: its own directories, dead letters, reports, logs."""
    for path in folder.rglob("*"):
        own = ".engine" in path.parts or "refused" in path.parts or any(word in path.name for word in OWN)
        if own and path.is_file() and not path.is_symlink() and path.stat().st_size <= LARGEST:
            try:
                yield str(path.relative_to(folder)), path.read_bytes()
            except OSError:
                continue  # a test took the right to read it away
