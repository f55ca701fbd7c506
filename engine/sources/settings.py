"""Settings of the file source: what they may be, and how a wrong one is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.plugin import InvalidPipeline
from engine.sources.delimited import checked_names

RAGGED = ("error", "pad", "truncate")


def one_of(setting: str, value: str, choices: Sequence[str]) -> str:
    if value not in choices:
        raise InvalidPipeline(f"{setting}: {value!r} is none of {', '.join(choices)}")
    return value


def at_least(setting: str, value: int, least: int) -> int:
    if not isinstance(value, int) or value < least:
        raise InvalidPipeline(f"{setting}: {value!r} is not a whole number of at least {least}")
    return value


def character(setting: str, value: str | None) -> str | None:
    if value is not None and (len(value) != 1 or value in "\r\n\0"):
        raise InvalidPipeline(f"{setting}: {value!r} is not one character")
    return value


def header_of(header: bool | Sequence[str] | None) -> bool | tuple[str, ...] | None:
    if isinstance(header, str):
        raise InvalidPipeline(f"header: {header!r} is not a list of names, nor false")
    return header if header is None or isinstance(header, bool) else checked_names(header, "header")


def ragged_of(ragged: str | Mapping[str, str]) -> tuple[str, str | None]:
    if isinstance(ragged, Mapping):
        extra = ragged.get("extra")
        if set(ragged) != {"extra"} or not isinstance(extra, str) or not extra:
            raise InvalidPipeline("ragged: write error, pad, truncate or {extra: a column for surplus cells}")
        return "extra", extra
    return one_of("ragged", ragged, RAGGED), None


def delimiter_of(delimiter: str | None, quote: str | None, escape: str | None) -> str | None:
    """Of any length, but of nothing that means something else."""
    if delimiter is not None and (not delimiter or set(delimiter) & set(f"\r\n\0{quote or ''}{escape or ''}")):
        raise InvalidPipeline(
            f"delimiter: {delimiter!r} cannot separate cells: it is empty, or holds a quote, an escape or a line end"
        )
    return delimiter


def timeouts(timeout: Mapping[str, float] | None) -> tuple[float, float]:
    """Seconds to connect, and between two reads."""
    said = {"connect": 10.0, "read": 60.0, **(timeout or {})}
    if set(said) != {"connect", "read"} or any(not value > 0 for value in said.values()):
        raise InvalidPipeline("timeout: write {connect: 10s, read: 60s}, both more than nothing")
    return said["connect"], said["read"]
