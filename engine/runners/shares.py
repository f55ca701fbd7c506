"""Who of several processes reads what: ranges of the sources, or all of them and of each record its order key.

Where no order has to be kept, a source is cut into ranges: whole files where that will do, else parts of files
between two records. Where an order per key has to be kept, every process reads the source and takes the records that
have its keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import msgspec

from engine.errors import InvalidPipeline, Refused
from engine.model import Position, Rows
from engine.runtime.claims import cannot_know, probes, recipe
from engine.runtime.plan import Plan
from engine.runtime.readers import ReaderSource
from engine.runtime.sinks import VendorSink, WriterSink

LEAST = 128 * 1024  # bytes that are worth a range of their own
STEPS = 16  # places looked at for each range


class Piece(msgspec.Struct, array_like=True):
    """A range of one partition. `end` is an offset; None: all there is."""

    file: str
    start: Position | None = None
    end: int | None = None


Pieces = dict[str, list[Piece]]  # by source, in reading order
Tell = Callable[[str], None]


class Share(msgspec.Struct):
    """What one process reads: its pieces of the sources that are cut; and the sources that all of them read, with
    what makes the order keys of their records."""

    pieces: Pieces
    keyed: list[str]
    recipes: dict[str, str] = {}


# --- what cannot be shared ---------------------------------------------------------------------------------------


def refuse(plan: Plan, limit: int | None) -> None:
    """Raises `InvalidPipeline` for a run that several processes cannot share without breaking a promise."""
    if limit is not None:
        raise InvalidPipeline("--limit counts the rows of a source from its beginning, which one process does: "
                              "leave out --limit or --workers")  # fmt: skip
    for name, source in plan.sources.items():
        if plan.of_source(name):
            _named("sources", name, lambda source=source: _check_source(source.source))  # type: ignore[misc]
    for name, sink in plan.sinks.items():
        _named("sinks", name, lambda sink=sink: _check_sink(sink))  # type: ignore[misc]
    for name in keyed(plan):
        _check_keys(plan, name)


def _named(kind: str, name: str, check: Callable[[], None]) -> None:
    try:
        check()
    except InvalidPipeline as error:
        raise InvalidPipeline(f"{kind}.{name} cannot be shared by several workers: {error}") from None


def _check_source(source: Any) -> None:
    if isinstance(source, ReaderSource):
        raise InvalidPipeline("it is fetched from a vendor by one process; run it without --workers")
    if hasattr(source, "size"):
        for partition in source.partitions():
            source.size(partition)


def _check_sink(sink: VendorSink | WriterSink) -> None:
    if isinstance(sink, VendorSink):
        if sink.spool is not None:
            raise InvalidPipeline("it gathers payloads in one file to upload; set `via: inline`")
    elif hasattr(sink.writer, "part"):
        sink.writer.part(1, 2)
    else:
        raise InvalidPipeline("what it writes cannot be joined from parts")


def _check_keys(plan: Plan, name: str) -> None:
    """All processes read the source: can they, and do they know whose a record is before it is mapped?"""
    source, mappings = plan.sources[name].source, plan.of_source(name)
    if len(mappings) > 1 and plan.pipeline.errors.scope == "record":
        raise InvalidPipeline(
            f"sources.{name}: with `errors.scope: record` all mappings of a record belong to one process, and their "
            "order keys may be several ones'; use `scope: mapping`, or run it without --workers"
        )
    partitions = source.partitions()
    if not hasattr(source, "size") or any(source.size(partition) is None for partition in partitions):
        raise InvalidPipeline(
            f"sources.{name}: to keep the order of each key all workers read the whole source, which is not on this "
            "machine; fetch it to a file first, set `order: none`, or run it without --workers"
        )
    for columns in {source.columns(partition) for partition in partitions}:
        for mapping, probe in zip(mappings, probes(plan, name), strict=True):
            if problems := probe.compile(columns):
                raise InvalidPipeline(cannot_know(mapping, problems))


# --- who reads what ------------------------------------------------------------------------------------------------


def keyed(plan: Plan) -> list[str]:
    """The sources whose records go to a sink that keeps an order per key."""
    return [name for name in plan.sources if any(_ordered(mapping.sink) for mapping in plan.of_source(name))]


def _ordered(sink: VendorSink | WriterSink) -> bool:
    return isinstance(sink, VendorSink) and sink.lanes.order != "none"


def shares_of(plan: Plan, of: int, tell: Tell, least: int = LEAST) -> list[Share]:
    """What each of `of` processes reads. `tell` hears what will not be shared."""
    by_key = keyed(plan)
    recipes = {name: recipe(plan, name) for name in by_key}
    shares = [Share({}, by_key, recipes) for _ in range(of)]
    for group in _groups(plan, by_key):
        for share, pieces in zip(shares, _divided(plan, group, of, least), strict=True):
            share.pieces.update({name: pieces.get(name, []) for name in group})
        if of > 1 and sum(any(share.pieces[name] for name in group) for share in shares) < 2:
            tell(f"{', '.join(group)}: too small to share, or not to be cut: one worker reads it")
    return shares


def _groups(plan: Plan, by_key: Sequence[str]) -> list[list[str]]:
    """Sources that are divided together: those that meet in one file, so that it has the order that one process gives
    it; others each on its own, so that each worker has a share of each kind of work."""
    ranged = [name for name in plan.sources if plan.of_source(name) and name not in by_key]
    into: dict[str, set[str]] = {name: {m.spec.sink for m in plan.of_source(name)
                                       if isinstance(m.sink, WriterSink)} for name in ranged}  # fmt: skip
    groups: list[list[str]] = []
    for name in ranged:
        meeting = [group for group in groups if any(into[name] & into[other] for other in group)]
        groups = [group for group in groups if group not in meeting]
        groups.append([*(one for group in meeting for one in group), name])
    return groups


def _divided(plan: Plan, names: Sequence[str], of: int, least: int) -> list[Pieces]:
    """The files of these sources in their order, cut into `of` runs of about equal size."""
    files = [(name, file) for name in names for file in plan.sources[name].source.partitions()]
    sizes = [_size(plan.sources[name].source, file) for name, file in files]
    total, begins = sum(sizes), list(accumulate(sizes, initial=0))
    wanted = [total * number / of for number in range(1, of)]
    shares: list[Pieces] = [{} for _ in range(of)]
    for (name, file), begin, size in zip(files, begins, sizes, strict=False):
        here = [place for place in wanted if begin + least <= place <= begin + size - least]
        cuts = _cuts(plan.sources[name].source, file, [place - begin for place in here], size // (of * STEPS))
        for piece in _pieces(file, cuts):
            middle = begin + _middle(piece, size)
            _add(shares[sum(place <= middle for place in wanted)].setdefault(name, []), piece)
    return shares


def _add(pieces: list[Piece], piece: Piece) -> None:
    """Two pieces of one file that came to one process are one."""
    if pieces and pieces[-1].file == piece.file:
        pieces[-1].end = piece.end
    else:
        pieces.append(piece)


def _size(source: Any, file: str) -> int:
    return (source.size(file) if hasattr(source, "size") else None) or 1


def _middle(piece: Piece, size: int) -> float:
    return ((piece.start.offset if piece.start else 0) + (size if piece.end is None else piece.end)) / 2


def _cuts(source: Any, file: str, wanted: Sequence[float], apart: int) -> list[Position]:
    """The first place between two records behind each offset that is wanted, as far as there is one."""
    left, found = list(wanted), []
    if not left or not hasattr(source, "ends"):
        return []
    for place in source.ends(file, max(apart, 1)):
        if place.offset >= left[0]:
            found.append(place)
            left = [offset for offset in left if offset > place.offset]
            if not left:
                break
    return found


def _pieces(file: str, cuts: Sequence[Position]) -> Iterator[Piece]:
    starts: list[Position | None] = [None, *cuts]
    ends: list[int | None] = [*(cut.offset for cut in cuts), None]
    return (Piece(file, start, end) for start, end in zip(starts, ends, strict=True))


# --- a resume ------------------------------------------------------------------------------------------------------


def resumed(plan: Plan, kept: Any, of: int) -> list[Share]:
    """The shares of the start before; what was not there then is read by the last process.

    Raises `Refused` where a file does not begin with what it began with.
    """
    shares = msgspec.convert(kept, list[Share])
    for share in shares:
        for name, pieces in share.pieces.items():
            for piece in pieces:
                _verify(plan.sources[name].source, piece)
    for name in shares[0].pieces:
        known = {piece.file for share in shares for piece in share.pieces[name]}
        new = [file for file in plan.sources[name].source.partitions() if file not in known]
        shares[-1].pieces[name] += [Piece(file) for file in new]
    if shares[0].keyed != keyed(plan):
        raise Refused("the order of a sink changed since the run was cut off; put it back to resume, or use --fresh")
    for name, before in shares[0].recipes.items():
        if recipe(plan, name) != before:
            raise Refused(
                f"what makes the order keys of {name} changed since the run was cut off, and by these keys its "
                "records were shared out: some would be nobody's now, others sent twice; put it back to resume, or "
                "use --fresh"
            )
    return shares


def _verify(source: Any, piece: Piece) -> None:
    at = piece.start
    if at is not None and source.checksum(piece.file, at.offset) != at.check:
        raise Refused(
            f"{piece.file} changed under the checkpoint: its first {at.offset} bytes are not what they were when it "
            "was shared out; --fresh reads it from the beginning and sends it all again"
        )


class PieceSource:
    """A source as one process sees it: its pieces, in order."""

    def __init__(self, source: Any, pieces: Sequence[Piece]) -> None:
        self._source, self._pieces = source, {piece.file: piece for piece in pieces}

    @property
    def notes(self) -> Any:
        return getattr(self._source, "notes", None)

    def partitions(self) -> list[str]:
        return list(self._pieces)

    def columns(self, partition: str) -> tuple[str, ...] | None:
        found: tuple[str, ...] | None = self._source.columns(partition)
        return found

    def read(self, partition: str, start: Position | None) -> Iterator[Rows]:
        piece = self._pieces[partition]
        begin = start or piece.start
        if piece.end is None:
            return self._source.read(partition, begin)  # type: ignore[no-any-return]
        return self._source.read(partition, begin, piece.end)  # type: ignore[no-any-return]

    def checksum(self, partition: str, offset: int) -> int | None:
        found: int | None = self._source.checksum(partition, offset)
        return found


def take(plan: Plan, share: Share) -> None:
    """The plan reads this share from now on."""
    for name, pieces in share.pieces.items():
        plan.sources[name].source = PieceSource(plan.sources[name].source, pieces)
