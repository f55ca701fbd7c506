"""The recorded imports, one pipeline file each: the same requests, and what the recorded client gets wrong done right."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.config.load import parse
from engine.plugin import Response, WireRequest
from engine.registry import Registry
from engine.runners.local import Options, Outcome, run_pipeline
from engine.runtime.clock import FakeClock
from engine.runtime.transport import Dry, Pretend
from engine.sandbox.world import World

GOLDEN = Path(__file__).parents[1] / "golden"
PIPELINES = {path.stem: path for path in sorted((GOLDEN / "pipelines").glob("*.yaml"))}
CASES = {name: json.loads((GOLDEN / "iterable" / name / "case.json").read_text("utf-8")) for name in PIPELINES}
SAME = [name for name, case in CASES.items() if "engine_should" not in case or name.startswith("m0")]
SIZES = ["u03_users_2350_csv", "e02_events_2000_exact", "m01_three_actions_small_batches"]  # batches are compared
LISTS = {"/api/users/bulkUpdate": "users", "/api/events/trackBulk": "events"}


@dataclass
class Ran:
    outcome: Outcome
    world: World
    sent: list[tuple[str, Any]] = field(default_factory=list)  # all requests: path and body
    shown: list[WireRequest] = field(default_factory=list)  # by a dry run

    @property
    def counts(self) -> tuple[int, int, int]:
        """Delivered, dropped, and dead letters."""
        mappings = self.outcome.report["mappings"].values()
        letters = self.outcome.report["dead_letters"]["count"]
        return sum(m["delivered"] for m in mappings), sum(m["dropped"] for m in mappings), letters

    @property
    def emails(self) -> list[str]:
        return [person["email"] for person in self.world.vendors["iterable"].state()["users"]]


def faults(case: Any) -> list[dict[str, Any]]:
    """The recorded answers of a case that were not a plain 200, as faults."""
    found = []
    for scripted in case.get("scripted_answers", []) if case["case"] != "u07_numeric_user_id" else []:
        fault = {name: scripted[name] for name in ("path", "nth", "status", "headers", "body") if name in scripted}
        if "drop" in scripted:
            fault["reset"] = "after"
        if "hang" in scripted:
            fault["delay"] = scripted["hang"]
        found.append(fault)
    return found


def run(name: str, folder: Path, *, dry: bool = False) -> Ran:
    for file in (GOLDEN / "iterable" / name).glob("input.*"):
        shutil.copy(file, folder)
    path = Path(shutil.copy(PIPELINES[name], folder))
    registry, clock = Registry.builtin(), FakeClock()
    loaded = parse(path.read_text("utf-8"), str(path), registry, environ={"ITERABLE_API_KEY": "k-0123456"}, path=path)
    assert loaded.pipeline is not None, "\n".join(finding.render() for finding in loaded.findings)
    world = World(clock, faults(CASES[name]))
    sent: list[tuple[str, Any]] = []

    def ask(request: WireRequest) -> Response:
        sent.append((request.url.removeprefix("https://api.iterable.com"), json.loads(request.body)))
        return world.handle(request)

    shown: list[WireRequest] = []
    options = Options(
        clock=clock,
        chance=Random(1),
        dry=dry,
        transport=lambda _, at: Dry(shown.append) if dry else Pretend(ask, at),
    )
    return Ran(run_pipeline(loaded.pipeline, registry, options), world, sent, shown)


def recorded(name: str) -> list[tuple[str, Any]]:
    lines = (GOLDEN / "iterable" / name / "requests.jsonl").read_text("utf-8").splitlines()
    return [(said["path"], said["body"]) for said in map(json.loads, lines)]


# --- the rules of comparison ---------------------------------------------------------------------------


def plain(one: Any) -> Any:
    """A user, event or purchase without what says nothing."""
    one = {name: plain(value) if name == "user" else value for name, value in one.items()}
    nothing = {"email": None, "userId": None, "preferUserId": False, "mergeNestedObjects": False, "dataFields": {}}
    return {name: value for name, value in one.items() if name not in nothing or value != nothing[name]}


def joined(requests: list[tuple[str, Any]]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for path, body in requests:
        found.setdefault(path, []).extend(plain(one) for one in (body[LISTS[path]] if path in LISTS else [body]))
    return found


def without_own_ids(ours: dict[str, list[Any]], theirs: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """An `id` that the engine adds to what had none is no difference."""
    return {
        path: [
            {n: v for n, v in one.items() if n != "id" or "id" in (theirs[path][index : index + 1] or [one])[0]}
            for index, one in enumerate(found)
        ]
        for path, found in ours.items()
    }


def test_every_case_has_its_pipeline() -> None:
    cases = {folder.name for folder in (GOLDEN / "iterable").iterdir() if folder.is_dir()}
    assert cases == set(PIPELINES)


@pytest.mark.parametrize("name", [name for name in SAME if name != "d01_dry_run"])
def test_the_same_requests_are_sent(name: str, tmp_path: Path) -> None:
    ran, theirs = run(name, tmp_path), joined(recorded(name))
    assert without_own_ids(joined(ran.sent), theirs) == theirs
    bad = len(CASES[name]["outcome"]["map_errors"])
    assert (ran.outcome.exit, ran.counts[2]) == (1 if bad else 0, bad)


@pytest.mark.parametrize("name", SIZES)
def test_batches_are_as_large(name: str, tmp_path: Path) -> None:
    def sizes(requests: list[tuple[str, Any]]) -> list[tuple[str, int]]:
        return sorted((path, len(body[LISTS[path]])) for path, body in requests if path in LISTS)

    assert sizes(run(name, tmp_path).sent) == sizes(recorded(name))


def test_a_dry_run_sends_nothing(tmp_path: Path) -> None:
    ran = run("d01_dry_run", tmp_path, dry=True)
    assert (ran.sent, ran.world.received) == ([], [])
    assert [len(json.loads(request.body)["users"]) for request in ran.shown] == [7]


# --- what the recorded client gets wrong -------------------------------------------------------------------

S = [f"s{n}@example.com" for n in range(1, 8)]


@pytest.mark.parametrize(
    ("name", "counts", "exit_code"),
    [
        ("a01_400_batch_lost", (6, 0, 1), 1),
        ("a02_429_not_retried", (7, 0, 0), 0),
        ("a03_503_html_not_retried", (7, 0, 0), 0),
        ("a04_200_partial_failure_unseen", (5, 1, 1), 1),
        ("a05_connection_lost_stops_all", (7, 0, 0), 0),
        ("a06_timeout_stops_all", (7, 0, 0), 0),
        ("a07_no_error_file_silent", (0, 0, 0), 3),
        ("i02_csv_bom", (1, 0, 0), 0),
        ("i03_csv_semicolons", (1, 0, 0), 0),
        ("i05_jsonl_blank_line_stops_all", (2, 0, 0), 0),
        ("i06_jsonl_bad_line_stops_all", (6, 0, 1), 1),
        ("i07_not_json_values", (2, 0, 1), 1),
        ("i08_json_array_file", (2, 0, 0), 0),
        ("m02_filter_and_not_actions", (4, 0, 0), 0),
        ("p03_zero_values_refused", (4, 0, 0), 0),
        ("u07_numeric_user_id", (2, 0, 0), 0),
        ("x01_map_errors_skipped", (2, 0, 2), 1),
        ("x02_map_error_file_crashes", (2, 0, 2), 1),
    ],
)
def test_where_the_recorded_client_fails_every_good_record_arrives(
    name: str, counts: tuple[int, int, int], exit_code: int, tmp_path: Path
) -> None:
    ran = run(name, tmp_path)
    assert (ran.counts, ran.outcome.exit) == (counts, exit_code)


@pytest.mark.parametrize("name", ["a02_429_not_retried", "a03_503_html_not_retried", "a05_connection_lost_stops_all"])
def test_a_bad_moment_of_the_vendor_loses_nobody(name: str, tmp_path: Path) -> None:
    assert run(name, tmp_path).emails == S


def test_a_named_row_is_taken_out_and_its_neighbours_arrive(tmp_path: Path) -> None:
    assert run("a01_400_batch_lost", tmp_path).emails == [email for email in S if email != "s5@example.com"]


def test_a_refused_key_ends_the_run_at_once(tmp_path: Path) -> None:
    assert len(run("a07_no_error_file_silent", tmp_path).sent) == 1


def test_a_mark_and_a_delimiter_are_understood(tmp_path: Path) -> None:
    assert run("i02_csv_bom", tmp_path).emails == ["bom@example.com"]


def test_numbers_become_text_where_the_vendor_wants_text(tmp_path: Path) -> None:
    people = run("u07_numeric_user_id", tmp_path).world.vendors["iterable"].state()["users"]
    assert [person["userId"] for person in people] == ["8", "7"]
