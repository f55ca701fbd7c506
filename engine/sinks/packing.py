"""Compression of a finished file, as one stream."""

from __future__ import annotations

import bz2
import gzip
import lzma
from typing import Any, BinaryIO, cast

from engine.plugin import InvalidPipeline

SUFFIXES = {".gz": "gz", ".bz2": "bz2", ".xz": "xz", ".zst": "zst"}
PACKINGS = ("none", *SUFFIXES.values())


def packer(target: Any, packing: str) -> BinaryIO:
    """A file to write to, whose content arrives compressed in `target`. To be closed; `target` stays open."""
    if packing == "gz":
        return cast(BinaryIO, gzip.GzipFile("", "wb", 6, target, 0))  # no name, no time: equal input, equal output
    if packing == "bz2":
        return cast(BinaryIO, bz2.BZ2File(target, "wb"))
    if packing == "xz":
        return cast(BinaryIO, lzma.LZMAFile(target, "wb"))
    return cast(BinaryIO, zstandard().ZstdCompressor().stream_writer(target, closefd=False))


def zstandard() -> Any:
    """The library, or an error that says how to get it."""
    try:
        import zstandard as library
    except ImportError as error:
        raise InvalidPipeline("zst files need the library zstandard: pip install 'engine[zstd]'") from error
    return library
