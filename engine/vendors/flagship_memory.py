"""What is remembered of visitors between runs: the variations they had, so that these survive changed allocations.

Entries have the SDK's own JSON format. A cache is the engine's state, a file, or any object with the SDK's interface:
`lookup(visitor_id)` gives an entry or None, `save(visitor_id, entry)` keeps one.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol

import msgspec

from engine.plugin import InvalidPipeline, Question, Recall, Remember
from engine.vendors.buckets import Decision, read_entry, write_entry

GROUP = "engine.visitor_caches"  # entry points of other people's caches


class VisitorCache(Protocol):
    """The SDK's interface."""

    def lookup(self, visitor_id: str) -> Any: ...

    def save(self, visitor_id: str, entry: Mapping[str, Any]) -> None: ...


class Memory:
    """A visitor cache in conversations; `cache` None: the engine's state. `by_group`: as the server remembers."""

    def __init__(self, env_id: str, cache: VisitorCache | None = None, *, by_group: bool = False) -> None:
        self._prefix, self._cache, self._by_group = f"flagship/visitor/{env_id}/", cache, by_group
        self._read: dict[str, bytes | None] = {}  # entries of visitors who are being decided for, as they are kept

    def lookup(self, visitor_id: str, *, save_follows: bool = True) -> Question:
        """The variation ids that are remembered of a visitor; None without a valid entry."""
        if self._cache is not None:
            return read_entry(self._cache.lookup(visitor_id), visitor_id)
        kept = yield Recall(self._prefix + visitor_id)
        if save_follows:
            self._read[visitor_id] = kept
        try:
            return None if kept is None else read_entry(msgspec.json.decode(kept), visitor_id)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def save(self, visitor_id: str, decision: Decision) -> Question:
        """Keeps what the visitor was given, if that is not what is there already."""
        entry = write_entry(visitor_id, decision.va_ids, decision.by_group if self._by_group else None)
        if self._cache is not None:
            self._cache.save(visitor_id, entry)
            return
        known = visitor_id in self._read
        before = self._read.pop(visitor_id) if known else (yield Recall(self._prefix + visitor_id))
        encoded = msgspec.json.encode(entry)
        if encoded != before:
            yield Remember(self._prefix + visitor_id, encoded)


class FileCache:
    """Entries in a file, one JSON object a line; the last line of a visitor counts. Lines that cannot be read do not.

    A save appends a line where the entry is new, so that a run that is cut off leaves the file whole.
    """

    def __init__(self, file: str) -> None:
        self._path = Path(file)
        self._entries: dict[str, Any] | None = None

    def lookup(self, visitor_id: str) -> Any:
        return self._known().get(visitor_id)

    def save(self, visitor_id: str, entry: Mapping[str, Any]) -> None:
        if self._known().get(visitor_id) == entry:
            return
        self._known()[visitor_id] = entry
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")

    def _known(self) -> dict[str, Any]:
        if self._entries is None:
            self._entries = {}
            for line in self._path.read_bytes().splitlines() if self._path.exists() else ():
                self._read(line)
        return self._entries

    def _read(self, line: bytes) -> None:
        assert self._entries is not None
        try:
            entry = msgspec.json.decode(line)
            self._entries[entry["data"]["vId"]] = entry
        except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError):
            pass  # half a line of a run that was cut off


def memory(env_id: str, setting: Any, *, by_group: bool = False) -> Memory | None:
    """The cache that `visitor_cache` names: `off`, `state`, `{file: path}`, or `{plugin: name, …its settings}`.

    Raises `InvalidPipeline` where it names none, or the file's folder does not exist.
    """
    if setting in (None, "off"):
        return None
    if setting == "state":
        return Memory(env_id, by_group=by_group)
    if isinstance(setting, Mapping) and set(setting) == {"file"}:
        if not Path(setting["file"]).parent.is_dir():
            raise InvalidPipeline(f"visitor_cache: the folder of {setting['file']} does not exist")
        return Memory(env_id, FileCache(setting["file"]), by_group=by_group)
    if isinstance(setting, Mapping) and "plugin" in setting:
        return Memory(env_id, _plugin(**setting), by_group=by_group)
    raise InvalidPipeline("visitor_cache is off, state, {file: path} or {plugin: name}")


def _plugin(plugin: str, **settings: Any) -> VisitorCache:
    found = {point.name: point for point in entry_points(group=GROUP)}
    if plugin not in found:
        known = ", ".join(sorted(found)) or "none is installed"
        raise InvalidPipeline(f"visitor_cache: there is no plugin {plugin!r} in {GROUP} ({known})")
    cache: VisitorCache = found[plugin].load()(**settings)
    return cache
