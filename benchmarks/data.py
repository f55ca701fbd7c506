"""The data of the jobs, the same bytes on every machine: made by a command, kept in `.bench/data`, never in git."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from benchmarks.measure import ROOT

DATA = ROOT / ".bench" / "data"
COLUMNS = "id,email,first_name,last_name,country,city,ltv,orders,tags,signed_up"
COUNTRIES = ("fr", "de", "us", "gb", "it", "es", "pl", "nl")
CITIES = ("Paris", "Berlin", "New York", "Leeds", "Torino", "Málaga", "Łódź", "Utrecht", "")
TAGS = ("vip", "kids", "sport", "garden", "books", "music", "travel", "food")
SYLLABLES = ("an", "bel", "cor", "da", "el", "fi", "gor", "ha", "is", "jo", "ka", "lu", "mé", "na", "or", "pe")


def made(name: str, rows: int, lines: Callable[[int], Iterator[str]]) -> Path:
    """`NAME-ROWS` in `.bench/data`, made where it is not there yet; half a file never stands under the name."""
    path = DATA / f"{rows}-{name}"
    if not path.exists():
        DATA.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        with part.open("w", encoding="utf-8", newline="") as file:
            file.writelines(lines(rows))
        part.replace(path)
    return path


def people(rows: int) -> Path:
    """J1, J3 and J4: CSV of ten columns, about 90 bytes a row; every fiftieth row is quoted."""
    return made("people.csv", rows, lambda count: _people(count, 0))


def people_with_bad(rows: int) -> Path:
    """The same, but in every hundredth row `ltv` is no number."""
    return made("people-bad.csv", rows, lambda count: _people(count, 100))


def orders(rows: int) -> Path:
    """J2: nested JSON lines of about 544 bytes; a tenth is cancelled."""
    return made("orders.jsonl", rows, _orders)


def _people(rows: int, bad: int) -> Iterator[str]:
    chance = Random(7)
    yield COLUMNS + "\n"
    for n in range(rows):
        first, last = _word(chance, 2), _word(chance, 3).upper()
        cells = (
            str(1_000_000 + n),
            f"{first.capitalize()}.{n}@Shop.Example",
            first,
            f'"{last}, JR"' if n % 50 == 49 else last,
            chance.choice(COUNTRIES),
            chance.choice(CITIES),
            "n/a" if bad and n % bad == bad - 1 else f"{chance.randrange(100_000) / 100}",
            str(chance.randrange(40)),
            ";".join(chance.sample(TAGS, 2)),
            f"20{10 + chance.randrange(16)}-{1 + chance.randrange(12):02d}-{1 + chance.randrange(28):02d}",
        )
        yield ",".join(cells) + "\n"


def _orders(rows: int) -> Iterator[str]:
    chance = Random(11)
    for n in range(rows):
        items = ", ".join(_item(chance) for _ in range(1 + n % 4))
        first, last = _word(chance, 2).capitalize(), _word(chance, 3).capitalize()
        yield (
            f'{{"order_id": "o-{n:08d}", "status": "{"cancelled" if n % 10 == 3 else "paid"}", "currency": "EUR", '
            f'"created_at": "2024-0{1 + n % 9}-17T10:20:30Z", "customer": {{"id": {1_000_000 + n}, '
            f'"email": "{first}.{n}@Shop.Example", "first_name": "{first}", "last_name": "{last}", '
            f'"country": "{chance.choice(COUNTRIES)}"}}, "items": [{items}], '
            f'"shipping": {{"method": "parcel", "cost": {chance.randrange(2000) / 100}, "weight_g": {n % 5000}}}, '
            f'"channel": "web", "note": "{"n" * chance.randrange(40)}"}}\n'
        )


def _item(chance: Random) -> str:
    return (
        f'{{"sku": "K-{chance.randrange(10**5):05d}", "title": "{_word(chance, 3)}", '
        f'"price": {chance.randrange(100, 20_000) / 100}, "qty": {1 + chance.randrange(4)}}}'
    )


def _word(chance: Random, syllables: int) -> str:
    return "".join(chance.choices(SYLLABLES, k=syllables))
