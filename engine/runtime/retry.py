"""How long to wait before the same request goes out again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import Random

from engine.config.pipeline import Retry

RETRY_AFTER_CAP = 300.0  # seconds; a vendor that asks for more is down for this run
LEAST, LEAST_MAX = 0.1, 1.0  # seconds: what `initial` and `max` are at least, for a wait of nothing is hammering


def backoff(retry: Retry, attempt: int, chance: Random) -> float:
    """Seconds before attempt number `attempt` + 1 (counted from 1): exponential, with full jitter."""
    return chance.uniform(0.0, _ceiling(retry, attempt))


def probe_wait(retry: Retry, attempt: int, chance: Random) -> float:
    """The same for who asks on behalf of many: never less than half, so that the number of questions is bounded."""
    ceiling = max(_ceiling(retry, attempt), LEAST_MAX)
    return chance.uniform(ceiling / 2, ceiling)


def least_wait(retry: Retry) -> float:
    """A shorter wait than this, whoever asks for it, is none."""
    return max(retry.initial, LEAST)


def _ceiling(retry: Retry, attempt: int) -> float:
    return min(max(retry.max, LEAST_MAX), least_wait(retry) * retry.multiplier ** min(attempt - 1, 64))


def retry_after(headers: Mapping[str, str], wall: float) -> float | None:
    """Seconds that the answer's Retry-After asks for; None where it says nothing that can be read.

    A date is judged against the answer's own Date, since clocks differ; `wall` (epoch seconds) stands in for it.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:12])
    moment = _epoch(value)
    if moment is None:
        return None
    sent = _epoch(headers.get("date", ""))
    return max(0.0, moment - (wall if sent is None else sent))


def _epoch(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
