"""A schedule: everything that a simulation does, drawn from a number or read from one line, and its shorter forms."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from email.utils import formatdate
from random import Random
from typing import Any

from tests.simulation.network import START
from tests.simulation.points import MOMENTS, REFUSALS, Death, Refusal
from tests.simulation.shop import KINDS, SHAPES, UNREPEATABLE, Row

LATE = formatdate(START + 1, usegmt=True)


@dataclass(frozen=True)
class Life:
    """What befalls one start of the pipeline. `interrupt`: a signal after so many requests were processed."""

    death: Death | None = None
    refusal: Refusal | None = None
    interrupt: int | None = None
    jump: tuple[int, float] | None = None  # after so many processed requests the wall clock moves by seconds


@dataclass(frozen=True)
class Schedule:
    """`chance` is the seed of everything that is not said here: delays, sizes of micro-batches, jitter."""

    chance: int
    shape: str
    rows: tuple[Row, ...]
    lanes: int = 2
    batch: int = 3
    order: str = "per_key"
    parts: int = 1
    block: int = 4
    paced: bool = False
    later: tuple[Row, ...] | None = None  # rows that are there when the first run is over: `mode: append`
    faults: tuple[dict[str, Any], ...] = ()
    lives: tuple[Life, ...] = ()

    def line(self) -> str:
        """One line from which `read` makes it again."""
        said = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        said["lives"] = [{k: v for k, v in asdict(life).items() if v is not None} for life in self.lives]
        return json.dumps(said, separators=(",", ":"))

    @classmethod
    def read(cls, line: str) -> Schedule:
        """From `line`, or drawn from a number."""
        said = json.loads(line)
        if isinstance(said, int):
            return cls.drawn(said)
        said["rows"] = tuple(Row(*row) for row in said["rows"])
        if said.get("later") is not None:
            said["later"] = tuple(Row(*row) for row in said["later"])
        said["faults"] = tuple(said.get("faults", ()))
        said["lives"] = tuple(_life(one) for one in said.get("lives", ()))
        return cls(**said)

    @classmethod
    def drawn(cls, seed: int) -> Schedule:
        """The schedule of a seed."""
        chance = Random(seed)
        shape = chance.choice(tuple(SHAPES))
        rows = _rows(chance, _small(chance, 22))
        lives = tuple(_draw_life(chance) for _ in range(chance.choice((0, 1, 1, 1, 2, 3))))
        uploads = shape in ("upload", "some inline, rest uploaded")
        return cls(
            chance=seed, shape=shape, rows=rows, lanes=chance.choice((1, 2, 3, 4)), batch=chance.choice((1, 2, 3, 5, 20)),
            order=chance.choice(("per_key", "per_key", "strict", "none")), parts=chance.choice((1, 1, 2)),
            block=chance.choice((1, 3, 8)), paced=chance.random() < 0.15,
            later=_rows(chance, _small(chance, 6)) if chance.random() < 0.15 and not uploads and "file" not in shape else None,
            faults=tuple(_fault(chance, shape) for _ in range(chance.choice((0, 1, 1, 2, 2, 3)))), lives=lives,
        )  # fmt: skip

    def shorter(self) -> Iterator[Schedule]:
        """Schedules with less in them, the boldest first."""
        for name in ("faults", "lives"):
            many = getattr(self, name)
            for at in range(len(many)):
                yield replace(self, **{name: many[:at] + many[at + 1 :]})
        if self.later is not None:
            yield replace(self, later=None)
        yield from self._with_fewer_rows("rows")
        for at, life in enumerate(self.lives):
            for part in ("death", "refusal", "interrupt", "jump"):
                if getattr(life, part) is not None:
                    less = replace(life, **{part: None})
                    yield replace(self, lives=(*self.lives[:at], less, *self.lives[at + 1 :]))
        for name, least in (("lanes", 1), ("parts", 1), ("paced", False), ("batch", 1), ("block", 1)):
            if getattr(self, name) != least:
                yield replace(self, **{name: least})
        for at, row in enumerate(self.rows):
            for plain in (Row(row.key), Row(row.key, row.kind, min(row.things, 1))):
                if plain != row:
                    yield replace(self, rows=(*self.rows[:at], plain, *self.rows[at + 1 :]))

    def _with_fewer_rows(self, name: str) -> Iterator[Schedule]:
        rows = getattr(self, name)
        size = len(rows) // 2
        while size:
            for at in range(0, len(rows), size):
                yield replace(self, **{name: rows[:at] + rows[at + size :]})
            size //= 2


def _life(said: dict[str, Any]) -> Life:
    death, refusal, jump = said.get("death"), said.get("refusal"), said.get("jump")
    return Life(
        Death(**death) if death else None, Refusal(**refusal) if refusal else None, said.get("interrupt"),
        tuple(jump) if jump else None,
    )  # fmt: skip


def _small(chance: Random, most: int) -> int:
    return min(chance.randint(1, most), chance.randint(1, most))


def _rows(chance: Random, count: int) -> tuple[Row, ...]:
    keys = chance.choice((1, 2, 4, 12))
    odd = chance.choice((0.0, 0.1, 0.4))
    return tuple(
        Row(
            chance.randrange(keys),
            chance.choice(KINDS) if chance.random() < odd else "ok",
            chance.choice((0, 1, 1, 2, 3)),
        )
        for _ in range(count)
    )


def _nth(chance: Random, most: int = 8) -> int:
    """Small numbers are likelier."""
    return min(chance.randint(1, most), chance.randint(1, most))


def _draw_life(chance: Random) -> Life:
    what = chance.random()
    death = refusal = interrupt = None
    if what < 0.62:
        death = Death(chance.choice(MOMENTS), _nth(chance), chance.random() < 0.35)
    elif what < 0.82:
        refusal = Refusal(chance.choice(tuple(REFUSALS)), _nth(chance, 4), chance.random() < 0.4)
    elif what < 0.95:
        interrupt = _nth(chance)
    jump = (_nth(chance), chance.choice((-1, 1)) * 172_800.0) if chance.random() < 0.1 else None
    return Life(death, refusal, interrupt, jump)


DEEDS: tuple[dict[str, Any], ...] = (
    {"status": 503}, {"status": 503, "retry_after": 3}, {"status": 500, "after": True}, {"status": 502, "html": True},
    {"status": 429}, {"status": 429, "retry_after": 2}, {"status": 429, "retry_after": "soon"},
    {"status": 429, "retry_after": LATE, "headers": {"date": formatdate(START, usegmt=True)}},
    {"status": 429, "retry_after": LATE}, {"status": 503, "retry_after": 4000}, {"status": 408},
    {"reset": "before"}, {"reset": "after"}, {"delay": 0.3}, {"delay": 60}, {"drip": 1.5}, {"drip": 60},
    {"cut": 5}, {"empty": True}, {"html": True}, {"invalid_json": True},
    {"status": 401}, {"status": 403}, {"status": 404}, {"redirect": "https://trap.test/"},
    {"status": 413}, {"anonymous": True},
)  # fmt: skip


def name_of(fault: dict[str, Any]) -> str:
    """What a fault does, in short."""
    words = [f"{k} {'a date' if v == LATE else v}" for k, v in fault.items() if k not in ("nth", "headers")]
    return ", ".join(words).replace(" True", "")


def _fault(chance: Random, shape: str) -> dict[str, Any]:
    deed = chance.choice(DEEDS)
    if deed.get("after") and shape in UNREPEATABLE:
        deed = {"reset": "after"}  # a status of 5xx is taken for a refusal, and the request goes again
    first = _nth(chance, 6)
    again = {"status": (1, 1, 2, 5, 14)}.get(next(iter(deed)), (1, 1, 2, 3))
    halts = deed.get("status") in (401, 403, 404) or "redirect" in deed
    times = 1 if halts else chance.choice(again)
    step = chance.choice((1, 1, 2, 3))
    return {"nth": [first + step * at for at in range(times)], **deed}
