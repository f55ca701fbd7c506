"""What a campaign counts, and how a finished run is judged: by what the vendor has, was sent, and by the report."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from engine.runtime.deadletters import read_letters
from engine.runtime.state import State
from tests.crash.data import Data
from tests.crash.deadly import Sent

READ_WITHIN = 0.5  # seconds; a thread of a busy machine may be kept from an answer for a while


def finished(home: Path, before: int = 0) -> dict[str, Any] | None:
    """The report of a run that is over although its process was killed: the next start is another run.

    `before` runs were over before.
    """
    for name in ("crash", "crash#replay"):
        state = State(home / ".engine", name, looking=True)
        try:
            if not state.path.exists() or state.load()[0] is not None:
                return None
            reports = state.history()
        finally:
            state.close()
        before -= len(reports)
        if before < 0:
            return reports[0]
    return None


class End(NamedTuple):
    """The end of a life: how many requests had arrived, and when it was."""

    requests: int
    moment: float


@dataclass
class Outcome:
    kills: int = 0
    lives: int = 0
    runs: int = 0
    lost: int = 0
    repeated: int = 0  # payloads that were sent in more than one life though the first had been answered
    unexcused: int = 0  # of those: the answer had certainly been read before the kill
    worst_kill: int = 0  # most payloads that one kill made repeat
    doubled: int = 0  # events and purchases that the vendor has twice though they have ids
    doubled_plain: int = 0  # the same of those without ids: a kill may double what was in flight
    unknown: int = 0  # without ids, after a lost answer: a dead letter says that its fate is unknown
    misfiled: int = 0  # dead letters that should not be, or are missing
    stale: int = 0  # people who ended with what an earlier row said of them
    bad_sums: int = 0
    faults: int = 0  # that struck
    seconds: float = 0.0

    def add(self, other: Outcome) -> None:
        for one in fields(self):
            join = max if one.name == "worst_kill" else lambda a, b: a + b
            setattr(self, one.name, join(getattr(self, one.name), getattr(other, one.name)))


MUST_BE_ZERO = ("lost", "unexcused", "doubled", "misfiled", "stale", "bad_sums")


def judge(
    outcome: Outcome, data: Data, home: Path, vendor: dict[str, Any], report: dict[str, Any],
    log: list[Sent], ends: list[End], *, ids: bool = True,
) -> None:  # fmt: skip
    """Adds what became of one finished run to the outcome. `vendor` is what the vendor has."""
    in_doubt = _judge_letters(outcome, data, home)
    _judge_people(outcome, data, vendor["users"], in_doubt)
    events = Counter((one["dataFields"]["of"], one["dataFields"]["at"]) for one in vendor["events"])
    orders = Counter(one["dataFields"]["of"] for one in vendor["purchases"])
    missing = (data.visits - events).total() + (data.orders - orders).total()
    outcome.lost += max(0, missing - len(in_doubt))
    outcome.unknown += len(in_doubt)
    twice = (events - data.visits).total() + (orders - data.orders).total()
    outcome.doubled += twice if ids else 0
    outcome.doubled_plain += 0 if ids else twice
    _judge_sums(outcome, data, report, ids=ids)
    judge_repeats(outcome, log, ends)


def _judge_people(outcome: Outcome, data: Data, people: list[dict[str, Any]], in_doubt: list[str]) -> None:
    """One whom only an event would have made known may be in doubt with it."""
    have = {person["email"]: (person.get("dataFields") or {}).get("n") for person in people}
    outcome.lost += len(data.users - have.keys() - (set(in_doubt) - data.last.keys()))
    outcome.stale += sum(have[email] != n for email, n in data.last.items() if email in have)


def _judge_letters(outcome: Outcome, data: Data, home: Path) -> list[str]:
    """Whose payloads' fate is unknown, a letter says."""
    letters = list(read_letters(home / ".engine" / "dead" / "crash.jsonl"))
    found = {(x["mapping"] or x["source"], x["origin"]["line"]) for x in letters if x["code"] != "in-doubt"}
    in_doubt = [x for x in letters if x["code"] == "in-doubt"]
    excused = {(x["mapping"], x["origin"]["line"]) for x in in_doubt}
    outcome.misfiled += len(found - data.refused) + len(data.refused - found - excused)
    return [x["record"]["email"] for x in in_doubt]


def _judge_sums(outcome: Outcome, data: Data, report: dict[str, Any], *, ids: bool) -> None:
    source, bad = report["sources"]["customers"], 0
    bad += source["read"] != data.rows
    for m in report["mappings"].values():
        bad += m["payloads"] != m["delivered"] + m["dropped"] + m["rejected"] + m["unknown"]
        bad += source["read"] != m["records"] + source["malformed"]
    if ids:
        bad += report["mappings"]["visits"]["delivered"] != data.visits.total()
        bad += report["mappings"]["orders"]["delivered"] != data.orders.total()
    outcome.bad_sums += bad


def judge_repeats(outcome: Outcome, log: list[Sent], ends: list[End]) -> None:
    """A payload may be sent again only if the client cannot have read its answer before the kill."""
    last: dict[str, int] = {}
    per_kill: Counter[int] = Counter()
    limits = [end.requests for end in ends]
    latest = _latest_of_people(log, limits)
    for number, sent in enumerate(log):
        life = bisect_right(limits, number)
        for name in sent.names:
            before = last.get(name)
            if before is not None and log[before].answered and (then := bisect_right(limits, before)) != life:
                outcome.repeated += 1
                per_kill[then] += 1
                outcome.unexcused += _was_read(before, log, ends[then], latest[then])
            last[name] = number
    outcome.worst_kill = max([outcome.worst_kill, *per_kill.values()])


def _latest_of_people(log: list[Sent], limits: list[int]) -> list[dict[str, int]]:
    """For each life the last request with something of a person."""
    latest: list[dict[str, int]] = [{} for _ in limits]
    for number, sent in enumerate(log):
        latest[bisect_right(limits, number)].update(dict.fromkeys(sent.people, number))
    return latest


def _was_read(number: int, log: list[Sent], end: End, latest: dict[str, int]) -> bool:
    """Must the client have read the answer to this request?

    It must where something more of one of its people followed, for a lane waits for each answer; and where others
    followed and there was time enough.
    """
    sent = log[number]
    if any(latest[person] > number for person in sent.people):
        return True
    return number < end.requests - 8 and sent.answered is not None and end.moment - sent.answered > READ_WITHIN
