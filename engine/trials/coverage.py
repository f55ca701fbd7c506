"""What the tests of a file never reached: fields, branches of `when`, kinds of answers, vendors' own rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from engine.config.nodes import Path
from engine.config.pipeline import Pipeline
from engine.runtime.sinks import VendorSink
from engine.trials.answers import own_rules
from engine.trials.running import Trial
from engine.trials.vendors import Sent

ANSWERS = {
    "taken": "an answer of success that names nobody",
    "named": "an answer of success that refuses some",
    "not-now": "no usable answer (408, 425, 429, 5xx, a lost connection)",
    "refused": "a refusal of the whole request (4xx)",
    "halting": "an answer after which nothing works (401, 403, a redirect)",
}


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The fields of a mapping: path below `fields`, and what is written there."""
    if isinstance(value, Mapping) and value and "$each" not in value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, Mapping) and "$value" in value:
        yield from leaves(value["$value"], (*path, "$value"))
    else:
        yield path, value


def missed(pipeline: Pipeline, trials: Iterable[Trial]) -> Iterator[tuple[Path, str]]:
    """Path in the file and what was not hit there."""
    trials = list(trials)
    for name, spec in pipeline.mappings.items():
        payloads = [made.payload for trial in trials for made in trial.payloads[name]]
        root: Path = ("mappings", name)
        for path, _ in leaves(spec.fields):
            if not any(reaches(payload, path) for payload in payloads):
                yield (*root, "fields", *path), f"{name}: no test sends {dotted(path) or 'a payload'}"
        if spec.when is not None:
            yield from (
                (((*root, "when"), f"{name}: no test where `when` is {word}")) for word in _whens(name, trials)
            )
    for name in dict.fromkeys(spec.sink for spec in pipeline.mappings.values()):
        for rule in unheard(name, trials):
            yield ("sinks", name), f"{name}: no test with {ANSWERS[rule]}"


def dotted(path: Path) -> str:
    return ".".join(str(step) for step in path if step != "$value")


def reaches(payload: Any, path: Path) -> bool:
    """Has the payload anything at this path?"""
    if not path:
        return True
    if path[0] == "$value":
        return isinstance(payload, list) and any(reaches(member, path[1:]) for member in payload)
    if isinstance(payload, dict):
        return path[0] in payload and reaches(payload[path[0]], path[1:])
    if isinstance(payload, list) and isinstance(path[0], int):
        return len(payload) > path[0] and reaches(payload[path[0]], path[1:])
    return False


def _whens(mapping: str, trials: list[Trial]) -> Iterator[str]:
    seen = [seen.result for trial in trials for seen in trial.seen if seen.plan.spec.name == mapping]
    if not any(result.payloads or result.failed for result in seen):
        yield "true"
    if not any(result.filtered for result in seen):
        yield "false"


def unheard(sink: str, trials: list[Trial]) -> list[str]:
    """The kinds of answers that no trial gave to this sink; nothing for sinks that are files."""
    heard: set[str] = set()
    vendor = False
    for trial in trials:
        plan = trial.plan.sinks.get(sink) if trial.plan is not None else None
        if not isinstance(plan, VendorSink):
            continue
        vendor = True
        base = plan.vendor.base_url
        named = any(
            letter["stage"] == "vendor" and (letter["response"] or {}).get("status", 500) < 300
            and (letter["action"] or "").partition(".")[0] == sink
            for letter in trial.letters
        )  # fmt: skip
        heard |= {_kind(sent) for sent in trial.requests if sent.url.startswith(base)} | (
            {"named"} if named else set()
        )
    return [rule for rule in ANSWERS if rule not in heard] if vendor else []


def unsaid(mapping: str, trials: list[Trial]) -> list[str]:
    """The codes of the vendor's own rules for the mapping's action that no dead letter of a trial has.

    Which of them the vendor ever says there nobody knows beforehand, so that they count as no gap.
    """
    plans = [trial.plan.mappings[mapping] for trial in trials if trial.plan is not None]
    if not plans or not isinstance(plans[0].sink, VendorSink):
        return []
    heard = {letter["code"] for trial in trials for letter in trial.letters if letter["mapping"] == mapping}
    rules = own_rules(type(plans[0].sink.vendor), plans[0].spec.action)
    return [code for code in rules if code not in heard]


def _kind(sent: Sent) -> str:
    status = sent.status
    if status is None or status in (408, 425, 429) or status >= 500:
        return "not-now"
    if status < 300:
        return "taken"
    return "halting" if status < 400 or status in (401, 403) else "refused"
