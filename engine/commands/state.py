"""`engine state`: where a pipeline stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from engine.commands.files import pipeline_of
from engine.config.messages import printable
from engine.console import json_text, stderr, stdout
from engine.runtime.clock import SystemClock, iso
from engine.runtime.counts import total
from engine.runtime.ledger import SavedTrack
from engine.runtime.state import State, moved_aside


def show(file: Path, state: Path | None, as_json: bool) -> int:
    pipeline = pipeline_of(file, state)
    store = State(pipeline.state, pipeline.name, looking=True)
    try:
        found = _standing(store) if store.path.exists() else {"unfinished": None, "tracks": [], "runs": []}
    finally:
        store.close()
    if as_json:
        stdout(json_text(found) + "\n")
    else:
        stdout(_text(pipeline.name, found) + "\n")
    return 0


def _standing(store: State) -> dict[str, Any]:
    head, tracks = store.load()
    unfinished, places = None, [_place(track) for track in tracks]
    if head is not None:
        heads = [head]
        for number, (share, its_tracks) in enumerate(store.shares(head), 1):
            heads += [share]
            places += [{**_place(track), "worker": number} for track in its_tracks]
        counts = total([one.counts for one in heads[1:]] or [head.counts])
        unfinished = {"run_id": head.run_id, "started_at": iso(head.started_at),
                      "abandoned": sum(one.abandoned for one in heads[1:] or heads),
                      "mappings": msgspec.to_builtins(counts.mappings)}  # fmt: skip
        if head.workers > 1:
            unfinished["workers"] = head.workers
    return {"unfinished": unfinished, "tracks": places, "runs": store.history()}


def _place(track: SavedTrack) -> dict[str, Any]:
    return {
        "source": track.source, "file": track.file, "settled_rows": track.head.row, "read_rows": track.high.row,
        "line": track.head.line, "offset": track.head.offset, "done": track.done,
    }  # fmt: skip


def _text(name: str, found: dict[str, Any]) -> str:
    lines = []
    if found["unfinished"] is None:
        lines.append(f"{name}: no run is cut off; the next one starts from the beginning")
    else:
        run = found["unfinished"]
        lines.append(f"{name}: run {run['run_id']} of {run['started_at']} was cut off; the next start resumes it"
                     + (f", with --workers {run['workers']}" if "workers" in run else ""))  # fmt: skip
    for track in found["tracks"]:
        done = "read to the end" if track["done"] else f"settled up to line {track['line']}, byte {track['offset']}"
        who = f"worker {track['worker']}: " if "worker" in track else ""
        lines.append(f"  {who}{track['source']}: {track['file']}: {track['settled_rows']:,} rows settled; {done}")
    for run in found["runs"]:
        delivered = sum(m["delivered"] for m in run["mappings"].values())
        lines.append(f"  {run['started_at']}  {run['status']:<11}  {delivered:,} delivered, "
                     f"{run['dead_letters']['count']:,} refused, {run['seconds']:.1f} s")  # fmt: skip
    return "\n".join(map(printable, lines))


def reset(file: Path, state: Path | None, as_json: bool) -> int:
    pipeline = pipeline_of(file, state)
    store = State(pipeline.state, pipeline.name)
    try:
        with store.lock({"command": "state reset"}):
            moved = store.reset(SystemClock().time())
    finally:
        store.close()
    if as_json:
        said = {"reset": True} if moved is None else {"reset": True, "moved_aside": str(moved)}
        stdout(json_text(said) + "\n")
    else:
        if moved is not None:
            stderr(f"{pipeline.name}: {moved_aside(moved)}")
        stdout(f"{pipeline.name}: the next run starts from the beginning and sends everything again\n")
    return 0
