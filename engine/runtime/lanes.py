"""Lanes: a key rides in one lane, a lane has one conversation at a time, so a key's order holds through retries.

No threads. A lane collects payloads into one open batch per action and group, and queues the full ones in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from mmh3 import hash as mmh3_hash

from engine.runtime.ledger import Ticket


class Item(msgspec.Struct, gc=False):
    """One payload for one action: encoded, with its key and what it settles."""

    body: bytes
    key: Any
    ticket: Ticket
    row: int
    element: int = 0


def weight(items: Sequence[Item]) -> int:
    """Bytes that these take in a request's body; each is followed by a comma."""
    return sum([len(item.body) for item in items]) + len(items)


class Batch:
    """Payloads of one action and group, in order, at most `max_records` and `max_bytes`."""

    __slots__ = ("action", "group", "items", "keys", "overhead", "since", "size")

    def __init__(self, action: Any, group: Any, since: float) -> None:
        self.action, self.group, self.since = action, group, since
        self.items: list[Item] = []
        self.overhead: int = action.overhead
        self.size = self.overhead
        self.keys: set[Any] = set()

    @property
    def weight(self) -> int:
        """Bytes that the payloads take."""
        return int(self.size - self.overhead)

    def part(self, items: list[Item]) -> Batch:
        """A batch of some of these items."""
        batch = Batch(self.action, self.group, self.since)
        batch.items, batch.size = items, self.action.overhead + weight(items)
        return batch


class Lane:
    """One queue of batches. `busy` is its conversation, if one is going on."""

    __slots__ = ("busy", "open", "queue")

    def __init__(self) -> None:
        self.open: dict[tuple[str, Any], Batch] = {}
        self.queue: deque[Batch] = deque()
        self.busy: Any = None

    def close_batch(self, place: tuple[str, Any]) -> None:
        self.queue.append(self.open.pop(place))

    def close_through(self, place: tuple[str, Any]) -> None:
        """Closes an open batch and all that were opened before it."""
        for earlier in list(self.open):
            self.close_batch(earlier)
            if earlier == place:
                return


class Lanes:
    """The lanes of one sink."""

    def __init__(self, count: int, order: str) -> None:
        self.lanes = [Lane() for _ in range(count)]
        self.order = order
        self.payloads = 0  # waiting or in flight
        self.bytes = 0  # of them
        self._turn = 0

    def add(self, action: Any, group: Any, items: Sequence[Item], now: float) -> None:
        """Puts payloads into their keys' lanes; a batch that is full joins its lane's queue.

        `action` has `name`, `max_records`, `max_bytes` and `overhead` (bytes of a body around its payloads).
        """
        self.payloads += len(items)
        if self.order == "strict":
            self._add_strictly(action, group, items, now)
        elif len(self.lanes) == 1:
            self._extend(self.lanes[0], action, group, items, now)
        else:
            for lane, some in self._by_lane(items):
                self._extend(lane, action, group, some, now)

    def _by_lane(self, items: Sequence[Item]) -> Iterable[tuple[Lane, list[Item]]]:
        if self.order == "none":
            return [(self.lanes[self._turn % len(self.lanes)], list(items))]
        shares: list[list[Item]] = [[] for _ in self.lanes]
        count = len(shares)
        for item in items:
            key = item.key
            if key.__class__ is str and key.isascii():  # nearly always: no call
                shares[mmh3_hash(key, 0, False) % count].append(item)
            else:
                shares[self._number(key)].append(item)
        return [(lane, share) for lane, share in zip(self.lanes, shares, strict=True) if share]

    def _number(self, key: Any) -> int:
        """The key's lane. What has no key may ride in any."""
        if key is None:
            return self._turn % len(self.lanes)
        text = key if key.__class__ is str else repr(key)
        # mmh3 takes text only where it is plain; a lone surrogate would crash it.
        number: int = mmh3_hash(text if text.isascii() else text.encode("utf-8", "surrogatepass"), 0, False)
        return number % len(self.lanes)

    def _extend(self, lane: Lane, action: Any, group: Any, items: Sequence[Item], now: float) -> None:
        place, size = (action.name, group), weight(items)
        self.bytes += size
        batch = lane.open.get(place)
        if batch is None:
            batch = lane.open[place] = Batch(action, group, now)
        if len(batch.items) + len(items) < action.max_records and batch.size + size <= action.max_bytes:
            batch.items += items
            batch.size += size
        else:
            for item in items:
                self._add_one(lane, action, group, item, now)

    def _add_one(self, lane: Lane, action: Any, group: Any, item: Item, now: float) -> Batch:
        place, size = (action.name, group), len(item.body) + 1
        batch = lane.open.get(place)
        if batch is not None and batch.items and batch.size + size > action.max_bytes:
            self._close(lane, place)
            batch = None
        if batch is None:
            batch = lane.open[place] = Batch(action, group, now)
        batch.items.append(item)
        batch.size += size
        if len(batch.items) >= action.max_records:
            self._close(lane, place)
            self._turn += 1
        return batch

    def _close(self, lane: Lane, place: tuple[str, Any]) -> None:
        """In strict order the batches opened earlier go first: they may hold what this one follows."""
        if self.order == "strict":
            lane.close_through(place)
        else:
            lane.close_batch(place)

    def _add_strictly(self, action: Any, group: Any, items: Sequence[Item], now: float) -> None:
        place = (action.name, group)
        for item in items:
            lane = self.lanes[self._number(item.key)]
            self._make_way(lane, place, item.key)
            self.bytes += len(item.body) + 1
            self._add_one(lane, action, group, item, now).keys.add(item.key)

    def _make_way(self, lane: Lane, place: tuple[str, Any], key: Any) -> None:
        """Across actions, what is open for this key goes first. Batches go in the order of their opening, so only
        one that was opened after the item's own would come too late.
        """
        if place not in lane.open or len(lane.open) == 1:
            return
        last, own = None, False
        for rival, batch in lane.open.items():
            if rival == place:
                own = True
            elif own and key in batch.keys:
                last = rival
        if last is not None:
            lane.close_through(last)

    def ready(self, now: float, linger: float | None, *, drain: bool) -> Iterator[tuple[Lane, Batch]]:
        """The next batch of every lane that is free; with `drain`, open batches go too, the oldest first."""
        for lane in self.lanes:
            if lane.busy is not None:
                continue
            if not lane.queue and lane.open:
                oldest = min(lane.open, key=lambda place: lane.open[place].since)
                if drain or (linger is not None and now - lane.open[oldest].since >= linger):
                    lane.close_batch(oldest)
            if lane.queue:
                yield lane, lane.queue.popleft()

    def linger_deadline(self, linger: float | None) -> float | None:
        """When the oldest open batch of a free lane has waited long enough."""
        if linger is None:
            return None
        waiting = [b.since for lane in self.lanes if lane.busy is None for b in lane.open.values()]
        return min(waiting) + linger if waiting else None

    def settled(self, payloads: int, size: int) -> None:
        """So many payloads, of so many bytes, have left the lanes."""
        self.payloads -= payloads
        self.bytes -= size

    @property
    def busy(self) -> int:
        return sum(lane.busy is not None for lane in self.lanes)
