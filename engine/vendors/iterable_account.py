"""An Iterable project: its address and key, its settings, and what they ask of every payload."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from engine.plugin import InvalidPipeline, Payloads, Response, Secret, Vendor, Verdict
from engine.vendors import iterable_checks as checks
from engine.vendors import iterable_payloads as payload
from engine.vendors.iterable_dates import in_data, in_document
from engine.vendors.iterable_refusals import refusal

BASES = {"us": "https://api.iterable.com/api", "eu": "https://api.eu.iterable.com/api"}
CHOICES = {
    "project_type": ("email", "user_id", "hybrid"),
    "event_id": ("auto", "field", "none"),
    "dates": ("as_is", "iterable"),
    "created_at": ("seconds", "milliseconds"),
}

BATCH = 1000  # of anything that goes in bulk: no count is published, everybody sends 1,000
BYTES = 3_800_000  # of the 4 MB that the service takes: room for the flags
LIST_CALLS, CALLS = 5, 100  # requests a second where no limit is published: our own


class Account(Vendor):
    """A key belongs to one project and so to one data centre.

    `project_type` is by what the project tells people apart; payloads that it cannot take are then refused unsent.
    `create_new_fields`, `merge_nested_objects` and `prefer_user_id` are sent with every payload that does not say so
    itself; None leaves them to the project. `event_id` says where the ids of events and purchases come from, by which
    Iterable folds repeats: `auto` takes the payload's own, else one the engine derives from the record; `field` asks
    every payload for its own; `none` adds none, so that a repeat after a lost answer could double.

    `dates: iterable` writes the date-times in data fields as the service reads them. `created_at` is the unit of
    `createdAt`; values go out as they are, and one that looks like the other unit is noted.
    """

    as_person: checks.Step | None = None
    as_event: checks.Step | None = None
    as_purchase: checks.Step | None = None
    as_cart: checks.Step | None = None
    as_deletion: checks.Step | None = None
    as_merge: checks.Step | None = None
    as_document: checks.Step | None = None

    def __init__(
        self,
        *,
        api_key: Secret,
        data_center: str = "us",
        base_url: str | None = None,
        project_type: str | None = None,
        create_new_fields: bool | None = None,
        merge_nested_objects: bool | None = None,
        prefer_user_id: bool | None = None,
        event_id: str = "auto",
        dates: str = "as_is",
        created_at: str = "seconds",
    ) -> None:
        if base_url is None and data_center not in BASES:
            raise InvalidPipeline(f"data_center is {data_center!r}: Iterable has {' and '.join(BASES)}")
        _one_of_its_choices(project_type=project_type, event_id=event_id, dates=dates, created_at=created_at)
        self.base_url = (base_url or BASES[data_center]).rstrip("/")
        self.api_key = api_key
        self.project_type, self.created_at = project_type, created_at
        self.stable_ids = event_id == "auto"
        self.new_fields = payload.flags(createNewFields=create_new_fields)
        self.prefer = payload.flags(preferUserId=prefer_user_id)
        self.user_flags = {**self.prefer, **payload.flags(mergeNestedObjects=merge_nested_objects)}
        self._prepare(own_ids=event_id == "field", dates=dates == "iterable")

    def _prepare(self, *, own_ids: bool, dates: bool) -> None:
        """What is done to payloads of each kind before they are sent; None where nothing is."""
        known, by, both = checks.person(self.project_type), checks.by_user_id(self.project_type), checks.chain
        ids, data = checks.has_id if own_ids else None, in_data if dates else None
        self.as_person = both(known, data)
        self.as_event = both(by, ids, data)
        self.as_cart = both(checks.within("user", known), data)
        self.as_purchase = both(ids, self.as_cart)
        self.as_deletion = both(checks.one_identifier, by)
        self.as_merge = checks.merges(self.project_type)
        self.as_document = both(in_document if dates else None, checks.document)

    def headers(self) -> Mapping[str, str | Secret]:
        return {"Api-Key": self.api_key}

    def refusal(self, answer: Response, payloads: Payloads) -> Mapping[int, Verdict] | None:
        return refusal(answer, payloads)

    def mended(self, refused_payload: Any) -> Any:
        return payload.mended(refused_payload)

    def expects(self, action: str, parameters: Collection[str]) -> None:
        if action == "update_email" and self.project_type in ("user_id", "hybrid"):
            raise InvalidPipeline(
                "update_email: only projects by e-mail address change addresses so; "
                "write update_user with the new one as dataFields.email"
            )


def _one_of_its_choices(**settings: str | None) -> None:
    for name, value in settings.items():
        if value is not None and value not in CHOICES[name]:
            raise InvalidPipeline(f"{name} is {value!r}: it can be {', '.join(CHOICES[name])}")
