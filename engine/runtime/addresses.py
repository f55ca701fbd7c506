"""Where secrets may go: addresses of settings are `https`, or on this machine, or said to be `insecure`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from engine.config.pipeline import Pipeline
from engine.model import Problem

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def address_problems(pipeline: Pipeline) -> Iterator[Problem]:
    """What is wrong with the parts' settings that are addresses: those whose names end in `url`."""
    for kind in ("sources", "sinks", "lookups"):
        for name, spec in getattr(pipeline, kind).items():
            yield from _of_part(kind, name, spec.settings)


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
