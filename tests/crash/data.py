"""The customers of the campaigns, the pipeline that carries them, and what must become of each."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

LANES, BATCH = 4, 25
KEY = "crash-test-key-0123456789"

PIPELINE = """
version: 1
name: crash
sources:
  customers: {type: file, path: customers.jsonl, key: id}
sinks:
  crm:
    type: iterable
    api_key: "${ITERABLE_API_KEY}"
    base_url: "${ITERABLE_URL}"
    event_id: EVENT_ID
    concurrency: 4
    rate_limit: {requests: 0}
    batch: {max_records: 25}
    retry: {initial: 5ms, max: 20ms}
mappings:
  profiles:
    from: customers
    to: crm.update_user
    fields: {email: "{{ record.email }}", dataFields: {n: "{{ record.n | int }}"}}
  visits:
    from: customers
    to: crm.track_event
    each: "{{ record.visits }}"
    fields: {email: "{{ record.email }}", eventName: Visit, dataFields: {of: "{{ record.id }}", at: "{{ item }}"}}
  orders:
    from: customers
    to: crm.track_purchase
    when: "{{ record.orders }}"
    fields:OWN_ID
      user: {email: "{{ record.email }}"}
      items: [{id: "1", name: Thing, price: 1.5, quantity: 1}]
      total: 1.5
      dataFields: {of: "{{ record.id }}"}
"""


def pipeline(*, ids: bool = True) -> str:
    """The file. With `ids` events have ids that the engine makes, and purchases their own; else there are none."""
    own = '\n      id: "order-{{ record.id }}"' if ids else ""
    return PIPELINE.replace("EVENT_ID", "auto" if ids else "none").replace("OWN_ID", own)


@dataclass
class Data:
    """The customers, and what must become of them. Every tenth row is a later one of an earlier row's person."""

    rows: int
    lines: list[str] = field(default_factory=list)
    users: set[str] = field(default_factory=set)
    last: dict[str, int] = field(default_factory=dict)  # the number that a person must have in the end
    visits: Counter[tuple[str, int]] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    refused: set[tuple[str, int]] = field(default_factory=set)  # mapping (or source) and line

    @classmethod
    def make(cls, rows: int) -> Data:
        data = cls(rows)
        for n in range(rows):
            data._add(n)
        return data

    @property
    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def _add(self, n: int) -> None:
        kind = n % 97
        if kind == 13:
            self.lines.append('{"id": broken')
            self.refused.add(("customers", n + 1))
            return
        person = n - 5 if n % 10 == 9 else n
        email = f"bad-{n}" if kind == 29 else f"u{person}@shop.test"
        number: Any = "old" if kind == 53 else n
        row = {"id": f"c{n}", "email": email, "n": number, "visits": list(range(n % 4)), "orders": n % 6 == 0}
        self.lines.append(json.dumps(row))
        (self._expect_nothing if kind == 29 else self._expect)(n, row)

    def _expect_nothing(self, n: int, row: dict[str, Any]) -> None:
        """Every vendor refuses such an address: a dead letter for each mapping that sends it."""
        self.refused.add(("profiles", n + 1))
        self.refused |= {("visits", n + 1)} if row["visits"] else set()
        self.refused |= {("orders", n + 1)} if row["orders"] else set()

    def _expect(self, n: int, row: dict[str, Any]) -> None:
        email = row["email"]
        if row["n"] == "old":
            self.refused.add(("profiles", n + 1))
        else:
            self.last[email] = n
        if row["n"] != "old" or row["visits"] or row["orders"]:  # an event or an order makes its person known
            self.users.add(email)
        self.visits.update((row["id"], at) for at in row["visits"])
        self.orders.update([row["id"]] if row["orders"] else [])
