"""What happened in a simulation, seen from outside, and what of it must never happen."""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from engine.errors import EngineError
from engine.model import Response, WireRequest
from engine.runtime.counts import broken_sums
from engine.runtime.ledger import SavedTrack
from tests.simulation.shop import DROPPED, FAILED, FILTERED, LETTER, SENT, UNREPEATABLE, Data, mappings_of
from tests.simulation.vendors import Name, names_in

UNKNOWN = ("in-doubt", "which-one", "unnamed", "uncounted")  # codes of letters of payloads whose fate nobody knows


class Finding(NamedTuple):
    """A breach. `kind` is one of `KINDS`."""

    kind: str
    text: str


KINDS = {
    "lost": "a row reached nobody and is in no dead letter",
    "early": "the checkpoint passed a row before it was accounted for",
    "order": "a key's payloads took effect in another order",
    "resent": "a payload was sent again although its answer was read and committed",
    "doubled": "an event or a purchase is there twice, or was sent again though that could double it",
    "misfiled": "a dead letter of what was not refused, or of what was delivered",
    "sums": "the report does not add up",
    "hasty": "a request went out before the time that the vendor asked to wait",
    "burst": "more payloads were under way than lanes times batch",
    "stuck": "the run did not end",
    "broken": "the engine raised what it should not",
}


class Sent(NamedTuple):
    names: list[Name]
    pace: str  # what has a pace of its own


class Witness:
    """Sees requests, answers, effects, commits and letters over all lives of one pipeline."""

    def __init__(self, data: Data, clock: Any, order: str, most_in_flight: int) -> None:
        self.data, self._clock, self._order, self._most = data, clock, order, most_in_flight
        self.mappings = mappings_of(data.shape)
        self.findings: list[Finding] = []
        self.effects: list[tuple[Name, Any]] = []
        self.effective: dict[Name, set[Any]] = defaultdict(set)
        self.letters: set[str] = set()  # ids of those that are on disk for good
        self.requests = self.repeated = 0  # repeated: sent again as it may be
        self.spoilt: dict[int, bool] = {}
        self._acknowledged: dict[Name, int | None] = {}  # → the commit that has it; None: not yet committed
        self._under_way: Counter[Name] = Counter()
        self._here: set[Name] = set()  # sent in this life
        self._done_here: set[Name] = set()  # took effect in this life
        self._commits = 0
        self._accounted: set[tuple[str, int]] = set()
        self._not_before: dict[str, tuple[float, float]] = {}  # when it was said, and until when to wait
        self._said: tuple[Any, list[SavedTrack]] | None = None

    def find(self, kind: str, text: str) -> None:
        self.findings.append(Finding(kind, text))

    # --- the network ------------------------------------------------------------------------------------------

    def effect(self, name: Name, vendors_id: Any) -> None:
        self.effects.append((name, vendors_id))
        self.effective[name].add(vendors_id)
        self._done_here.add(name)

    def sent(self, request: WireRequest) -> Sent:
        names, path = names_in(request), request.url.partition("?")[0]
        self.requests += 1
        pace = names[0].mapping if names else path
        read, until = self._not_before.get(pace, (0.0, 0.0))
        if read < self._clock.now() < until - 1e-6:  # what came in at this moment may not have been looked at
            self.find("hasty", f"{pace} at {self._clock.now():.3f}, before {until:.3f}")
        for name in names:
            if name in self._acknowledged:
                self.find("resent", f"{name} was acknowledged")
            elif name in self.effective:
                self.repeated += 1
                if self.data.shape in UNREPEATABLE and name in self._done_here:
                    self.find("doubled", f"{name} may have been processed, and went again without an id")
            self._under_way[name] += 1
        self._here.update(names)
        return Sent(names, pace)

    def read(self, sent: Sent, answer: Response | EngineError, faithful: bool) -> None:
        """The engine reads an answer. `faithful`: it is what the vendor said."""
        self._under_way.subtract(sent.names)
        if not isinstance(answer, Response):
            return
        after = answer.headers.get("retry-after", "")
        if answer.status == 429 and after.isdigit():
            now = self._clock.now()
            self._not_before[sent.pace] = (now, now + int(after))
        if 200 <= answer.status < 300 and faithful and sent.names and _all_taken(answer):
            self._acknowledged.update(dict.fromkeys(sent.names))

    def settled(self, items: Any) -> None:
        """The engine believes that these were delivered."""
        for item in items:
            rows = item.ticket.rows
            n = self.data.files[rows.file][rows.start.row + item.row]
            self._acknowledged.setdefault(Name(item.ticket.mapping, n, item.element))

    # --- the disk -----------------------------------------------------------------------------------------------

    def committing(self, said: tuple[Any, list[SavedTrack]] | None) -> None:
        """The engine is about to commit this; None: it has tried."""
        self._said = said

    def committed(self, commit: int) -> None:
        """Something is durable, the `commit`-th of this life: a checkpoint, if the engine is at one."""
        if self._said is None:
            return
        head, tracks = self._said
        for name, known in self._acknowledged.items():
            if known is None:
                self._acknowledged[name] = commit
        for text in broken_sums(head.counts, head.mappings):
            self.find("sums", f"at a commit: {text}")
        for track in tracks:
            self._account(track)

    def synced(self, content: bytes) -> None:
        self.letters = {letter["id"] for letter in _letters(content)}

    def _account(self, track: SavedTrack) -> None:
        """What the checkpoint calls settled must be somewhere."""
        numbers = self.data.files[track.file]
        for mapping in self.mappings:
            flags = zlib.decompress(track.flags[mapping]) if mapping in track.flags else b""
            done = track.elements.get(mapping, {})
            for row in range(track.high.row):
                place = (mapping, numbers[row])
                if place in self._accounted:
                    continue
                if row < track.head.row or (flags and flags[row - track.head.row]):
                    self._accounted.add(place)
                    self._is_somewhere(mapping, numbers[row], None)
                elif row in done:
                    self._is_somewhere(mapping, numbers[row], done[row])

    def _is_somewhere(self, mapping: str, n: int, elements: list[int] | None) -> None:
        data = self.data
        fate, ids = data.fate(mapping, n), data.letters(mapping, n)
        if fate in (LETTER, FAILED):
            some = ids if elements is None or len(ids) == 1 else [ids[element] for element in elements]
            if not self.letters.issuperset(some):
                self.find("early", f"{mapping} of row {n} ({data.rows[n].kind}) is settled without a letter on disk")
        elif fate == SENT and mapping not in ("lines",):
            for element in data.elements(mapping, n) if elements is None else elements:
                known = Name(mapping, n, element) in self.effective or ids[element] in self.letters
                if not known and "upload" not in data.shape:
                    self.find("early", f"{mapping} of row {n}, element {element}, is settled, and nobody has it")

    # --- lives ----------------------------------------------------------------------------------------------------

    def life_begins(self) -> None:
        self._here.clear()
        self._done_here.clear()
        self._not_before.clear()
        self._under_way.clear()
        self._said = None

    def died(self) -> None:
        waiting = {name for name, commit in self._acknowledged.items() if commit is None and name in self._here}
        under_way = {name for name, times in self._under_way.items() if times > 0}
        if len(waiting | under_way) > self._most:
            self.find(
                "burst", f"a kill makes {len(waiting | under_way)} payloads go again; {self._most} are the most"
            )

    def life_is_over(self, *, excused: bool, survived: int | None) -> None:
        """`excused`: it died, or its disk refused. `survived`: the last commit that a power cut left."""
        for name, commit in list(self._acknowledged.items()):
            if (commit is None and excused) or (survived is not None and commit is not None and commit > survived):
                del self._acknowledged[name]
            elif commit is not None:
                self._acknowledged[name] = 0

    # --- the end ----------------------------------------------------------------------------------------------------

    def judge(self, numbers: range, content: bytes, lines: list[int] | None) -> None:
        """Everything is done: what became of the rows. `lines` is what the file sink wrote."""
        letters = {}
        for letter in _letters(content):
            letters[letter["id"]] = letter
        expected: set[str] = set()
        for n in numbers:
            for mapping in self.mappings:
                self._judge_row(mapping, n, letters, expected)
        of_others = {i for n in range(len(self.data.rows)) if n not in numbers for m in self.mappings
                     for i in self.data.letters(m, n)} if len(numbers) < len(self.data.rows) else set()  # fmt: skip
        for strange in letters.keys() - expected - of_others:
            self.find("misfiled", f"a letter that nobody expects: {letters[strange]['reason']}")
        if "lines" in self.mappings:
            wanted = [n for n in range(len(self.data.rows)) if self.data.fate("lines", n) == SENT]
            if lines != wanted:
                self.find(
                    "lost" if set(wanted) - set(lines or ()) else "order", f"the file holds {lines}, not {wanted}"
                )
        self._judge_order()
        self._judge_doubles()

    def _judge_row(self, mapping: str, n: int, letters: dict[str, Any], expected: set[str]) -> None:
        data = self.data
        fate, ids = data.fate(mapping, n), data.letters(mapping, n)
        if fate in (LETTER, FAILED):
            expected.update(ids)
            for missing in (one for one in ids if one not in letters):
                self.find("lost", f"{mapping} of row {n} ({data.rows[n].kind}): no letter {missing}")
        for element in data.elements(mapping, n):
            name = Name(mapping, n, element)
            there = name in self.effective
            if fate != SENT and there:
                self.find("misfiled", f"{name} took effect, and should be {fate}")
            letter = letters.get(ids[element]) if len(ids) > element else None
            if letter is not None and letter["code"] in UNKNOWN and data.shape in UNREPEATABLE:
                expected.add(ids[element])
            elif fate == SENT and mapping != "lines":
                if not there and letter is None:
                    self.find("lost", f"{name} is nowhere")
                elif letter is not None:
                    self.find("misfiled", f"{name} is a dead letter: {letter['reason']}")
                    expected.add(ids[element])

    def _judge_order(self) -> None:
        if self._order == "none":
            return
        rank = {name: at for at, name in enumerate(self.mappings)}
        last: dict[Any, tuple[int, int, int]] = {}
        final: dict[Any, tuple[int, int, int]] = {}
        seen: set[Name] = set()
        for name, _ in self.effects:
            if name.mapping == "models":
                continue  # without keys of its own it is told apart by the record
            key = (self.data.key(name.n), "" if self._order == "strict" else name.mapping)
            place = (name.n, rank[name.mapping], name.element)
            if name not in seen and place < last.get(key, (-1, 0, 0)):
                self.find("order", f"{name} after {last[key]} for {key[0]}")
            last[key] = max(place, last.get(key, place)) if name not in seen else last[key]
            seen.add(name)
            final[key] = place
        for key, place in final.items():
            if place != last[key]:
                self.find("order", f"the last that took effect for {key[0]} is {place}, not {last[key]}")

    def _judge_doubles(self) -> None:
        if self.data.shape in UNREPEATABLE:
            return
        for name, ids in self.effective.items():
            if len(ids) > 1:
                self.find("doubled", f"{name} is there as {sorted(map(str, ids))}")

    def judge_report(self, report: dict[str, Any], numbers: range) -> None:
        """The numbers of a run that came to its end."""
        data, source = self.data, report["sources"]["customers"]
        malformed = sum(data.rows[n].kind == "malformed" for n in numbers)
        self._same("read", source["read"], len(numbers))
        self._same("malformed", source["malformed"], malformed)
        good = [n for n in numbers if data.rows[n].kind != "malformed"]
        for mapping in self.mappings:
            found = report["mappings"][mapping]
            fates = Counter(data.fate(mapping, n) for n in good)
            payloads: Counter[str] = Counter()
            for n in good:
                payloads[data.fate(mapping, n)] += len(data.elements(mapping, n))
            self._same(f"{mapping}.records", found["records"], len(good))
            self._same(f"{mapping}.filtered", found["filtered"], fates[FILTERED])
            self._same(f"{mapping}.failed", found["failed"], fates[FAILED])
            self._same(
                f"{mapping}.payloads", found["payloads"], payloads[DROPPED] + payloads[LETTER] + payloads[SENT]
            )
            if found["unknown"] and data.shape in UNREPEATABLE:
                continue  # whose fate is unknown may have been refused as well
            self._same(f"{mapping}.dropped", found["dropped"], payloads[DROPPED])
            self._same(f"{mapping}.rejected", found["rejected"], payloads[LETTER])
            self._same(f"{mapping}.delivered", found["delivered"], payloads[SENT])

    def _same(self, what: str, found: int, wanted: int) -> None:
        if found != wanted:
            self.find("sums", f"{what} is {found}, not {wanted}")


def _all_taken(answer: Response) -> bool:
    """Does a faithful answer of success say that every payload was stored?"""
    if not answer.body:
        return True
    said = msgspec.json.decode(answer.body)
    return not isinstance(said, dict) or not said.get("failCount")


def _letters(content: bytes) -> list[dict[str, Any]]:
    """The letters of a file; what is none helps nobody."""
    found = []
    for line in content.split(b"\n")[:-1]:
        with suppress(msgspec.DecodeError):
            found.append(msgspec.json.decode(line))
    return found
