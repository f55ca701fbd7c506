"""Durations, sizes and ratios: `30s` → 30.0 seconds, `4MB` → 4,000,000 bytes, `1%` → 0.01."""

from __future__ import annotations

import math
import re
from typing import Any

_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z%]*)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_BYTES = {"": 1, "B": 1} | {
    prefix + suffix: base**power
    for base, suffix in ((1000, "B"), (1024, "iB"))
    for power, prefix in enumerate("KMGT", start=1)
}
_BYTES["kB"] = 1000
_SHARES = {"%": 0.01, "": 1.0}

FORMS = {
    "duration": "write 500ms, 30s, 5m or 1h",
    "size": "write 512KB, 4MB or 1MiB",
    "ratio": "write 1% or 0.01",
}


def read_unit(unit: str, value: Any) -> float | int:
    """Seconds, bytes or a fraction; raises ValueError for a value of another form."""
    factor: float
    if isinstance(value, str):
        match = _QUANTITY.fullmatch(value.strip())
        table = {"duration": _SECONDS, "size": _BYTES, "ratio": _SHARES}[unit]
        if match is None or match[2] not in table:
            raise ValueError(FORMS[unit])
        number, factor = float(match[1]), table[match[2]]
    else:
        number, factor = float(value), 1.0
    amount = number * factor
    if not math.isfinite(amount) or amount < 0 or (unit == "ratio" and amount > 1):
        raise ValueError(FORMS[unit])
    if unit == "size":
        return int(value) if isinstance(value, int) else round(amount)
    return round(amount, 9)
