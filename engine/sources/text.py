"""Encodings: which one a file is in, and how its lines end in bytes."""

from __future__ import annotations

import codecs
from typing import NamedTuple

from engine.plugin import InvalidPipeline

BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark begins this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
UNMARKED = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
NOT_BY_LINE = {"utf-7", "unicode_escape", "raw_unicode_escape", "idna", "punycode", "undefined", "mbcs", "oem"}


class Encoding(NamedTuple):
    name: str
    mark: int  # bytes of the byte-order mark

    def encoded(self, text: str) -> bytes:
        return text.encode(self.name)

    def shown(self, data: bytes) -> str:
        """For people: the first 4 KiB, undecodable bytes replaced."""
        return data[:4096].decode(self.name, "replace")


def checked_encoding(name: str) -> str:
    """The canonical name; raises `InvalidPipeline` for what is no text encoding that can be read line by line."""
    try:
        known = codecs.lookup(name)
        "\n".encode(known.name)  # a codec from bytes to bytes refuses
    except (LookupError, TypeError, ValueError, UnicodeError) as error:
        raise InvalidPipeline(f"encoding: there is no text encoding {name!r}; usual ones: utf-8, cp1252") from error
    if known.name in NOT_BY_LINE:
        raise InvalidPipeline(f"encoding: {name!r} cannot be read line by line; usual ones: utf-8, cp1252")
    return known.name


def sniffed(head: bytes, declared: str) -> Encoding:
    """The encoding of a file that starts with `head`. A byte-order mark wins over what was declared."""
    for mark, name in BOMS:
        if head.startswith(mark):
            return Encoding(name, len(mark))
    return Encoding(UNMARKED.get(declared, declared), 0)
