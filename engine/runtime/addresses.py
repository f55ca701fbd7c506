"""Addresses of settings are `https`, on this machine, or said to be `insecure`; and no sink writes its source."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.config.pipeline import Pipeline, SinkSpec, SourceSpec
from engine.model import Problem

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def address_problems(pipeline: Pipeline) -> Iterator[Problem]:
    """What is wrong with the parts' settings that are addresses: those whose names end in `url`."""
    for kind in ("sources", "sinks", "lookups"):
        for name, spec in getattr(pipeline, kind).items():
            yield from _of_part(kind, name, spec.settings)
    yield from _own_sources(pipeline)


def _own_sources(pipeline: Pipeline) -> Iterator[Problem]:
    """Sinks that write what a source of the same pipeline reads: the next run would read what this one wrote."""
    folder = pipeline.path.parent
    read = {name: path for name, spec in pipeline.sources.items() if (path := _local(spec, folder)) is not None}
    for sink, spec in pipeline.sinks.items():
        written = _local(spec, folder)
        for source, path in read.items():
            if written is None:
                continue
            if written == path or (any(sign in str(path) for sign in "*?[") and written.match(str(path))):
                message = f"{sink} writes a file that {source} reads: the next run would read what this one wrote"
                path_of_sink = ("sinks", sink, "path")
                yield Problem("same-file", message, path_of_sink, hint="write to another file", warning=True)


def _local(spec: SourceSpec | SinkSpec, folder: Path) -> Path | None:
    """Where a file of this machine is, if it is one and its path holds no expressions."""
    path = spec.settings.get("path")
    if spec.type != "file" or not isinstance(path, str) or path == "-" or "://" in path or "{{" in path:
        return None
    return Path(os.path.normpath(folder / path))


def _of_part(kind: str, name: str, settings: Mapping[str, Any]) -> Iterator[Problem]:
    for setting, value in settings.items():
        if setting.endswith("url") and isinstance(value, str):
            yield from _judge((kind, name, setting), value, insecure=settings.get("insecure") is True)


def _judge(path: tuple[str, ...], address: str, *, insecure: bool) -> Iterator[Problem]:
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        yield Problem("bad-setting", f"{path[-1]} is no address that can be reached", path, hint="https://host/path")
        return
    if parts.username is not None or parts.password is not None:
        yield Problem(
            "address-with-login",
            f"{path[-1]} holds a user name or password",
            path,
            hint="keys have settings of their own",
        )
    if parts.scheme == "http" and host not in LOOPBACK:
        hint = "" if insecure else "write https://, or `insecure: true` beside it if that is meant"
        message = f"{path[-1]} {'sends' if insecure else 'would send'} keys and data to {host} in clear text"
        yield Problem("insecure-address", message, path, hint=hint, warning=insecure)
