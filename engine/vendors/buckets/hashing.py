"""The bucket number, and the hundred answers that a group's allocations give."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TypeVar

import mmh3

T = TypeVar("T")
BUCKETS = 100


murmur: Callable[[bytes], int] = mmh3.mmh3_32_uintdigest
"""MurmurHash3 x86 32 bit, seed 0, unsigned. Takes bytes: given a text with half a surrogate pair, mmh3 crashes."""


def utf8(text: str) -> bytes:
    """The bytes that are hashed; half a surrogate pair counts as its three."""
    return text.encode("utf-8", "surrogatepass")


def bucket(group_id: str, visitor_id: str) -> int:
    """0 to 99: where a visitor falls in a variation group."""
    return murmur(utf8(group_id + visitor_id)) % BUCKETS


def running_sums(allocations: Sequence[float]) -> list[float]:
    """Allocations added up from the left, as Python adds them."""
    sums: list[float] = []
    total: float = 0
    for allocation in allocations:
        total = _add(total, allocation)
        sums.append(total)
    return sums


def running_sums_single(allocations: Sequence[float]) -> list[float]:
    """The same in single precision, as the vendor's server adds them."""
    sums: list[float] = []
    total = 0.0
    for allocation in allocations:
        total = _single(_add(total, _single(allocation)))
        sums.append(total)
    return sums


def table(sums: Sequence[float], choices: Sequence[T], beyond: T) -> list[T]:
    """For each bucket the first choice whose running sum lies above it, else `beyond`."""
    return [
        next((choice for limit, choice in zip(sums, choices, strict=True) if number < limit), beyond)
        for number in range(BUCKETS)
    ]


def _add(left: float, right: float) -> float:
    try:
        return left + right
    except OverflowError:  # an integer beyond any float met a fraction: only its sign matters to a bucket
        return float("inf") if max(left, right, key=abs) > 0 else float("-inf")


def _single(number: float) -> float:
    try:
        single: float = struct.unpack("f", struct.pack("f", number))[0]
    except (OverflowError, struct.error):
        return float("inf") if number > 0 else float("-inf")
    return single
