"""Durations, sizes, ratios."""

import pytest

from engine.config.units import read_unit


@pytest.mark.parametrize(
    ("unit", "written", "value"),
    [
        ("duration", "500ms", 0.5), ("duration", "30s", 30.0), ("duration", "5m", 300.0), ("duration", "1h", 3600.0),
        ("duration", "1d", 86400.0), ("duration", "1.5 s", 1.5), ("duration", 30, 30.0), ("duration", "0s", 0.0),
        ("size", "4MB", 4_000_000), ("size", "1MiB", 1_048_576), ("size", "512KB", 512_000), ("size", "1kB", 1000),
        ("size", "10", 10), ("size", 10, 10), ("size", "1.5GiB", 1_610_612_736), ("size", "7 B", 7),
        ("ratio", "1%", 0.01), ("ratio", "0.5%", 0.005), ("ratio", 0.25, 0.25), ("ratio", "1", 1.0),
        ("ratio", "100%", 1.0),
    ],
)  # fmt: skip
def test_quantities(unit, written, value):
    found = read_unit(unit, written)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        ("duration", "5 minutes"), ("duration", "-5s"), ("duration", ""), ("duration", "s"), ("duration", "1e9s"),
        ("duration", -1), ("duration", "٣s"), ("size", "4 megs"), ("size", "4mb"), ("size", "-1"), ("ratio", "101%"),
        ("ratio", 1.5), ("ratio", "1%%"), ("duration", float("inf")), ("duration", "9" * 400 + "h"),
    ],
)  # fmt: skip
def test_what_is_none(unit, written):
    with pytest.raises((ValueError, OverflowError)):
        read_unit(unit, written)
