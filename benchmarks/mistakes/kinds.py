"""The mistakes: what each is, and how it is made in the file of each tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROJECTS = Path(__file__).parent / "projects"
"""A correct project for every tool: customers, their e-mail addresses folded, a campaign's name beside them."""

KINDS = {
    "key": "typo in a key",
    "type": "wrong type",
    "missing": "missing setting",
    "enum": "bad enum",
    "duplicate": "duplicate key",
    "filter": "unknown filter",
    "column": "unknown column",
    "variable": "undefined variable",
    "name": "undefined name in an expression",
    "unset": "variable that nobody sets",
    "yaml": "broken YAML",
    "five": "five at once: key, type, enum, filter, column",
}


@dataclass(frozen=True)
class Mistake:
    """Texts of one file, each there once, and what they become.

    `wrong` are the words at fault, `mend` the word that would do, where one would. `unset` is a variable of the
    environment that is left out. `anywhere`: broken syntax shows where a reader trips, which is as good a place.
    """

    file: str
    edits: tuple[tuple[str, str], ...]
    wrong: tuple[str, ...]
    mend: str = ""
    unset: str = ""
    anywhere: bool = False

    def applied(self, text: str) -> str:
        """The wrong text."""
        for old, new in self.edits:
            if text.count(old) != 1:
                raise ValueError(f"{self.file}: {old!r} is there {text.count(old)} times")
            text = text.replace(old, new)
        return text

    def lines(self, text: str) -> set[int]:
        """The lines of the wrong text that it may be found on: those that changed, and the ones before them."""
        if self.unset:
            return {at for at, line in enumerate(text.split("\n"), 1) if self.unset in line}
        right, wrong = text.split("\n"), self.applied(text).split("\n")
        changed = {at for at, line in enumerate(wrong, 1) if line not in right}
        if len(wrong) < len(right):  # a line is gone: what lacks it stands above
            changed |= {at for at in range(1, len(wrong) + 1) if right[at - 1] != wrong[at - 1]}
            changed = {min(changed)}
        changed |= {at - 1 for at in changed}
        return set(range(min(changed), len(wrong) + 2)) if self.anywhere else changed


SHOP, SYNC, MANIFEST = "shop.yaml", "syncs/profiles.yml", "manifest.yaml"
ENGINE = {
    "key": Mistake(SHOP, (("concurrency: 2", "concurency: 2"),), ("concurency",), "concurrency"),
    "type": Mistake(SHOP, (("concurrency: 2", "concurrency: two"),), ("concurrency",)),
    "missing": Mistake(SHOP, (('path: "${SHOP_FILE}", ', ""),), ("path",)),
    "enum": Mistake(SHOP, (("format: csv", "format: cvs"),), ("cvs",), "csv"),
    "duplicate": Mistake(SHOP, (('"{{ record.id }}"\n', '"{{ record.id }}"\n      userId: "7"\n'),), ("userId",)),
    "filter": Mistake(SHOP, (("| lower", "| lowr"),), ("lowr",), "lower"),
    "column": Mistake(SHOP, (("record.email", "record.emial"),), ("emial",), "email"),
    "variable": Mistake(SHOP, (("vars.campaign", "vars.campain"),), ("campain",), "campaign"),
    "name": Mistake(SHOP, (("{{ record.email", "{{ recrod.email"),), ("recrod",), "record"),
    "unset": Mistake(SHOP, (), ("SHOP_FILE",), unset="SHOP_FILE"),
    "yaml": Mistake(SHOP, (("name: shop", 'name: "shop'),), (), anywhere=True),
    "five": Mistake(SHOP, (
        ("concurrency: 2", "concurency: 2"), ("requests: 5", "requests: five"), ("format: csv", "format: cvs"),
        ("record.email | lower", "record.email | lowr"), ("record.id }}", "record.idd }}"),
    ), ("concurency", "requests", "cvs", "lowr", "idd")),
}  # fmt: skip
DRT = {
    "key": Mistake(SYNC, (("batch_size: 100", "batch_sise: 100"),), ("batch_sise",), "batch_size"),
    "type": Mistake(SYNC, (("batch_size: 100", "batch_size: many"),), ("batch_size",)),
    "missing": Mistake(SYNC, (("  url: ${SHOP_URL}\n", ""),), ("url",)),
    "enum": Mistake(SYNC, (("mode: full", "mode: ful"),), ("mode",), "full"),
    "duplicate": Mistake(SYNC, (("batch_size: 100\n", "batch_size: 100\n  batch_size: 7\n"),), ("batch_size",)),
    "filter": Mistake(SYNC, (("row.email | lower", "row.email | lowr"),), ("lowr",), "lower"),
    "column": Mistake(SYNC, (("row.email | lower", "row.emial | lower"),), ("emial",), "email"),
    "variable": Mistake(SYNC, (("var('campaign')", "var('campain')"),), ("campain",), "campaign"),
    "name": Mistake(SYNC, (("{{ row.email", "{{ rwo.email"),), ("rwo",), "row"),
    "unset": Mistake(SYNC, (), ("SHOP_URL",), unset="SHOP_URL"),
    "yaml": Mistake(SYNC, (("name: profiles", 'name: "profiles'),), (), anywhere=True),
    "five": Mistake(SYNC, (
        ("batch_size: 100", "batch_sise: 100"), ("requests_per_second: 5", "requests_per_second: five"),
        ("mode: full", "mode: ful"), ("row.email | lower", "row.email | lowr"), ("row.id |", "row.idd |"),
    ), ("batch_sise", "requests_per_second", "mode", "lowr", "idd")),
}  # fmt: skip
AIRBYTE = {
    "key": Mistake(MANIFEST, (("request_parameters:", "request_paramters:"),), ("request_paramters",),
                   "request_parameters"),
    "type": Mistake(MANIFEST, (("start_from_page: 1", "start_from_page: one"),), ("start_from_page",)),
    "missing": Mistake(MANIFEST, (("          field_path: []\n", ""),), ("field_path",)),
    "enum": Mistake(MANIFEST, (("http_method: GET", "http_method: GTE"),), ("GTE",), "GET"),
    "duplicate": Mistake(MANIFEST, (("http_method: GET\n", "http_method: GET\n        http_method: POST\n"),),
                         ("http_method",)),
    "filter": Mistake(MANIFEST, (("| lower", "| lowr"),), ("lowr",), "lower"),
    "column": Mistake(MANIFEST, (("record['email']", "record['emial']"),), ("emial",), "email"),
    "variable": Mistake(MANIFEST, (("config['campaign']", "config['campain']"),), ("campain",), "campaign"),
    "name": Mistake(MANIFEST, (("{{ record['email']", "{{ recrod['email']"),), ("recrod",), "record"),
    "unset": Mistake("config.json", ((',\n  "campaign": "spring"', ""),), ("campaign",)),
    "yaml": Mistake(MANIFEST, (("name: profiles", 'name: "profiles'),), (), anywhere=True),
    "five": Mistake(MANIFEST, (
        ("request_parameters:", "request_paramters:"), ("start_from_page: 1", "start_from_page: one"),
        ("http_method: GET", "http_method: GTE"), ("| lower", "| lowr"), ("record['id']", "record['idd']"),
    ), ("request_paramters", "start_from_page", "GTE", "lowr", "idd")),
}  # fmt: skip
