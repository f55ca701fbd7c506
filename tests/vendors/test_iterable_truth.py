"""The reading of answers against the pretend Iterable: what is called delivered is stored, what is rejected is not.

Each row of a batch sets a field, or has an id, of its own, so that the state tells what was stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.plugin import Response, Secret, WireRequest
from engine.sandbox.iterable import PretendIterable
from engine.vendors.iterable import Iterable
from tests.vendors.conversations import deliver

FORGOTTEN = ["gone@x.test", "u-gone"]
EMAILS = ["a@x.test", "A@x.test", "b@x.test", "c@x.test", "taken@x.test", "bad..x@", "gone@x.test"]
USER_IDS = ["u1", "U1", "u2", "taken", "u-gone", "trailing "]
LONG = "too long"  # stands for a value that is: the examples stay readable
FIELDS = [{"n": 1}, {"n": "text"}, {"s": LONG}, {"email": "taken@x.test"}, {"email": "no address"},
          {"userId": "taken"}]  # fmt: skip

people = st.one_of(
    st.fixed_dictionaries({"email": st.sampled_from(EMAILS)}),
    st.fixed_dictionaries({"userId": st.sampled_from(USER_IDS)}),
    st.fixed_dictionaries({"email": st.sampled_from(EMAILS), "userId": st.sampled_from(USER_IDS)}),
)
users = st.builds(lambda who, fields: {**who, "dataFields": fields}, people, st.sampled_from([{}, {}, {}, *FIELDS]))
events = st.builds(
    lambda who, name, fields: {**who, "eventName": name, "dataFields": fields},
    people,
    st.sampled_from(["Open", "Open", "Secret"]),
    st.sampled_from([{}, {}, {"n": 1}, {"n": "text"}, {"email": "ghost@x.test"}]),
)


class Standing:
    def now(self) -> float:
        return 0.0


def iterable() -> Iterable:
    return Iterable(api_key=Secret("k"))


def project(**more: Any) -> PretendIterable:
    """A project that has people and the types of some fields."""
    made = PretendIterable(Standing(), forgotten=FORGOTTEN, disallowed=["Secret"], rates=False, **more)
    send(
        made, "/users/bulkUpdate", {"users": [{"email": "taken@x.test", "dataFields": {"n": 1}}, {"userId": "taken"}]}
    )
    send(made, "/events/trackBulk", {"events": [{"eventName": "Open", "userId": "u1", "dataFields": {"n": 1}}]})
    return made


def send(vendor: PretendIterable, path: str, said: Any) -> Response:
    url = f"https://api.iterable.com/api{path}"
    return vendor.handle(WireRequest("POST", url, {"Api-Key": "k"}, json.dumps(said).encode()))


def marked(rows: list[Any]) -> list[Any]:
    return [{**row, "dataFields": {**row["dataFields"], f"mark{index}": 1}} for index, row in enumerate(rows)]


def lengthened(rows: list[Any]) -> list[Any]:
    return json.loads(json.dumps(rows).replace(f'"{LONG}"', f'"{"x" * 32_001}"'))  # type: ignore[no-any-return]


def marks(vendor: PretendIterable) -> set[str]:
    stored = [person["dataFields"] for person in vendor.state()["users"]]
    stored += [event.get("dataFields", {}) for event in vendor.state()["events"]]
    return {name for fields in stored for name in fields if name.startswith("mark")}


# --- ways in which an answer can be less clear than it should ------------------------------------------


def clear(said: Any) -> Any:
    return said


def named_once(said: Any) -> Any:
    lists = {name: sorted(set(members)) for name, members in said["failedUpdates"].items()}
    return {**said, "failedUpdates": lists}


def without_data_lists(said: Any) -> Any:
    """Conflicts and invalid data are counted but not named."""
    lists = {
        n: members for n, members in said["failedUpdates"].items() if n.startswith(("invalidE", "invalidU", "for"))
    }
    return {**said, "failedUpdates": lists}


def nobody_named(said: Any) -> Any:
    return {**said, "failedUpdates": None, "invalidEmails": None, "invalidUserIds": None, "disallowedEventNames": []}


def deprecated_only(said: Any) -> Any:
    lists = {name: members for name, members in said["failedUpdates"].items() if not name.startswith("invalid")}
    return {**said, "failedUpdates": {**lists, **{n: v for n, v in said["failedUpdates"].items() if "Data" in n}}}


def disallowed_not_counted(said: Any) -> Any:
    named = sum(map(len, said["failedUpdates"].values()))
    return {**said, "failCount": named} if said.get("disallowedEventNames") and named < said["failCount"] else said


WAYS: list[Callable[[Any], Any]] = [
    clear,
    named_once,
    without_data_lists,
    nobody_named,
    deprecated_only,
    disallowed_not_counted,
]


# --- ways in which an answer can be false: what it stored it does not say -----------------------------------


def one_stored_more(said: Any) -> Any:
    return {**said, "successCount": said["successCount"] + 1}


def all_stored_and_some_failed(said: Any) -> Any:
    return {**said, "successCount": said["successCount"] + said["failCount"]} if said["failCount"] else said


def less_than_none_stored(said: Any) -> Any:
    return {**said, "successCount": -1 - said["successCount"]}


def less_than_none_failed(said: Any) -> Any:
    return {**said, "failCount": -1, "successCount": said["successCount"] + 1}


def very_many_stored(said: Any) -> Any:
    return {**said, "successCount": 10**12}


def nothing_counted(said: Any) -> Any:
    return {**said, "successCount": 0, "failCount": 0}


def a_failure_called_stored(said: Any) -> Any:
    if not said["failCount"] or not any(said["failedUpdates"].values()):
        return said
    return {**said, "successCount": said["successCount"] + 1, "failCount": said["failCount"] - 1}


def strangers_named(said: Any) -> Any:
    """Whoever is named was never sent."""
    lists = {name: [f"ghost{n}" for n, _ in enumerate(named)] for name, named in said["failedUpdates"].items()}
    return {**said, "failedUpdates": lists, "invalidEmails": lists["invalidEmails"],
            "invalidUserIds": lists["invalidUserIds"]}  # fmt: skip


def other_case(said: Any) -> Any:
    """Of addresses, which case does not tell apart. A userId of another case is another person: no reader could tell."""
    lists = {
        name: [one.swapcase() if name.endswith("Emails") else one for one in named]
        for name, named in said["failedUpdates"].items()
    }
    return {**said, "failedUpdates": lists, "invalidEmails": None, "invalidUserIds": None}


def every_second_name_missing(said: Any) -> Any:
    lists = {name: named[::2] for name, named in said["failedUpdates"].items()}
    return {**said, "failedUpdates": lists, "invalidEmails": None, "invalidUserIds": None}


LIES: list[Callable[[Any], Any]] = [
    one_stored_more, all_stored_and_some_failed, less_than_none_stored, less_than_none_failed, very_many_stored,
    nothing_counted, a_failure_called_stored, strangers_named, other_case, every_second_name_missing,
]  # fmt: skip


def through(vendor: PretendIterable, way: Callable[[Any], Any]) -> Callable[[WireRequest], Response]:
    def handle(request: WireRequest) -> Response:
        answer = vendor.handle(request)
        return replace(answer, body=json.dumps(way(answer.json())).encode()) if answer.status == 200 else answer

    return handle


# --- the truth ------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.lists(users, min_size=1, max_size=12).map(marked), st.sampled_from(WAYS))
def test_users(rows: list[Any], way: Callable[[Any], Any]) -> None:
    vendor = project()
    done = deliver(iterable(), "update_user", lengthened(rows), through(vendor, way))
    stored = marks(vendor)
    for index, verdict in enumerate(done.records):
        assert verdict.outcome in ("sent", "rejected", "dropped")
        if verdict.outcome == "sent":
            assert f"mark{index}" in stored, rows[index]
        elif not moves_identifiers(rows[index]):
            assert f"mark{index}" not in stored, (rows[index], verdict)


def moves_identifiers(row: Any) -> bool:
    """Once stored, such a row changes who is who: sent again because of a doubt, it may be a conflict."""
    return len({"email", "userId"} & ({*row} | {*row["dataFields"]})) == 2


@settings(max_examples=100, deadline=None)
@given(st.lists(events, min_size=1, max_size=12).map(marked), st.sampled_from(WAYS), st.booleans())
def test_events_with_ids(rows: list[Any], way: Callable[[Any], Any], strangers: bool) -> None:
    vendor = project(strangers=strangers)
    rows = [{**row, "id": f"e{index}"} for index, row in enumerate(rows)]
    done = deliver(iterable(), "track_event", rows, through(vendor, way))
    stored = marks(vendor)
    for index, verdict in enumerate(done.records):
        assert verdict.outcome in ("sent", "rejected", "dropped")
        assert (verdict.outcome == "sent") is (f"mark{index}" in stored), (rows[index], verdict)


@settings(max_examples=100, deadline=None)
@given(st.lists(events, min_size=1, max_size=12).map(marked), st.sampled_from(WAYS))
def test_events_without_ids_are_never_doubled(rows: list[Any], way: Callable[[Any], Any]) -> None:
    vendor = project()
    done = deliver(iterable(), "track_event", rows, through(vendor, way))
    told = [name for event in vendor.state()["events"] for name in event.get("dataFields", {}) if "mark" in name]
    assert len(told) == len(set(told))
    for index, verdict in enumerate(done.records):
        if verdict.outcome != "unknown":
            assert (verdict.outcome == "sent") is (f"mark{index}" in told), (rows[index], verdict)


@settings(max_examples=300, deadline=None)
@given(st.lists(users, min_size=1, max_size=12).map(marked), st.sampled_from(LIES))
def test_a_false_answer_about_users_delivers_nothing_that_is_not_stored(rows: list[Any], way: Any) -> None:
    vendor = project()
    done = deliver(iterable(), "update_user", lengthened(rows), through(vendor, way))
    stored = marks(vendor)
    for index, verdict in enumerate(done.records):
        if verdict.outcome == "sent":
            assert f"mark{index}" in stored, rows[index]
        elif verdict.outcome != "unknown" and not moves_identifiers(rows[index]):
            assert f"mark{index}" not in stored, (rows[index], verdict)


@settings(max_examples=300, deadline=None)
@given(st.lists(events, min_size=1, max_size=12).map(marked), st.sampled_from(LIES), st.booleans())
def test_a_false_answer_about_events_neither_doubles_nor_loses(rows: list[Any], way: Any, ids: bool) -> None:
    vendor = project()
    rows = [{**row, "id": f"e{index}"} for index, row in enumerate(rows)] if ids else rows
    done = deliver(iterable(), "track_event", rows, through(vendor, way))
    told = [name for event in vendor.state()["events"] for name in event.get("dataFields", {}) if "mark" in name]
    assert len(told) == len(set(told))
    for index, verdict in enumerate(done.records):
        if verdict.outcome != "unknown":
            assert (verdict.outcome == "sent") is (f"mark{index}" in told), (rows[index], verdict)


def test_a_false_answer_is_asked_again_in_halves_until_each_is_alone() -> None:
    """Which every row then decides for itself: the lie is about batches only."""
    vendor = project()
    rows = [{"email": f"u{index}@x.test"} for index in range(16)] + [{"email": "bad..x@"}]

    def lie(said: Any) -> Any:
        return said if said["successCount"] + said["failCount"] == 1 else one_stored_more(said)

    done = deliver(iterable(), "update_user", rows, through(vendor, lie))
    assert [verdict.outcome for verdict in done.records] == ["sent"] * 16 + ["rejected"]
    assert done.records[16].code == "invalid-identifier"
    assert done.requests == 2 * 17 - 1


def test_one_row_of_a_wrong_type_is_found_among_a_thousand() -> None:
    vendor = project()
    rows = [{"email": f"u{index}@x.test", "dataFields": {"n": index}} for index in range(1000)]
    rows[617]["dataFields"]["n"] = "many"
    done = deliver(iterable(), "update_user", rows, vendor.handle)
    assert [index for index, verdict in enumerate(done.records) if verdict.outcome != "sent"] == [617]
    assert done.records[617].code == "type-mismatch"
    assert done.requests <= 21
    assert len(vendor.state()["users"]) == 999 + 3
