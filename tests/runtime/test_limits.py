"""At the vendors' real limits: hardly a request is refused, hardly a place unused, alone and shared."""

from itertools import pairwise

import pytest

from tests.runtime.limits import ENDPOINTS, measure, measure_limits, run_together, table


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("action", ENDPOINTS)
def test_at_the_limit(tmp_path, action, processes):
    row = measure(tmp_path, action, processes)
    assert row.requests >= 299
    assert row.refused <= 0.01
    assert row.used >= 0.90
    assert row.lost == 0


def test_without_sharing_two_would_be_refused(tmp_path):
    """What the shared file is for: the same two runs, each with a pace of its own."""
    seen, outcomes, _ = run_together(tmp_path, ["update_user"] * 2, share=False, seconds=20)
    refused = sum(status == 429 for _, _, status in seen)
    assert refused > 0.05 * len(seen)
    assert all(outcome.exit == 0 for outcome in outcomes)


def test_two_pipelines_take_turns(tmp_path):
    seen, outcomes, _ = run_together(tmp_path, ["update_user"] * 2, seconds=20)
    gaps = [b - a for (_, a, _), (_, b, _) in pairwise(seen)]
    assert min(gaps) >= 0.2 - 1e-6
    halves = [outcome.report["sinks"]["crm"]["requests"] for outcome in outcomes]
    ends = [outcome.report["seconds"] for outcome in outcomes]
    assert halves[0] == halves[1] and abs(ends[0] - ends[1]) < 2.0


def test_endpoints_do_not_hold_each_other(tmp_path):
    seen, outcomes, _ = run_together(tmp_path, ["update_user", "track_event"], seconds=20)
    assert not any(status == 429 for _, _, status in seen)
    assert {round(outcome.report["seconds"] / 10) for outcome in outcomes} == {1}


def test_a_lower_limit_of_one_pipeline_holds_that_one_only(tmp_path):
    more = ["rate_limit: {requests: 1, per: 1s}", "concurrency: 2"]
    seen, outcomes, _ = run_together(tmp_path, ["update_user"] * 2, more=more, seconds=20)
    assert not any(status == 429 for _, _, status in seen)
    slow, fast = (outcome.report["seconds"] for outcome in outcomes)
    assert 45 <= slow <= 60 and fast <= 16


def test_a_retry_after_that_one_hears_holds_the_other(tmp_path):
    fault = {"nth": [20], "status": 429, "retry_after": 12}
    seen, outcomes, _ = run_together(tmp_path, ["update_user"] * 2, faults=[fault], seconds=20)
    moments = [moment for _, moment, _ in seen]
    refused = next(moment for _, moment, status in seen if status == 429)
    heard = refused + 0.35  # the latest moment at which the answer was there
    assert not [m for m in moments if heard < m < refused + 12.0]
    assert [status for _, _, status in seen].count(429) == 1
    assert all(outcome.exit == 0 for outcome in outcomes)


def test_the_campaign_says_what_it_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.runtime.limits.SECONDS", 5)
    rows = measure_limits(tmp_path)
    assert [(row.endpoint, row.processes) for row in rows] == [
        (path, n) for path, _ in ENDPOINTS.values() for n in (1, 2, 3)
    ]
    assert all(line.count("|") == 8 for line in table(rows))
