"""The people of a pretend Iterable project: who is found by which identifier, and what an update does to them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.sandbox.iterable_shapes import is_email, is_user_id

LISTS = ("invalid", "notFound", "invalidData", "conflict", "forgotten")


@dataclass(slots=True)
class Person:
    email: str | None = None  # in lower case
    user_id: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    cart: list[Any] = field(default_factory=list)
    lists: set[int] = field(default_factory=set)
    subscriptions: dict[str, list[int]] = field(default_factory=dict)  # by the name that requests give each list
    devices: dict[str, Any] = field(default_factory=dict)  # by token

    def shown(self) -> dict[str, Any]:
        """What is known of them, as a JSON value; what only some have is left out where there is none."""
        more = {"cart": self.cart, "lists": sorted(self.lists), "devices": list(self.devices.values())}
        known = {"email": self.email, "userId": self.user_id, "dataFields": self.fields, **self.subscriptions}
        return known | {name: value for name, value in more.items() if value}


class Failed(Exception):
    """A row that cannot be stored: the list of `failedUpdates` that names it, and the identifiers to name."""

    def __init__(self, kind: str, *, email: str | None = None, user_id: str | None = None) -> None:
        super().__init__(kind)
        self.kind, self.email, self.user_id = kind, email, user_id


class People:
    """`project` is `hybrid` (both identifiers unique), `email` or `user_id` (the one that is)."""

    def __init__(self, project: str, forgotten: list[str]) -> None:
        self.project = project
        self.by_email: dict[str, Person] = {}
        self.by_user_id: dict[str, Person] = {}
        self.everybody: list[Person] = []
        self._forgotten = {one.lower() if "@" in one else one for one in forgotten}

    def check(self, row: Mapping[str, Any]) -> None:
        """Raises `Failed` for malformed identifiers and erased people, at top level or asked for in dataFields."""
        for members in (row, row.get("dataFields") or {}):
            email, user_id = members.get("email"), members.get("userId")
            if email is not None and not is_email(email):
                raise Failed("invalid", email=str(email))
            if user_id is not None and not is_user_id(user_id):
                raise Failed("invalid", user_id=str(user_id))
            if email is not None and email.lower() in self._forgotten:
                raise Failed("forgotten", email=email.lower())
            if user_id is not None and user_id in self._forgotten:
                raise Failed("forgotten", user_id=user_id)

    def find(self, row: Mapping[str, Any]) -> Person | None:
        """The person whom a row means; raises `Failed` where its identifiers belong to two people."""
        email, user_id = row.get("email"), row.get("userId")
        by_email = self.by_email.get(email.lower()) if email else None
        by_user_id = self.by_user_id.get(user_id) if user_id else None
        if self.project == "email":
            return by_email if email else by_user_id
        if self.project == "user_id":
            return by_user_id
        if by_email and by_user_id and by_email is not by_user_id:
            raise Failed("conflict", email=email, user_id=user_id)
        return by_email or by_user_id

    def knows(self, row: Mapping[str, Any]) -> bool:
        """Is there anybody by one of the row's identifiers? Events of two people are no conflict."""
        email, user_id = row.get("email"), row.get("userId")
        return bool(email and email.lower() in self.by_email) or bool(user_id and user_id in self.by_user_id)

    def upsert(self, row: Mapping[str, Any], fields: Mapping[str, Any]) -> Person:
        """Creates or updates; raises `Failed`, and then nothing has changed."""
        person = self.find(row)
        self._asked_for(person, fields)
        person = person or self._new(row)
        self._name(person, row.get("email"), row.get("userId"))
        merge(person.fields, _without_identifiers(fields), deep=bool(row.get("mergeNestedObjects")))
        self._name(person, fields.get("email"), fields.get("userId"))
        return person

    def rename(self, person: Person, *, email: str | None = None, user_id: str | None = None) -> None:
        """Another identifier; the old one is free."""
        self._name(person, email, user_id)

    def remove(self, person: Person) -> None:
        self.everybody.remove(person)
        for index, name in ((self.by_email, person.email), (self.by_user_id, person.user_id)):
            if name is not None and index.get(name) is person:
                del index[name]

    def _new(self, row: Mapping[str, Any]) -> Person:
        email, user_id = row.get("email"), row.get("userId")
        if self.project == "user_id" and not user_id:
            raise Failed("invalid", email=email)
        if self.project == "email" and not email:
            if not row.get("preferUserId"):
                raise Failed("invalid", user_id=user_id)
            email = f"{hashlib.sha256(str(user_id).encode()).hexdigest()[:16]}@placeholder.email"
        person = Person(email.lower() if email else None, user_id)
        self.everybody.append(person)
        self._name(person, email, user_id)
        return person

    def _asked_for(self, person: Person | None, fields: Mapping[str, Any]) -> None:
        """An identifier asked for in dataFields must not be somebody else's, where it has to be unique."""
        email, user_id = fields.get("email"), fields.get("userId")
        if email is not None and self.project != "user_id" and self.by_email.get(email.lower(), person) is not person:
            raise Failed("conflict", email=email)
        if user_id is not None and self.project != "email" and self.by_user_id.get(user_id, person) is not person:
            raise Failed("conflict", user_id=user_id)

    def _name(self, person: Person, email: str | None, user_id: str | None) -> None:
        if email:
            if person.email and self.by_email.get(person.email) is person:
                del self.by_email[person.email]
            person.email = email.lower()
            self.by_email[person.email] = person
        if user_id:
            if person.user_id and self.by_user_id.get(person.user_id) is person:
                del self.by_user_id[person.user_id]
            person.user_id = user_id
            self.by_user_id[user_id] = person


def _without_identifiers(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in ("email", "userId")}


def merge(stored: dict[str, Any], fields: Mapping[str, Any], *, deep: bool) -> None:
    """Top-level fields replace what is stored, null empties; `deep` merges the keys of objects."""
    for name, value in fields.items():
        if value is None:
            stored.pop(name, None)
        elif deep and isinstance(value, dict) and isinstance(stored.get(name), dict):
            stored[name] = dict(stored[name])
            merge(stored[name], value, deep=True)
        else:
            stored[name] = value
