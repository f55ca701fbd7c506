"""Any vendor's actions from Python, one call a line, with the limits, retries and verdicts of a run.

from engine.python import Iterable

client = Iterable("key")
client.update_user(email="ada@example.org", dataFields={"plan": "pro"})
result = client.track_event([{"eventName": "Signed up", "userId": "7"}, {"eventName": "Signed in", "userId": "7"}])

What can be called is what the vendor declares: `dir(client)` names it, `client.track_event.__doc__` explains it.
Payloads are in the vendor's own words, as under `fields:` of a pipeline. A call takes one payload as keywords or as a
dict, or many as a list or any iterator, which is read as there is room, and returns a `Result`: the fate of each.
"""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from random import SystemRandom
from typing import Any

from engine.config.build import Builder
from engine.config.judge import judge
from engine.config.messages import Finding
from engine.config.nodes import Node
from engine.config.pipeline import DeadLetters, MappingSpec, Pipeline, SinkSpec
from engine.config.reader import read_text
from engine.config.shapes import Shapes
from engine.errors import InvalidPipeline
from engine.model import Problem, Secret
from engine.plugin import Vendor
from engine.python.errands import Errand
from engine.python.flagship import Forgetful
from engine.python.results import Result
from engine.registry import Registry, pretend_world
from engine.runtime.clock import Clock, SystemClock
from engine.runtime.plan import build
from engine.runtime.sinks import VendorSink
from engine.runtime.transport import Pretend, Threads, Transport

NOWHERE = Path("python")


class Account:
    """An account of a vendor; `type` is that of a sink, and `settings` are the sink's, in the words and units of a
    pipeline: the key, `timeout="30s"`, `retry={"give_up_after": "5m"}`, `concurrency=8`, `rate_limit=…`.

    `sandbox=True` sends to a pretend vendor in this process. One call at a time is carried out, whatever the threads.
    `transport`, `clock` and `chance` are for tests. Raises `InvalidPipeline` for settings that are wrong.
    """

    def __init__(
        self, type: str, *, sandbox: bool = False, transport: Callable[[int, Clock], Transport] | None = None,
        clock: Clock | None = None, chance: Any = None, **settings: Any,
    ) -> None:  # fmt: skip
        self._clock, self._chance = clock or SystemClock(), chance or SystemRandom()
        self._sink = sink_of(type, settings)
        self._schema = Registry.installed().schema("sinks", type)
        self._transport = transport or (_pretended(self._clock) if sandbox else _networked())
        self._memory, self._lock = Forgetful(), threading.Lock()

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._sink.actions})

    def __getattr__(self, name: str) -> Verb:
        if name.startswith("_"):
            raise AttributeError(name)
        actions = self._sink.actions
        if name not in actions:
            near = get_close_matches(name, actions, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(actions)}"
            raise AttributeError(f"{self._sink.name} has no action {name}; {hint}")
        return Verb(self, name)

    def __repr__(self) -> str:
        return f"<{self._sink.name}: {', '.join(self._sink.actions)}>"

    def send(self, action: str, payloads: Iterable[Any], **parameters: Any) -> Result:
        """Sends payloads, and gives the fate of each; `parameters` are what the action takes beside them.

        Raises `Stopped` where nothing more will work: the key is refused, or the vendor stays away.
        """
        self._sink.vendor.expects(action, parameters.keys())
        with self._lock:
            transport = self._transport(len(self._sink.lanes.lanes), self._clock)
            try:
                errand = Errand(
                    self._sink, self._sink.actions[action], parameters, transport, self._clock, self._chance,
                    self._memory, lambda: f"{self._chance.getrandbits(128):032x}",
                )  # fmt: skip
                return errand.run(payloads)
            finally:
                transport.close()


class Verb:
    """An action that can be called."""

    def __init__(self, account: Account, name: str) -> None:
        self._account, self.__name__ = account, name
        action = account._sink.actions[name]
        self._parameters = list(inspect.signature(action.method).parameters)[1:]
        self._fields = account._schema["$defs"][name].get("properties", {})
        self.__doc__ = _documented(action.method, self._fields)

    def __call__(self, payloads: Any = None, /, **fields: Any) -> Result:
        """One payload as keywords or as a dict; many as a list or an iterator."""
        parameters = {word: fields.pop(word) for word in self._parameters if word in fields}
        if payloads is not None and fields:
            names = ", ".join(fields)
            raise TypeError(f"{self.__name__} takes payloads or the fields of one, not both ({names})")
        if payloads is None:
            payloads = [fields]
        elif isinstance(payloads, Mapping):
            payloads = [dict(payloads)]
        elif isinstance(payloads, (str, bytes)) or not isinstance(payloads, Iterable):
            raise TypeError(f"{self.__name__} takes a dict, or an iterable of dicts, not {type(payloads).__name__}")
        return self._account.send(self.__name__, payloads, **parameters)

    def __repr__(self) -> str:
        return f"<{self._account._sink.name}.{self.__name__}>"


class IterableAccount(Account):
    """An Iterable project; `settings` are those of the sink `iterable`. See `engine plugins iterable`.

    Events and purchases that have no `id` get one, so that a repeat after a lost answer is folded. It is another one
    in every call: what may be sent by two runs of a script needs an id of its own.
    """

    def __init__(self, api_key: str, **settings: Any) -> None:
        super().__init__("iterable", api_key=api_key, **settings)


def sink_of(type: str, settings: Mapping[str, Any]) -> VendorSink:
    """The sink of a vendor with all its actions, as `build` makes it; raises `InvalidPipeline`."""
    registry = Registry.installed()
    spec = _spec(type, settings, registry)
    plugin = registry.load("sinks", type)
    if not inspect.isclass(plugin) or not issubclass(plugin, Vendor):
        raise InvalidPipeline(f"{type} is no vendor: it has no actions to call")
    mappings = {name: MappingSpec(name, "", type, name, {}) for name in plugin.actions()}
    pipeline = Pipeline("python", NOWHERE, {}, {type: spec}, mappings, DeadLetters(NOWHERE), NOWHERE)
    plan, problems = build(pipeline, registry, {})
    if plan is None:
        raise _invalid(problems)
    sink = plan.sinks[type]
    assert isinstance(sink, VendorSink)
    return sink


def _spec(type: str, settings: Mapping[str, Any], registry: Registry) -> SinkSpec:
    """Settings judged and converted as those of a pipeline file are."""
    if type not in registry.names("sinks"):
        near = get_close_matches(type, registry.names("sinks"), 1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(registry.names('sinks'))}"
        raise InvalidPipeline(f"there is no sink {type}; {hint}")
    plain = {name: _revealed(value) for name, value in settings.items() if value is not None}
    root = read_text(json.dumps({"sinks": {type: {"type": type, **plain}}}, default=str)).root
    assert isinstance(root, Node)
    shapes = Shapes(registry)
    builder = Builder(root, Path.cwd() / NOWHERE, shapes)
    problems = _of_the_sink(judge(root, shapes))
    if not problems:
        spec = builder.sink(type)
        problems = builder.conversion.problems
    if problems:
        raise _invalid(problems)
    return spec


def _revealed(value: Any) -> Any:
    return value.reveal() if isinstance(value, Secret) else value


def _of_the_sink(problems: Iterable[Problem]) -> list[Problem]:
    """Errors of the sink itself: that there is no mapping is no mistake here."""
    return [problem for problem in problems if problem.path[:1] == ("sinks",) and not problem.warning]


def _invalid(problems: Sequence[Problem]) -> InvalidPipeline:
    found = [
        Finding(problem.code, problem.message, ".".join(map(str, problem.path[1:])), hint=problem.hint)
        for problem in problems
        if not problem.warning
    ]
    return InvalidPipeline("; ".join(finding.headline() for finding in found), findings=found)


def _networked() -> Callable[[int, Clock], Transport]:
    """Threads for each call, over connections that are kept between calls."""
    kept: list[Any] = []

    def make(size: int, clock: Clock) -> Transport:
        from engine.runtime.http import exchange  # late: requests is dear to import

        if not kept:
            kept.append(exchange())
        return Threads(size, clock, kept[0])

    return make


def _pretended(clock: Clock) -> Callable[[int, Clock], Transport]:
    world = pretend_world(clock, [])
    return lambda size, clock: Pretend(world.handle, clock)


def _documented(method: Any, fields: Mapping[str, Any]) -> str:
    lines = [inspect.getdoc(method) or "", "", "Fields:"]
    for name, shape in fields.items():
        lines.append(f"  {name}: {shape.get('description', '')}")
    return "\n".join(lines)
