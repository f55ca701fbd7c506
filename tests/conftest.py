"""No test's run may show a secret: whatever the engine was given as one is looked for in all that the test leaves.

Known are the values of every `Secret` that was made while the test ran, and those that commands were given in their
environment. Looked through are what the test captured of streams, what other processes said, logs, and the engine's
files below `tmp_path`. A test that shows a secret on purpose says so: `@pytest.mark.shows_secrets`.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.model import Secret
from tests.leaks import SHORTEST, files_of, found_in

NAMES = re.compile(r"KEY|TOKEN|SECRET|PASSWORD")


@dataclass
class Seen:
    """What one test showed, and what it must not show."""

    secrets: set[str] = field(default_factory=set)
    texts: list[tuple[str, bytes]] = field(default_factory=list)

    def hear(self, name: str, text: Any) -> None:
        if text:
            self.texts.append((name, text if isinstance(text, bytes) else str(text).encode("utf-8", "surrogatepass")))

    def environment(self, env: Any) -> None:
        for name, value in (env or {}).items():
            if isinstance(name, str) and NAMES.search(name):
                self.secrets.add(str(value))


seen = Seen()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "shows_secrets: shows a secret on purpose")
    _watch_secrets()
    _watch_processes()
    _watch_captures()


def _watch_secrets() -> None:
    make = Secret.__init__

    def watched(self: Secret, value: str) -> None:
        make(self, value)
        if isinstance(value, str):
            seen.secrets.add(value)

    Secret.__init__ = watched  # type: ignore[method-assign]


def _watch_processes() -> None:
    begin, communicate = subprocess.Popen.__init__, subprocess.Popen.communicate

    def beginning(self: Any, *given: Any, **more: Any) -> None:
        seen.environment(more.get("env"))
        begin(self, *given, **more)

    def ending(self: Any, *given: Any, **more: Any) -> Any:
        said = communicate(self, *given, **more)
        for name, text in zip(("stdout", "stderr"), said, strict=True):
            seen.hear(f"{name} of a command", text)
        return said

    subprocess.Popen.__init__, subprocess.Popen.communicate = beginning, ending  # type: ignore[method-assign]


def _watch_captures() -> None:
    read = pytest.CaptureFixture.readouterr

    def reading(self: Any) -> Any:
        said = read(self)
        seen.hear("stdout", said.out)
        seen.hear("stderr", said.err)
        return said

    pytest.CaptureFixture.readouterr = reading  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _no_secret_is_shown(request: pytest.FixtureRequest) -> Any:
    seen.secrets.clear()
    seen.texts.clear()
    yield
    if request.node.get_closest_marker("shows_secrets"):
        return
    secrets = {secret for secret in seen.secrets if len(secret) >= SHORTEST}
    if not secrets:
        return
    texts = list(seen.texts)
    given = getattr(request.node, "funcargs", {})
    if "caplog" in given:
        texts.append(("the log", given["caplog"].text.encode("utf-8", "surrogatepass")))
    if "tmp_path" in given:
        texts += files_of(given["tmp_path"])
    leaks = list(found_in(secrets, texts))
    assert not leaks, "; ".join(leaks)
