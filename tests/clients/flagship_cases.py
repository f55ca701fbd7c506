"""Visitors and bucketing files by chance, the same for the same seed: what two deciders are compared on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

TEXTS = ["FR", "DE", "us", "", "10", "9", "Zoé", "東京", "a b", "True", "1.0"]
NUMBERS = [0, 1, -1, 3, 9, 10, 2**53 + 1, 1.0, 1.5, 1e16, 1e-5, True, False]
OPERATORS = [
    "EQUALS", "NOT_EQUALS", "CONTAINS", "NOT_CONTAINS", "GREATER_THAN", "LOWER_THAN", "GREATER_THAN_OR_EQUALS",
    "LOWER_THAN_OR_EQUALS", "STARTS_WITH", "ENDS_WITH", "EXISTS", "equals",
]  # fmt: skip
KEYS = ["country", "orders", "vip", "score", "plan", "sdk_city", "absent"]
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-_@.éß東京Ж "
EVERYBODY = {"operator": "EQUALS", "key": "fs_all_users", "value": ""}


def value(chance: Random) -> Any:
    return chance.choice(chance.choice([TEXTS, NUMBERS]))


def rule(chance: Random) -> dict[str, Any]:
    target = [value(chance) for _ in range(chance.randint(0, 3))] if chance.random() < 0.2 else value(chance)
    return {"operator": chance.choice(OPERATORS), "key": chance.choice(KEYS), "value": target}


def context(chance: Random) -> dict[str, Any]:
    return {key: value(chance) for key in KEYS[:-1] if chance.random() < 0.8}


def visitors(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """`{v: id, x: context}`, as in the recordings."""
    chance = Random(seed)
    for number in range(count):
        name = "".join(chance.choices(ALPHABET, k=chance.randint(1, 24)))
        yield {"v": f"{number}{name}", "x": context(chance)}


def split(name: str, chance: Random) -> list[dict[str, Any]]:
    """Two or three variations; what is left of 100 gets none."""
    return [
        {"id": f"{name}-v{n}", "allocation": share, "reference": n == 0,
         "modifications": {"type": "JSON", "value": {f"flag-{name}": n}}}
        for n, share in enumerate(chance.choice([[50, 50], [30, 30, 30], [100], [0, 60], [12.5, 12.5, 75]]))
    ]  # fmt: skip


def targeting(chance: Random, rules: int) -> dict[str, Any]:
    """Some campaigns are for everybody, so that hashing decides; the others have this many rules, any or all of them."""
    if chance.random() < 0.3:
        return {"targetingGroups": [{"targetings": [EVERYBODY]}]}
    found = [rule(chance) for _ in range(rules)]
    together = chance.random() < 0.5
    return {"targetingGroups": [{"targetings": found}] if together else [{"targetings": [one]} for one in found]}


def file(seed: int, campaigns: int = 10, rules: int = 2) -> dict[str, Any]:
    chance = Random(seed)
    found = []
    for number in range(campaigns):
        groups = [
            {
                "id": f"c{number}-g{n}",
                "targeting": targeting(chance, rules),
                "variations": split(f"c{number}-g{n}", chance),
            }
            for n in range(chance.randint(1, 2))
        ]
        found.append({"id": f"c{number}", "type": "ab", "bucketRanges": [{"r": [0, 100]}], "variationGroups": groups})
    return {"panic": False, "campaigns": found}


def functions(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Texts to hash, and rules with contexts."""
    chance = Random(seed)
    for number in range(count):
        if number % 2:
            yield {"rule": rule(chance), "context": context(chance)}
        else:
            yield {"text": "".join(chance.choices(ALPHABET, k=chance.randint(0, 40)))}


def written(path: Path, rows: Iterator[Any]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return path
