"""A pretend Lumidatum model: what was loaded into it, what it recommends, what its reports say. All of it repeats."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

KINDS = {"users": "user_id", "items": "item_id", "transactions": "transaction_id", "feedback": "feedback_id"}
REPORTS = ("LTV", "SEG")
SUB_TYPES = ("high_value",)
DATES = ("2017-07-07T19:41:55Z", "2017-07-14T19:40:02Z", "2017-07-21T19:48:16Z")
ZIPPED = DATES[1:]  # the oldest exists plain only
HIGH = 200.0
MANY = 10


class Model:
    """One model. `tables` hold records by their ids; `kept` are reports that were put there by hand, by key."""

    def __init__(self, name: str, *, demo: bool) -> None:
        self.name = name
        self.tables: dict[str, dict[Any, Any]] = {kind: {} for kind in KINDS}
        self.kept: dict[str, bytes] = {}
        if demo:
            self._demonstrate()

    def _demonstrate(self) -> None:
        """A small shop, so that there is something to recommend and to report."""
        for n in range(1, 21):
            self.store("users", {"id": n, "email": f"customer{n}@shop.test"})
        for n in range(1, 13):
            self.store("items", {"id": 100 + n, "title": f"Item {n}", "price": 5.0 * n})
        for n in range(1, 61):
            customer, total = 1 + _chance("who", n) % 20, round(5 + _chance("what", n) % 9000 / 100, 2)
            self.store("transactions", {"id": f"demo-{n}", "user_id": customer, "total": total})

    def store(self, kind: str, record: Mapping[str, Any]) -> None:
        """Writes or updates a record by its id; one without an id is another one."""
        table = self.tables[kind]
        key = record.get("id", record.get(KINDS[kind]))
        name = (len(table), "without id") if key is None else str(key)
        table[name] = {**table.get(name, {}), **record}

    # --- models -----------------------------------------------------------------------------------------------

    def predict(self, asked: Any) -> Any:
        """Every item has a score for every customer; the best come first."""
        wanted: Mapping[str, Any] = asked if isinstance(asked, dict) else {}
        customer, many = wanted.get("customer_id"), wanted.get("num_of_recs", MANY)
        without = {str(one) for one in wanted.get("exc_prod_ids") or []}
        scored = [
            (round(_chance(str(customer), name) % 10_001 / 10_000, 4), name, item)
            for name, item in self.tables["items"].items()
            if str(name) not in without
        ]
        scored.sort(key=lambda one: (-one[0], str(one[1])))
        found = [(item.get("id", name), score, item) for score, name, item in scored[:many]]
        if wanted.get("human_readable"):
            answers: list[Any] = [
                {"product_id": name, "product_description": item.get("title", item.get("name"))}
                for name, _, item in found
            ]
        else:
            answers = [[name, score] for name, score, _ in found]
        model = int(self.name) if self.name.isdecimal() else self.name
        return {
            "model_id": model, "order_id": wanted.get("order_id"), "customer_id": customer, "created_at": DATES[-1],
            "recommendations": answers,
        }  # fmt: skip

    def value(self, asked: Any) -> Any:
        """Lifetime values: of one customer, of a list of them, or of all."""
        if isinstance(asked, list):
            return [self.value(one) for one in asked]
        customer = asked.get("customer_id") if isinstance(asked, dict) else None
        if customer is None:
            return [{"customer_id": name, "ltv": value} for name, value in self._values().items()]
        return {"customer_id": customer, "ltv": self._values().get(str(customer), 0.0)}

    def segments(self, asked: Any) -> Any:
        """Segments: of one customer, or of all."""
        customer = asked.get("customer_id") if isinstance(asked, dict) else None
        values = self._values()
        if customer is not None:
            return {"customer_id": customer, "segment": _segment(values.get(str(customer), 0.0))}
        names = sorted({_segment(value) for value in values.values()})
        return {"segments": [{"name": n, "ids": [c for c, v in values.items() if _segment(v) == n]} for n in names]}

    def _values(self) -> dict[str, float]:
        """What each known customer has spent so far."""
        found: dict[str, float] = dict.fromkeys(map(str, self.tables["users"]), 0.0)
        for sale in self.tables["transactions"].values():
            customer = sale.get("user_id", sale.get("customer_id"))
            total = sale.get("total", 0)
            if customer is not None and isinstance(total, (int, float)):
                found[str(customer)] = round(found.get(str(customer), 0.0) + total, 2)
        return found

    # --- reports ----------------------------------------------------------------------------------------------

    def keys(self, kind: str, sub_type: str, *, zipped: bool) -> list[str]:
        """The keys of the reports there are, oldest first."""
        folder = "/".join(part for part in ("reports", self.name, kind, sub_type) if part)
        ending = ".csv.zip" if zipped else ".csv"
        own = [key for key in self.kept if key.startswith(f"{folder}/") and key.endswith(ending)]
        if own:
            return sorted(own)
        if kind not in REPORTS or (sub_type and sub_type not in SUB_TYPES) or not self._values():
            return []
        return [f"{folder}/{date.replace(':', '')}{ending}" for date in (ZIPPED if zipped else DATES)]

    def report(self, key: str) -> bytes:
        """The content of a report; `KeyError` where there is none of that key."""
        if key in self.kept:
            return self.kept[key]
        _, _, kind, *sub, _ = key.split("/")
        zipped = key.endswith(".zip")
        if key not in self.keys(kind, "".join(sub), zipped=zipped):
            raise KeyError(key)
        text = _table(kind, [(c, v) for c, v in self._values().items() if not sub or v >= HIGH])
        return _zip(text, f"{kind.lower()}.csv") if zipped else text


def date_of(key: str) -> str:
    """The date of a report by its key: `2017-07-21T194816Z` is 19:48:16."""
    name = key.rpartition("/")[2].partition(".")[0]
    at = name.find("T")
    time = name[at + 1 :].rstrip("Z")
    return f"{name[:at]}T{time[:2]}:{time[2:4]}:{time[4:]}Z" if at > 0 and len(time) == 6 else name


def _segment(value: float) -> str:
    return "high_value" if value >= HIGH else "active" if value > 0 else "new"


def _table(kind: str, values: Sequence[tuple[str, float]]) -> bytes:
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    rows.writerow(["customer_id", "ltv" if kind == "LTV" else "segment"])
    rows.writerows((c, f"{v:.2f}" if kind == "LTV" else _segment(v)) for c, v in values)
    return out.getvalue().encode()


def _zip(content: bytes, name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name, (2017, 7, 21, 19, 48, 16)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _chance(*of: Any) -> int:
    return crc32("\0".join(map(str, of)).encode("utf-8", "surrogatepass"))
