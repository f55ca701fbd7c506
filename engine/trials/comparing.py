"""What a test expects beside what became of it: each difference with its path in the pipeline file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.config.nodes import Path
from engine.trials.running import Trial

SHOWN = 300  # characters of a value in a message
_NOTHING: Any = object()


@dataclass(frozen=True)
class Difference:
    """`path` goes from the document's root to what was expected.

    `found` would do instead, at `edit` (the path itself, or what it stands in).
    """

    path: Path
    message: str
    found: Any = _NOTHING
    edit: Path | None = None

    @property
    def has_value(self) -> bool:
        return self.found is not _NOTHING


def differences(expect: Mapping[str, Any], trial: Trial, path: Path) -> list[Difference]:
    """Every difference; `path` is that of `expect`. Mappings that are not named do not count."""
    found: list[Difference] = []
    for word, wanted in expect.items():
        here = (*path, word)
        if word == "requests":
            found += _requests(wanted, trial, here)
        elif word == "counts":
            found += _counts(wanted, trial, here)
        elif word == "dead_letters":
            found += _letters(wanted, trial, here)
        elif word == "status":
            found += [] if wanted == trial.status else [_value(here, wanted, trial.status)]
        else:
            found += _payloads(word, wanted, trial, here)
    return [*found, *_unexpected(expect, trial, path)]


# --- payloads, requests, counts, dead letters ---------------------------------------------------------------------


def _payloads(mapping: str, wanted: Any, trial: Trial, path: Path) -> Iterator[Difference]:
    made = [one.payload for one in trial.payloads.get(mapping, ())]
    if len(wanted) != len(made):
        reasons = "".join(f"\n{reason}" for reason in _why(mapping, trial))
        message = f"{mapping}: expected {_several(len(wanted), 'payload')}, found {len(made)}{reasons}"
        yield Difference(path, message, renewed(wanted, made))
        return
    for at, (one, other) in enumerate(zip(wanted, made, strict=True)):
        yield from subset(one, other, (*path, at), f"{mapping}[{at}]")


def _why(mapping: str, trial: Trial) -> Iterator[str]:
    """Where payloads that were expected may have gone."""
    for letter in trial.letters:
        if letter["mapping"] in (mapping, None):
            yield f"record {letter['origin']['line']} was refused: {letter['code']}: {letter['reason']}"
    counts = trial.report.get("mappings", {}).get(mapping, {})
    if counts.get("filtered"):
        yield f"{_several(counts['filtered'], 'record')} left out by `when` or `skip`"


def _requests(wanted: Any, trial: Trial, path: Path) -> Iterator[Difference]:
    sent = [request.to_json() for request in trial.requests]
    if len(wanted) != len(sent):
        listed = "".join(f"\n{at}: {one['method']} {one['path']}" for at, one in enumerate(sent))
        message = f"expected {_several(len(wanted), 'request')}, found {len(sent)}{listed}"
        yield Difference(path, message, [{word: one[word] for word in ("method", "path", "body")} for one in sent])
        return
    for at, (one, other) in enumerate(zip(wanted, sent, strict=True)):
        yield from _request(one, other, (*path, at), f"request {at}")


def _request(wanted: Any, sent: dict[str, Any], path: Path, name: str) -> Iterator[Difference]:
    for word, value in wanted.items():
        here = (*path, word)
        if word == "headers":
            lower = {key.lower(): text for key, text in sent["headers"].items()}
            yield from subset({k.lower(): v for k, v in value.items()}, lower, here, f"{name}.headers")
        else:
            yield from subset(value, sent.get(word), here, f"{name}.{word}", exact=True)


def _counts(wanted: Mapping[str, Any], trial: Trial, path: Path) -> Iterator[Difference]:
    """By mapping, or over all of them."""
    mappings = trial.report.get("mappings", {})
    for word, value in wanted.items():
        if isinstance(value, dict):
            yield from subset(value, mappings.get(word, {}), (*path, word), f"counts.{word}")
        else:
            total = sum(counts.get(word, 0) for counts in mappings.values())
            if total != value:
                yield _value((*path, word), value, total, f"counts.{word}")


def _letters(wanted: Any, trial: Trial, path: Path) -> Iterator[Difference]:
    if len(wanted) != len(trial.letters):
        listed = "".join(f"\n{_letter(letter)}" for letter in trial.letters)
        message = f"expected {_several(len(wanted), 'dead letter')}, found {len(trial.letters)}{listed}"
        short = [{word: letter[word] for word in ("mapping", "stage", "code")} for letter in trial.letters]
        yield Difference(path, message, short)
        return
    for at, (one, letter) in enumerate(zip(wanted, trial.letters, strict=True)):
        for word, value in one.items():
            here, name = (*path, at, word), f"dead letter {at}: {word}"
            if word == "reason":
                if value not in letter["reason"]:
                    yield Difference(here, f"{name}: {_shown(value)} is no part of {_shown(letter['reason'])}",
                                     letter["reason"])  # fmt: skip
            else:
                line = letter["origin"]["line"]
                yield from subset(value, line if word == "line" else letter.get(word), here, name)


def _unexpected(expect: Mapping[str, Any], trial: Trial, path: Path) -> Iterator[Difference]:
    """A run that halted, and refusals of mappings that the test is about, are never passed over in silence."""
    if "status" not in expect and trial.status not in ("succeeded", "partial"):
        reason = str(trial.error) if trial.error is not None else trial.status
        yield Difference(path, f"the run {'could not begin' if not trial.report else 'halted'}: {reason}")
    if "dead_letters" in expect or "counts" in expect:
        return
    for letter in trial.letters:
        named = letter["mapping"] in expect and letter["stage"] in ("vendor", "payload")
        if named and len(expect[letter["mapping"]]) == len(trial.payloads[letter["mapping"]]):
            message = f"{_letter(letter)}\nwhere that is meant, say so: `dead_letters: [{{code: {letter['code']}}}]`"
            yield Difference((*path, letter["mapping"]), message)


def _letter(letter: Mapping[str, Any]) -> str:
    name = letter["mapping"] or letter["source"]
    return f"record {letter['origin']['line']}, {name}: {letter['code']}: {letter['reason']}"


# --- values ---------------------------------------------------------------------------------------------------------


def subset(wanted: Any, found: Any, path: Path, name: str, *, exact: bool = False) -> Iterator[Difference]:
    """Where `found` is not what was wanted. A map may have more keys, unless `exact`; a list has the same members."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            if key in found:
                yield from subset(value, found[key], (*path, key), f"{name}.{key}", exact=exact)
            else:
                message = f"{name}.{key}: expected {_shown(value)}, found nothing"
                yield Difference((*path, key), message, as_expected(wanted, found), path)
        more = [key for key in found if key not in wanted] if exact else []
        if more:
            yield Difference(path, f"{name}: found more than was expected: {', '.join(more)}", found)
    elif isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            yield _value(path, wanted, found, name)
            return
        for at, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from subset(one, other, (*path, at), f"{name}[{at}]", exact=exact)
    elif not same(wanted, found):
        yield _value(path, wanted, found, name)


def same(wanted: Any, found: Any) -> bool:
    """Equal as JSON: `1` and `1.0` are one number, `1`, `"1"` and `true` are three things."""
    if isinstance(wanted, bool) or isinstance(found, bool):
        return wanted is found
    return (type(wanted) is type(found) or _are_numbers(wanted, found)) and bool(wanted == found)


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _value(path: Path, wanted: Any, found: Any, name: str = "") -> Difference:
    name = name or str(path[-1])
    return Difference(path, f"{name}: expected {_shown(wanted)}, found {_shown(found)}", found)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} …"


def _several(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def as_expected(wanted: Any, found: Any) -> Any:
    """What was found, as far as it was asked for."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return {key: as_expected(wanted[key], found[key]) for key in wanted if key in found}
    return found


def renewed(wanted: Sequence[Any], found: Sequence[Any]) -> list[Any]:
    """Found members, each only with the keys that the expected one in its place had; new ones whole."""
    return [as_expected(wanted[at], one) if at < len(wanted) else one for at, one in enumerate(found)]
