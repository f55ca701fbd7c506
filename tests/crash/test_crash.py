"""The short form of the crash campaign: real kills of real processes. The long form is `make crash`."""

import pytest

from tests.crash.__main__ import MUST_BE_ZERO
from tests.crash.campaign import BATCH, LANES, campaigns


@pytest.mark.crash
def test_killed_and_started_again_until_done(tmp_path):
    for faults, outcome in campaigns(tmp_path, kills=12, seed=11, rows=600):
        facts = vars(outcome)
        assert outcome.kills >= 4
        assert {name: facts[name] for name in MUST_BE_ZERO} == dict.fromkeys(MUST_BE_ZERO, 0), faults
        assert outcome.worst_kill <= LANES * BATCH, "a kill repeats at most what was in flight"
