"""What a pretend Iterable project does with single people: their addresses, merging, deletion, devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from engine.plugin import Response
from engine.sandbox.iterable_people import Failed, People, Person
from engine.sandbox.iterable_reports import Refused, plainly, success

DEVICES = 500  # of one person


class Accounts:
    """`rows` are the stored events and purchases by their ids: those of somebody merged become the other's."""

    def __init__(self, people: People, *rows: dict[str, Any]) -> None:
        self._people, self._rows = people, rows

    def update_email(self, said: Mapping[str, Any]) -> Response:
        """A hybrid project takes it too: what it would say is not told anywhere."""
        if self._people.project == "user_id":
            raise Refused(400, "BadParams", "updateEmail is for projects by e-mail address")
        by = "currentEmail" if said.get("currentEmail") else "currentUserId"
        person = self._somebody(said.get("currentEmail"), None if by == "currentEmail" else said.get(by))
        wanted = said["newEmail"]
        self._well_formed({"email": wanted})
        if self._people.by_email.get(wanted.lower(), person) is not person:
            raise Refused(400, "EmailAlreadyExists", "Email already exists")
        self._people.rename(person, email=wanted)
        return success()

    def merge(self, said: Mapping[str, Any]) -> Response:
        email, user_id = said.get("destinationEmail"), said.get("destinationUserId")
        self._well_formed({"email": email, "userId": user_id})
        source = self._somebody(said.get("sourceEmail"), said.get("sourceUserId"))
        destination = self._found(email, user_id)
        if destination is None:
            self._people.rename(source, email=email, user_id=user_id)
        elif destination is not source:
            self._join(source, destination, said.get("arrayMerge") or [])
        return success()

    def delete(self, _: Any, by: str, name: str) -> Response:
        name = unquote(name)
        if by and self._people.project == "email":  # several people may share a userId
            found = [person for person in self._people.everybody if person.user_id == name]
        else:
            one = self._found(None, name) if by else self._found(name, None)
            found = [one] if one is not None else []
        if not found or (not by and self._people.project == "user_id"):
            raise Refused(400, "BadParams", "User does not exist")
        for person in found:
            self._people.remove(person)
        return success()

    def register(self, said: Mapping[str, Any]) -> Response:
        if said["device"]["platform"] not in ("APNS", "APNS_SANDBOX", "GCM"):
            raise Refused(400, "BadParams", "Unknown platform")
        try:
            self._people.check(said)
            person = self._people.upsert(said, {})
        except Failed as failed:
            raise plainly(failed) from None
        device = said["device"]
        if device["token"] not in person.devices and len(person.devices) >= DEVICES:
            raise Refused(400, "BadParams", f"User has {DEVICES} devices")
        person.devices[device["token"]] = device
        return success()

    # --- whom it concerns ----------------------------------------------------------------------------------

    def _well_formed(self, row: Mapping[str, Any]) -> None:
        try:
            self._people.check(row)
        except Failed as failed:
            raise plainly(failed) from None

    def _found(self, email: str | None, user_id: str | None) -> Person | None:
        if email:
            return self._people.by_email.get(email.lower())
        return self._people.by_user_id.get(user_id) if user_id else None

    def _somebody(self, email: str | None, user_id: str | None) -> Person:
        self._well_formed({"email": email, "userId": user_id})
        person = self._found(email, user_id)
        if person is None:
            code = "UnknownEmailError" if email else "UnknownUserIdError"
            raise Refused(400, code, "No user with that identifier exists")
        return person

    def _join(self, source: Person, destination: Person, arrays: list[Any]) -> None:
        """What the destination has stays; arrays that are named are put together."""
        own = destination.fields
        for array in arrays:
            name, by = array["field"], array.get("dedupeBy")
            both = [*own.get(name, []), *source.fields.get(name, [])]
            if both:
                own[name] = list({repr(one.get(by) if by else one): one for one in both}.values())
        destination.fields = {**source.fields, **own}
        destination.lists |= source.lists
        destination.devices = {**source.devices, **destination.devices}
        for stored in (row for rows in self._rows for row in rows.values()):
            _move(stored.get("user", stored), source, destination)
        self._people.remove(source)


def _move(row: dict[str, Any], source: Person, destination: Person) -> None:
    own = {"email": source.email, "userId": source.user_id}
    theirs = [name for name, identifier in own.items() if identifier is not None and row.get(name) == identifier]
    if theirs:
        for name in theirs:
            del row[name]
        new = {"email": destination.email, "userId": destination.user_id}
        row.update({name: identifier for name, identifier in new.items() if identifier is not None})
