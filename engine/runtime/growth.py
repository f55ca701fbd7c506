"""What earlier runs read: what this one goes on from, and whether it is still what it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b

from engine.errors import Refused
from engine.runtime.ledger import SavedTrack
from engine.runtime.plan import Plan, SourcePlan


def carried(saved: Sequence[SavedTrack], plan: Plan, *, resumed: bool) -> list[SavedTrack]:
    """All tracks of a run that was cut off; of finished runs those of sources with `mode: append`."""
    known = [track for track in saved if track.source in plan.sources]
    return known if resumed else [t for t in known if plan.sources[t.source].spec.mode == "append"]


def elements_of(plan: Plan) -> dict[str, str]:
    """Per mapping, a digest of all that decides which element of `each` has which number."""
    values = repr(sorted(plan.pipeline.vars.items()))
    texts = {name: repr((m.spec.each, dict(m.spec.let), values)) for name, m in plan.mappings.items()}
    return {
        name: blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        for name, text in texts.items()
    }


def forget_elements(tracks: list[SavedTrack], before: Mapping[str, str], now: Mapping[str, str]) -> list[SavedTrack]:
    """Where a mapping makes other elements than before, a record that was settled in part goes again whole."""
    changed = {mapping for mapping, digest in now.items() if before.get(mapping, digest) != digest}
    for track in tracks:
        for mapping in changed:
            track.elements.pop(mapping, None)
    return tracks


def verify(source: SourcePlan, tracks: Sequence[SavedTrack]) -> None:
    """Is what was read still there and the same? By content: names and times prove nothing."""
    there = source.source.partitions()
    append = source.spec.mode == "append"
    gone = [track for track in tracks if track.file not in there]
    for track in tracks:
        if not (append and track.done and track in gone):  # what was read to its end may be tidied away
            verify_track(source, track)
    if append and gone:
        known = {track.file for track in tracks}
        for file in there:
            if file not in known:
                _not_renamed(source, file, gone)


def verify_track(source: SourcePlan, track: SavedTrack) -> None:
    """Raises `Refused` where the partition does not begin with what was read of it."""
    position = track.high
    if source.source.checksum(track.file, position.offset) != position.check:
        raise Refused(
            f"{track.file} changed under the checkpoint: its first {position.offset} bytes ({position.row} rows) "
            "are not what an earlier start read; --fresh reads it from the beginning and sends it all again"
        )


def _not_renamed(source: SourcePlan, file: str, gone: Sequence[SavedTrack]) -> None:
    """A file that was read under another name is no new file."""
    for track in gone:
        if track.high.offset and source.source.checksum(file, track.high.offset) == track.high.check:
            raise Refused(
                f"{file} begins with all that was read as {track.file}, which is gone: it was renamed, or rotated; "
                "name it as it was, or use --fresh, which reads every file from the beginning and sends it all again"
            )
