"""Targets in object stores, written whole at the end through smart_open."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.plugin import EngineError, Halt, InvalidPipeline
from engine.sinks.packing import packer

PART = 16 * 1024 * 1024  # bytes of a part of an upload, which are held in memory
MOST_PARTS = 9_000  # S3 takes 10 000, of a size that has to be chosen beforehand
UNIT = 256 * 1024  # what gs wants parts to be multiples of
STORES = {"s3": "s3", "s3a": "s3", "s3n": "s3", "gs": "gcs", "gcs": "gcs", "azure": "azure"}  # scheme → extra


def is_remote(path: str) -> bool:
    return "://" in path


def check_target(path: str) -> None:
    """Refuses what can be seen to be wrong in the text of a path or address."""
    if not path or path.endswith("/") or "\0" in path:
        raise InvalidPipeline(f"path: {path!r} does not name a file")
    if path == "-":
        raise InvalidPipeline("path: use a sink of type stdout to write to standard output")
    if path.startswith("~"):
        raise InvalidPipeline(f"path: ~ is not expanded in {path!r}; write the whole path, or ${{HOME}}/…")
    if is_remote(path):
        _check_address(path)


def _check_address(address: str) -> None:
    scheme = _scheme(address)
    if scheme not in STORES:
        near = difflib.get_close_matches(scheme, STORES, 1, 0.5)
        hint = f"did you mean {near[0]}://?" if near else f"these can: {', '.join(STORES)}"
        raise InvalidPipeline(f"path: {scheme}:// cannot take a file whole or not at all; {hint}")
    try:
        credentials = urlsplit(address).password is not None or urlsplit(address).username is not None
    except ValueError as error:
        raise InvalidPipeline(f"path: this {scheme} address cannot be read: {error}") from error
    if credentials:
        raise InvalidPipeline("path: credentials do not belong into an address; use the environment")


def upload(part: Path, address: str, packing: str) -> None:
    """Copies `part` to `address`, compressed. On any failure the `with` aborts, so that no object appears."""
    store = _store(address)
    try:
        params = transport(address, part.stat().st_size)
        with (
            part.open("rb") as source,
            store(address, "wb", compression="disable", transport_params=params) as target,
        ):
            if packing == "none":
                shutil.copyfileobj(source, target, 256 * 1024)
            else:
                with packer(target, packing) as packed:
                    shutil.copyfileobj(source, packed, 256 * 1024)
    except EngineError:
        raise
    except Exception as error:  # each store has its own family of errors
        raise Halt(f"{address} cannot be written: {type(error).__name__}", where=address, code="upload") from error


def transport(address: str, size: int) -> dict[str, Any]:
    """Parts so large that a file of `size` bytes fits into them; a small file goes at once."""
    least = max(PART, (size // MOST_PARTS // UNIT + 1) * UNIT)
    single = {"multipart_upload": False} if size < PART and STORES[_scheme(address)] == "s3" else {}
    return {"min_part_size": least, **single}


def _scheme(address: str) -> str:
    return address.partition("://")[0].lower()


def _store(address: str) -> Any:
    """smart_open's `open`, or an error that names the extra which a scheme needs."""
    import smart_open

    scheme = _scheme(address)
    try:
        smart_open.transport.get_transport(scheme)
    except (ImportError, NotImplementedError) as error:
        raise InvalidPipeline(
            f"path: {scheme}:// needs more libraries: pip install 'engine[{STORES[scheme]}]'"
        ) from error
    return smart_open.open
