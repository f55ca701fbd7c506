"""Date-times in data fields, in the forms that Iterable reads as dates."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plugin import Secret
from engine.sandbox.iterable_fields import kind
from engine.vendors.iterable import Iterable
from engine.vendors.iterable_dates import as_taken

ACTIONS = Iterable.actions()
GIVEN, TAKEN = "2024-05-01T10:00:00Z", "2024-05-01 10:00:00 +00:00"


@pytest.mark.parametrize(
    "text",
    [
        "2024-05-01",
        "2024-05-01 10:00:00",
        "2024-05-01 10:00:00 +02:00",
        "2024-05-01T10:00:00.000+02:00",
        "2024-05-01T10:00:00.123Z",
    ],
)
def test_what_is_taken_stays(text: str) -> None:
    assert as_taken(text) == text
    assert kind(text) == "date"


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("2024-05-01T10:00:00Z", "2024-05-01 10:00:00 +00:00"),
        ("2024-05-01t10:00:00z", "2024-05-01 10:00:00 +00:00"),
        ("2024-05-01T10:00:00", "2024-05-01 10:00:00 +00:00"),
        ("2024-05-01T10:00", "2024-05-01 10:00:00 +00:00"),
        ("2024-05-01 10:00", "2024-05-01 10:00:00 +00:00"),
        ("2024-05-01 10:00:00+02:00", "2024-05-01 08:00:00 +00:00"),
        ("2024-05-01T00:30:00+0200", "2024-04-30 22:30:00 +00:00"),
        ("2024-05-01T10:00:00-05", "2024-05-01 15:00:00 +00:00"),
        ("2024-05-01 10:00:00 Z", "2024-05-01 10:00:00 +00:00"),
        ("2020-04-13 14:04:09.000", "2020-04-13 14:04:09 +00:00"),
        ("2020-04-13 14:04:09.250", "2020-04-13T14:04:09.250+00:00"),
        ("2020-04-13T14:04:09.123456+02:00", "2020-04-13T12:04:09.123+00:00"),
        ("2020-04-13T14:04:09,5Z", "2020-04-13T14:04:09.500+00:00"),
        ("2020-04-13T14:04:09.000001Z", "2020-04-13 14:04:09 +00:00"),
        ("2020-04-13T14:04:09.123456789Z", "2020-04-13T14:04:09.123+00:00"),
    ],
)
def test_other_date_times_are_written_so(text: str, taken: str) -> None:
    assert as_taken(text) == taken
    assert kind(taken) == "date"
    assert as_taken(taken) == taken


@pytest.mark.parametrize(
    "text",
    ["", "soon", "2024", "10:00", "2024-04-31T10:00:00Z", "2024-05-01T25:00:00Z", "at 2024-05-01T10:00:00Z",
     "2024-05-01T10:00:00Z ", "20240501T100000Z", "2024-W18-3T10:00", "0001-01-01T00:00:00+14:00",
     "９９９９-05-01T10:00:00Z", "2024-05-01T10:00:00+99:00", "2024-05-01T10:00:00Z\n"],
)  # fmt: skip
def test_what_is_no_date_time_stays(text: str) -> None:
    assert as_taken(text) == text


zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=zones)  # noqa: DTZ001 - bounds


@given(moments, st.sampled_from(["T", " "]), st.sampled_from(["auto", "minutes", "seconds", "milliseconds"]))
def test_the_moment_is_kept_to_the_millisecond(moment: datetime, between: str, spec: str) -> None:
    text = moment.isoformat(sep=between, timespec=spec)
    taken = as_taken(text)
    assert kind(taken) == "date"
    told = datetime.fromisoformat(taken.replace(" +", "+").replace(" -", "-") if taken.count(" ") > 1 else taken)
    assert abs(told.astimezone(UTC) - datetime.fromisoformat(text)) < timedelta(milliseconds=1)


# --- where --------------------------------------------------------------------------------------------


def prepared(action: str, payload: Any, dates: str) -> Any:
    vendor, before = Iterable(api_key=Secret("k"), dates=dates), copy.deepcopy(payload)
    step = getattr(vendor, str(ACTIONS[action].prepare))
    after = payload if step is None else step(payload)
    assert payload == before
    return after


def payload(action: str, when: str) -> Any:
    """A payload with a date-time in all places, `when` in those that are data."""
    data = {"at": when, "deep": {"list": [when, {"at": when}, 5, None, True]}, "dataFields": {"at": when}}
    return {
        "update_user": {"email": GIVEN, "dataFields": data},
        "subscribe": {"listId": 1, "email": GIVEN, "dataFields": data},
        "track_event": {"eventName": GIVEN, "userId": GIVEN, "dataFields": data},
        "track_purchase": {
            "id": GIVEN,
            "user": {"userId": GIVEN, "dataFields": data},
            "items": [{"id": "1", "name": GIVEN, "price": 1, "quantity": 1, "dataFields": data}],
            "total": 1,
            "dataFields": data,
        },
        "update_cart": {"user": {"userId": "u"}, "items": [{"id": GIVEN, "dataFields": data}]},
        "register_device_token": {"email": "a", "device": {"token": GIVEN, "dataFields": data}},
        "upsert_catalog_item": {"catalogName": "c", "id": GIVEN, "value": data},
    }[action]


@pytest.mark.parametrize(
    "action",
    ["update_user", "subscribe", "track_event", "track_purchase", "update_cart", "register_device_token",
     "upsert_catalog_item"],
)  # fmt: skip
def test_date_times_at_any_depth_of_the_data_and_nowhere_else(action: str) -> None:
    assert prepared(action, payload(action, GIVEN), "iterable") == payload(action, TAKEN)
    assert prepared(action, payload(action, GIVEN), "as_is") == payload(action, GIVEN)
