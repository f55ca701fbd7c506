"""Pace and patience: pure functions of time and chance."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.pipeline import Retry
from engine.runtime.rate import Bucket
from engine.runtime.retry import backoff, least_wait, probe_wait, retry_after


def test_a_bucket_spaces_requests_evenly():
    bucket = Bucket(5)
    assert [round(bucket.take(0.0).moment, 3) for _ in range(4)] == [0.0, 0.2, 0.4, 0.6]


def test_an_idle_bucket_saves_nothing_up():
    bucket = Bucket(5)
    bucket.take(0.0)
    assert bucket.take(100.0).moment == 100.0
    assert bucket.take(100.0).moment == pytest.approx(100.2)


def test_a_burst_goes_at_once_and_then_the_rate_holds():
    bucket = Bucket(10, burst=3)
    assert [round(bucket.take(0.0).moment, 3) for _ in range(5)] == [0.0, 0.0, 0.0, 0.1, 0.2]


def test_a_pause_holds_everybody_back_even_without_a_rate():
    bucket = Bucket(None)
    bucket.pause(7.0)
    assert bucket.take(1.0).moment == 7.0
    assert bucket.take(8.0).moment == 8.0


@given(st.floats(0.5, 500), st.integers(1, 20), st.lists(st.floats(0, 0.5), min_size=1, max_size=80))
def test_no_window_of_one_second_holds_more_than_rate_and_burst(rate, burst, gaps):
    bucket, now, sent = Bucket(rate, burst), 0.0, []
    for gap in gaps:
        now += gap
        sent.append(bucket.take(now).moment)
    assert sent == sorted(sent)
    for start in sent:
        assert sum(start <= moment < start + 1.0 - 1e-6 for moment in sent) <= rate + burst + 1e-6


def test_waits_grow_and_stay_within_the_cap():
    retry = Retry(initial=0.5, max=8.0, multiplier=2.0)
    chance = Random(1)
    for attempt, ceiling in enumerate([0.5, 1, 2, 4, 8, 8, 8], start=1):
        waits = [backoff(retry, attempt, chance) for _ in range(200)]
        assert 0 <= min(waits) < ceiling / 4 and ceiling * 3 / 4 < max(waits) <= ceiling


@pytest.mark.parametrize("retry", [Retry(initial=0.0, max=0.0), Retry(initial=0.0), Retry(max=0.0)])
def test_a_wait_of_nothing_is_no_setting(retry):
    chance = Random(1)
    for attempt in (1, 5, 50):
        waits = [backoff(retry, attempt, chance) for _ in range(400)]
        assert max(waits) > least_wait(retry) * 0.9 and sum(waits) / len(waits) >= 0.045
    assert least_wait(retry) >= 0.1


def test_who_asks_on_behalf_of_many_waits_half_at_least():
    retry, chance = Retry(initial=1.0, max=8.0, multiplier=2.0), Random(1)
    for attempt, ceiling in enumerate([1, 2, 4, 8, 8], start=1):
        waits = [probe_wait(retry, attempt, chance) for _ in range(100)]
        assert ceiling / 2 <= min(waits) and max(waits) <= ceiling


def test_many_attempts_do_not_overflow():
    assert backoff(Retry(max=60), 100_000, Random(1)) <= 60


NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:14:20 GMT"}, 60.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0.0),
        # The vendor's clock is an hour ahead of ours: its own Date decides.
        ({"retry-after": "Tue, 14 Nov 2023 23:13:30 GMT", "date": "Tue, 14 Nov 2023 23:13:20 GMT"}, 10.0),
        ({"retry-after": "abc"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "Tue, 99 Nov 2023 22:14:20 GMT"}, None),
    ],
)
def test_retry_after_in_every_form(headers, wait):
    assert retry_after(headers, NOW) == wait


def test_a_huge_retry_after_is_a_number_not_an_error():
    assert retry_after({"retry-after": "9" * 400}, NOW) > 1e10
