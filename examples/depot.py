"""A vendor in under sixty lines: a depot that takes parcels, tells where they are, and lists what came back."""

from typing import ClassVar

from engine.plugin import Download, Records, Table, TurnedAway, Vendor, action, get, lookup, post, reader, rejected

TEXT = {"type": "string", "minLength": 1}
ACCOUNT = {"token": {**TEXT, "x-secret": True}, "base_url": TEXT}


class Depot(Vendor):
    """The constructor's parameters are the settings, the methods' names the words of the pipeline file."""

    schema: ClassVar = {
        "type": "object", "properties": ACCOUNT, "required": ["token"],
        "$defs": {"parcels": {"type": "object", "properties": {"id": TEXT, "to": TEXT}, "required": ["id", "to"]}},
    }  # fmt: skip

    def __init__(self, *, token, base_url="https://depot.example/api"):
        self.token, self.base_url = token, base_url.rstrip("/")

    def headers(self):
        return {"X-Depot-Token": self.token}  # goes to the depot's own origin only

    @action(max_records=100, max_bytes=1_000_000, rate=10, key=lambda parcel: parcel["id"])
    def parcels(self, parcels):
        """Announce parcels. The answer names those that it will not take."""
        reply = yield post("/parcels", {"parcels": parcels})
        return {bad["index"]: rejected("not-taken", bad["why"]) for bad in reply["refused"]}

    @lookup(concurrency=4)
    def where(self, parcel):
        """Where a parcel is; None for one that the depot does not know."""
        try:
            reply = yield get("/where", params={"parcel": parcel})
        except TurnedAway as answer:
            if answer.response.status == 404:
                return None
            raise
        return reply["place"]

    @reader()
    def depot_returns(self, since="", details=False):
        """What came back: one record for each; with `details`, the rows of the depot's own file."""
        page = 1
        while page:
            reply = yield get("/returns", params={"since": since, "page": str(page)})
            yield Records("returns", reply["returns"])
            page = reply["next"]
        if details:
            grant = yield post("/returns/file", {"since": since})
            file = yield Download(grant["url"], name=f"returns since {since}")
            yield Table("details", file, "csv", extra={"timestamp": since})


class Where(Depot):
    schema: ClassVar = {**Depot.schema, "$defs": {"with": {"type": "object", "properties": {"parcel": TEXT}}}}


class Returns(Depot):
    schema: ClassVar = {
        "type": "object", "required": ["token"],
        "properties": {**ACCOUNT, "since": {"type": "string"}, "details": {"type": "boolean"}},
    }  # fmt: skip
