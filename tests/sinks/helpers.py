"""Small words in which the tests of the sinks are written."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from engine.model import Payloads
from engine.sinks.file import FileSink


def _unzst(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


UNPACK = {"none": bytes, "gz": gzip.decompress, "bz2": bz2.decompress, "xz": lzma.decompress, "zst": _unzst}


def payloads(*values: Any) -> Payloads:
    return Payloads([msgspec.Raw(msgspec.json.encode(value)) for value in values])


def written(folder: Path, name: str, batches: list[list[Any]], **settings: Any) -> bytes:
    """What straight writing gives, as it lies under the final name."""
    sink = FileSink(path=name, base=str(folder), **settings)
    sink.open(None)
    for batch in batches:
        sink.write(payloads(*batch))
    sink.sync()
    sink.finish()
    sink.close()
    return (folder / name).read_bytes()
