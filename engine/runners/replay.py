"""Sends dead letters again, with the present mapping: each once, in the order of their files, with the ids of the
first time.

What was delivered is entered in the state when the run is over, so that a second replay sends it no more; a replay
that was cut off goes on where it stood. What is refused again is a dead letter again, under the same id.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from engine.config.pipeline import Pipeline, SourceSpec
from engine.errors import EngineError, Refused
from engine.plugin import Vendor
from engine.registry import Registry
from engine.runners.letters import Entry, LetterSource, OnlyLetters, entries_of, is_redacted
from engine.runners.local import Options, Outcome, run_pipeline
from engine.runtime.clock import iso
from engine.runtime.deadletters import letter_id, read_letters
from engine.runtime.plan import make
from engine.runtime.state import State
from engine.runtime.work import Work

ASIDE = "#replay"  # no pipeline's name can hold it
RAW = 4096  # a row that could not be read is kept up to here
Letter = Mapping[str, Any]


@dataclass
class Replay:
    """What came of it. `left` says why letters were not sent; `outcome` is None where there was nothing to send."""

    chosen: int = 0
    left: Counter[str] = field(default_factory=Counter)
    outcome: Outcome | None = None
    delivered: int = 0  # letters that are settled now
    again: int = 0  # letters that were refused again


def replay(pipeline: Pipeline, registry: Registry, options: Options, ids: Sequence[str] = ()) -> Replay:
    """Sends the letters again, or those whose ids begin with one of `ids`; with `options.dry` it only shows them."""
    state, aside = State(pipeline.state, pipeline.name), State(pipeline.state, pipeline.name + ASIDE)
    try:
        if options.dry:
            return _replay(pipeline, registry, options, aside, ids)
        with state.lock({"command": "dead replay", "since": iso(options.clock.time())}):
            return _replay(pipeline, registry, options, aside, ids)
    finally:
        state.close()
        aside.close()


def _replay(pipeline: Pipeline, registry: Registry, options: Options, aside: State, ids: Sequence[str]) -> Replay:
    path = pipeline.dead_letters.path
    letters = list(read_letters(path)) if path.exists() else []
    journal = Journal(aside, pipeline.name)
    if not options.dry:
        journal.close_finished(letters)
    found = Replay()
    chosen = _chosen(pipeline, registry, letters, journal, ids, found)
    found.chosen = len(chosen)
    if not chosen:
        return found
    if not options.dry:
        journal.begin(chosen)
    found.outcome = _run(pipeline, registry, options, chosen, found)
    if not options.dry and found.outcome.report["status"] in ("succeeded", "partial"):
        found.delivered, found.again = journal.close_finished(list(read_letters(path)))
    return found


def still_open(pipeline: Pipeline, letters: Iterable[Letter]) -> tuple[list[Letter], set[str]]:
    """The letters that no replay has delivered, and the ids of the replays there were."""
    aside = State(pipeline.state, pipeline.name + ASIDE)
    if not aside.path.exists():
        return list(letters), set()
    try:
        journal = Journal(aside, pipeline.name)
        replays = {str(report["run_id"]) for report in aside.history(1000)}
        return [letter for letter in letters if not journal.is_done(letter)], replays
    finally:
        aside.close()


# --- which letters ------------------------------------------------------------------------------------------


def _chosen(
    pipeline: Pipeline, registry: Registry, letters: Iterable[Letter], journal: Journal, ids: Sequence[str],
    found: Replay,
) -> list[Letter]:  # fmt: skip
    """Those of a replay that was cut off; else all that can be sent and were not."""
    cut_off = journal.open_letters()
    chosen: list[Letter] = []
    for letter in letters:
        if journal.is_open(letter, cut_off) if cut_off else not ids or letter["id"].startswith(tuple(ids)):
            reason = "replayed before" if journal.is_done(letter) else _unfit(letter, pipeline, registry)
            row = _reread(letter, pipeline, registry) if not reason and letter["mapping"] is None else letter
            if reason or row is None:
                found.left[reason or "the row still cannot be read"] += 1
            else:
                chosen.append(row)
    if cut_off and found.left:
        raise Refused(
            "a replay was cut off, and its letters or the file changed since "
            f"({', '.join(found.left)}); put that back to go on"
        )
    return chosen


def _reread(letter: Letter, pipeline: Pipeline, registry: Registry) -> Letter | None:
    """The letter of a row that could not be read, with the record that it is now."""
    record = reread(pipeline, registry, letter["source"], letter)
    return None if record is None else {**letter, "record": record}


def _unfit(letter: Letter, pipeline: Pipeline, registry: Registry) -> str:
    """Why a letter cannot be sent again, or an empty text."""
    mapping, record = letter["mapping"], letter["record"]
    if letter["source"] not in pipeline.sources or (mapping is not None and mapping not in pipeline.mappings):
        return "the file has no such source or mapping any more"
    if record is None:
        return "the record was not kept (dead_letters.include)"
    if is_redacted(record, pipeline.dead_letters.redact):
        return "a part of the record was not kept (dead_letters.redact)"
    if mapping is None and (not isinstance(record, str) or len(record.encode()) >= RAW):
        return "the row was not kept whole"
    names = (
        [mapping]
        if mapping is not None
        else [n for n, m in pipeline.mappings.items() if m.source == letter["source"]]
    )
    if not all(_takes_more(pipeline, registry, name) for name in names):
        return "its sink is a file that is written whole: run the pipeline again"
    return ""


def _takes_more(pipeline: Pipeline, registry: Registry, mapping: str) -> bool:
    """May payloads be sent to the mapping's sink after its run? A file would be replaced by them."""
    spec = pipeline.sinks[pipeline.mappings[mapping].sink]
    plugin = registry.load("sinks", spec.type)
    is_vendor = isinstance(plugin, type) and issubclass(plugin, Vendor)
    return is_vendor or spec.type in ("stdout", "discard") or spec.settings.get("mode") == "append"


class Journal:
    """Which letters are being replayed, and which are done, in the state. A letter is named by its id and run."""

    def __init__(self, state: State, pipeline: str) -> None:
        self._state, self._pipeline, self._space = state, pipeline, f"{pipeline}{ASIDE}"

    def name_of(self, letter: Letter) -> str:
        return f"{letter['id']}:{letter['run_id']}"

    def is_done(self, letter: Letter) -> bool:
        return self._state.path.exists() and self._state.recall(self._space, self.name_of(letter)) is not None

    def open_letters(self) -> set[str]:
        """Those of a replay that was begun and is not over."""
        return set(self._open()["letters"]) if self._state.path.exists() else set()

    def is_open(self, letter: Letter, cut_off: Collection[str]) -> bool:
        """Is it one of these, or did the replay that was cut off itself say the last word of it?"""
        if self.name_of(letter) in cut_off:
            return True
        head, _ = self._state.load()
        again = head is not None and letter["run_id"] == head.run_id
        return again and any(name.startswith(f"{letter['id']}:") for name in cut_off)

    def begin(self, letters: Iterable[Letter]) -> None:
        if self._open()["letters"]:
            return  # it goes on
        said = {"letters": [self.name_of(letter) for letter in letters], "after": self._newest()}
        self._state.remember(self._space, "open", msgspec.json.encode(said))

    def close_finished(self, letters: Sequence[Letter]) -> tuple[int, int]:
        """Enters what a finished run delivered: how many letters are done, and how many were refused again."""
        said = self._open()
        newest = self._newest()
        if not said["letters"] or newest == said["after"] or self._state.load()[0] is not None:
            return 0, 0
        again = {letter["id"]: letter for letter in letters if letter["run_id"] == newest}
        done = [name for name in said["letters"] if name.partition(":")[0] not in again]
        for name in done:
            self._state.remember(self._space, name, b"done")
        self._state.remember(self._space, "open", None)
        replaced = {self._of_the_whole(letter) for letter in again.values()}
        return sum(name.partition(":")[0] not in replaced for name in done), len(again)

    def _of_the_whole(self, letter: Letter) -> str:
        """The id that the letter would have if its record had failed before it became a payload."""
        origin = letter["origin"]
        return letter_id(
            self._pipeline, letter["source"], letter["mapping"] or "", origin["file"], origin["offset"], -1
        )

    def _open(self) -> dict[str, Any]:
        kept = self._state.recall(self._space, "open")
        return {"letters": [], "after": ""} if kept is None else msgspec.json.decode(kept)

    def _newest(self) -> str:
        """The id of the newest replay that came to an end."""
        reports = self._state.history(1)
        return str(reports[0]["run_id"]) if reports else ""


# --- the run ------------------------------------------------------------------------------------------------


def _run(
    pipeline: Pipeline, registry: Registry, options: Options, letters: Sequence[Letter], found: Replay
) -> Outcome:
    by_source: dict[str, list[Letter]] = {}
    for letter in letters:
        by_source.setdefault(letter["source"], []).append(letter)
    entries = {name: entries_of(some) for name, some in by_source.items()}
    mappings = {
        name: spec for name, spec in pipeline.mappings.items()
        if any(name in entry.wanted or entry.everywhere for entry in entries.get(spec.source, ()))
    }  # fmt: skip
    changed = replace(
        pipeline,
        sources={n: _letter_spec(pipeline.sources[n], some) for n, some in entries.items()},
        sinks={n: s for n, s in pipeline.sinks.items() if n in {m.sink for m in mappings.values()}},
        mappings=mappings,
    )

    def prepare(work: Work) -> None:
        for name, plan in work.plan.mappings.items():
            work.plan.mappings[name] = OnlyLetters(plan, pipeline.name, entries[plan.spec.source])

    return run_pipeline(
        changed, registry.with_plugin("sources", "letters", LetterSource),
        replace(options, prepare=prepare, aside=ASIDE, fresh=False),
    )  # fmt: skip


def _letter_spec(spec: SourceSpec, entries: Sequence[Entry]) -> SourceSpec:
    return SourceSpec(spec.name, "letters", {"entries": entries}, spec.key)


def reread(pipeline: Pipeline, registry: Registry, source: str, letter: Letter) -> dict[str, Any] | None:
    """The record of a row that could not be read, by the source's present settings; None where it still cannot be."""
    spec = pipeline.sources[source]
    plugin = registry.load("sources", spec.type)
    with TemporaryDirectory(prefix="engine-replay-") as folder:
        path = Path(folder) / "row"
        path.write_text(letter["record"].rstrip("\r\n") + "\n", "utf-8")
        try:
            first = make(plugin, spec.settings, pipeline.path.parent)
            columns = first.columns(letter["origin"]["file"])
            settings = {
                **spec.settings,
                "path": str(path),
                "encoding": "utf-8",
                "compression": "none",
                "skip_rows": 0,
            }
            settings.setdefault("format", _format(letter["origin"]["file"]))
            if columns is not None:
                settings["header"] = list(columns)
            again = make(plugin, settings, pipeline.path.parent)
            for rows in again.read(again.partitions()[0], None):
                return rows.record(0) if rows.records else None
        except (EngineError, OSError, TypeError):
            return None
    return None


def _format(file: str) -> str:
    """The format that a file's name tells, compression aside."""
    name = Path(file).name.lower()
    return next((word for word in ("tsv", "jsonl", "ndjson", "json") if f".{word}" in name), "csv").replace("nd", "")
