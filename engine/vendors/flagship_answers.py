"""What the Decision API's answer says: the variations that a visitor was given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.plugin import Response, Unreadable
from engine.vendors.buckets import Decision, Finding
from engine.vendors.buckets.document import Variation, shown


def read_campaigns(answer: Response) -> Decision:
    """The decision of an answer of success. Malformed campaigns are named in its `problems` and skipped.

    204 and an empty body are "no campaigns". Raises `Unreadable` for a body that is no JSON, or a bare value.
    """
    if answer.status == 204 or not answer.body:
        return Decision()
    said = answer.json()
    if isinstance(said, list):
        return Decision()
    if said is not None and not isinstance(said, dict):
        raise Unreadable(f"HTTP {answer.status} with {shown(said)} where campaigns are expected")
    panic = {} if said is None else said.get("panic", False)
    if panic is True:
        return Decision(panic=True)
    if said is None or (panic is not False and panic != 0):
        odd = "the answer is null" if said is None else f"panic is {shown(panic)}"
        return Decision(problems=[Finding("malformed-answer", "campaigns", f"{odd}; none is used")])
    problems: list[Finding] = []
    return Decision(list(_variations(said.get("campaigns"), problems)), False, problems)


def _variations(campaigns: Any, problems: list[Finding]) -> Iterator[Variation]:
    if not isinstance(campaigns, list):
        problems.append(Finding("malformed-answer", "campaigns", "should be a list; none is used"))
        return
    for number, campaign in enumerate(campaigns):
        try:
            yield _variation(campaign)
        except (KeyError, TypeError) as error:
            missing = error.args[0] if isinstance(error, KeyError) else "what is needed"
            text = f"lacks {missing}; it is skipped"
            problems.append(Finding("malformed-campaign", f"campaigns[{number}]", text))


def _variation(campaign: Any) -> Variation:
    name, group, variation = campaign["id"], campaign["variationGroupId"], campaign["variation"]
    modifications = variation["modifications"]
    _ = modifications["type"]
    if not isinstance(modifications["value"], dict):
        raise KeyError("modifications.value")
    if not all(isinstance(one, str | int) for one in (name, group, variation["id"])):
        raise KeyError("ids that are texts")
    assignment = {
        "campaignId": name,
        "variationGroupId": group,
        "variationId": variation["id"],
        "isReference": bool(variation.get("reference", False)),
    }
    return Variation(variation["id"], 0, modifications["value"], assignment)
